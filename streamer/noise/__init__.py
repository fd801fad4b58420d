"""Noise levels of a source: A-weighting, time weighting, statistics, third octaves, and loud noise."""
