"""From chunks to windows to scores: the same code live and offline."""
