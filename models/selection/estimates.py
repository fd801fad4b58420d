"""Estimates of the time that any model takes for a window on this machine."""

import statistics

from ..catalogue import PUBLISHED
from .speed_cache import cached_seconds

_MEASURED = PUBLISHED["ced-small"]
"""Network to measure on a machine where none was."""


def seconds_per_gigaflop() -> float:
    """Return the seconds for 10^9 operations of a network.

    If no network was measured on this machine in the last days, one is measured now, which takes some seconds.
    """
    seconds = {name: cached_seconds(entry) for name, entry in PUBLISHED.items()}
    rates = [value / PUBLISHED[name].gigaflop for name, value in seconds.items() if value is not None]
    return statistics.median(rates) if rates else _measure() / _MEASURED.gigaflop


def _measure() -> float:
    from .speed import SpeedEstimator

    return SpeedEstimator("auto", _MEASURED.rows, 1).measure(_MEASURED, limit=float("inf"))
