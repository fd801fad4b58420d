"""Settings from the command line, the environment and `earshot.toml`."""
