"""How the program is doing: what became of each sample and window, what the sound is like, how late it all is."""

from .meter import Every, HealthMeter

__all__ = ["Every", "HealthMeter"]
