"""Notifications about events: to phones and services through Apprise, and to a command."""
