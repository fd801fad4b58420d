"""Distribution of levels over time."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ..levels import LOWEST_DBFS
from .blocks import Values

_STEP_DB = 0.1
_BINS = 1300
"""Number of steps from the level of digital silence to 10 dB above full scale."""


def decibels_of(power: ArrayLike) -> Values:
    """Return powers in dB relative to full scale, at least `LOWEST_DBFS`."""
    levels: Values = 10.0 * np.log10(np.maximum(np.asarray(power, np.float64), 10.0 ** (LOWEST_DBFS / 10.0)))
    return levels


class Distribution:
    """Distribution of levels, in steps of 0.1 dB; its size does not depend on their number."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int32)

    def __iadd__(self, other: "Distribution") -> Self:
        self._counts += other._counts
        return self

    def __isub__(self, other: "Distribution") -> Self:
        self._counts -= other._counts
        return self

    @property
    def count(self) -> int:
        """Number of levels."""
        return int(self._counts.sum())

    def add(self, power: Values) -> None:
        """Add the levels of powers (n,)."""
        bins = ((decibels_of(power) - LOWEST_DBFS) / _STEP_DB).astype(np.int64)
        self._counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS).astype(np.int32)

    def exceeded(self, share: float) -> float | None:
        """Return the level in dB that a share of the levels exceeds; None without any."""
        total = self.count
        if not total:
            return None
        above = np.cumsum(self._counts[::-1])
        index = _BINS - 1 - int(np.searchsorted(above, share * total))
        return LOWEST_DBFS + (index + 0.5) * _STEP_DB
