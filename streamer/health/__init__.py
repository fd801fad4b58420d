"""How the program is doing: what became of each sample and window, what the sound is like, how late it all is."""

from ..runtime.timing import Every
from .meter import HealthMeter

__all__ = ["Every", "HealthMeter"]
