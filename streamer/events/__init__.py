"""Sounds that begin and end: the catalogue, the watch list and the detector."""
