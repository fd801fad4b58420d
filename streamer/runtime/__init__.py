"""Threads, queues, signals, logs, files and clocks: whatever runs the stream but knows nothing of sound."""
