"""Choice of model, engine and precision for this machine, and the cache of measurements behind it."""
