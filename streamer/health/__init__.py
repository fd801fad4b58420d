"""Health of the program: accounting of samples and windows, signal quality, latency."""

from ..runtime.timing import Every
from .meter import HealthMeter

__all__ = ["Every", "HealthMeter"]
