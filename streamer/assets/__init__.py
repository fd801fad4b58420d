"""Recordings that come with the program."""
