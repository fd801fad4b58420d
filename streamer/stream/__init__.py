"""Chunks to windows to scores, with the same code live and offline."""
