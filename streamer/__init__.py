"""The stream: sources, windows, health and sinks; numpy and the standard library."""
