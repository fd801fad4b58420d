"""Colours, fonts, sizes and pictograms."""
