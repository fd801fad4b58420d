"""The commands, a file each: they read options, let the packages below work, and print. Nothing heavy is imported before a command runs."""
