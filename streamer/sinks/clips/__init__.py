"""Recordings of events, where clips are turned on."""
