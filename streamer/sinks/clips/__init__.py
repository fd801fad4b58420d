"""Clips: the audio of events in files."""
