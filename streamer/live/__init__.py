"""Live listening: sources, windows, the tagger and the sinks, joined."""
