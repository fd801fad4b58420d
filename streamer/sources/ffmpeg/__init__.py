"""Decoding of recordings and network streams by FFmpeg."""
