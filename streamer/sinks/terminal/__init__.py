"""Output in a terminal or a pipe: JSON lines, plain lines, or a live table."""
