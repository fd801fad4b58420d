"""Ballistics of the level meter, on the stream's own clock."""

import math

import numpy as np

from streamer.messages import SAMPLE_RATE_HZ, Samples

FLOOR_DBFS = -120.0

_INTEGRATION_SECONDS = 0.125
_HOLD_SECONDS = 1.5
_FALL_DB_PER_SECOND = 24.0
_TIMEOUT_SECONDS = 0.5
_CLIPPED = 0.999
_CLIPPING_SECONDS = 3.0


class LevelMeter:
    """RMS level with the time constant "fast" of sound level meters (IEC 61672: 125 ms), and a held peak.

    Attributes
    ----------
    level_dbfs : float
        Level in dB relative to a full-scale square wave, at least -120.
    peak_dbfs : float
        Highest sample, held for 1.5 s, then falling by 24 dB per second.
    clipping : bool
        True if a sample has reached full scale within the last 3 s.
    """

    def __init__(self) -> None:
        self._power = 0.0
        self.peak_dbfs = FLOOR_DBFS
        self._held_seconds = 0.0
        self._silent_seconds = 0.0
        self._unclipped_seconds = _CLIPPING_SECONDS

    @property
    def clipping(self) -> bool:
        """True if the sound was too loud just now."""
        return self._unclipped_seconds < _CLIPPING_SECONDS

    @property
    def level_dbfs(self) -> float:
        """RMS level."""
        return _decibels(self._power)

    def advance(self, samples: Samples, seconds: float) -> None:
        """Add new samples, or advance by some seconds without; after half a second without samples, the level falls."""
        self._unclipped_seconds += seconds
        if len(samples):
            self._silent_seconds = 0.0
            power = float(np.mean(np.square(samples, dtype=np.float64)))
            self._integrate(len(samples) / SAMPLE_RATE_HZ, power)
            peak = float(np.max(np.abs(samples)))
            if peak >= _CLIPPED:
                self._unclipped_seconds = 0.0
            peak_dbfs = _decibels(peak**2)
            if peak_dbfs >= self.peak_dbfs:
                self.peak_dbfs = peak_dbfs
                self._held_seconds = 0.0
        else:
            self._silent_seconds += seconds
            if self._silent_seconds > _TIMEOUT_SECONDS:
                self._integrate(seconds, 0.0)

    def _integrate(self, seconds: float, power: float) -> None:
        self._power += (power - self._power) * -math.expm1(-seconds / _INTEGRATION_SECONDS)
        self._held_seconds += seconds
        falling_seconds = min(seconds, self._held_seconds - _HOLD_SECONDS)
        if falling_seconds > 0:
            self.peak_dbfs = max(FLOOR_DBFS, self.peak_dbfs - _FALL_DB_PER_SECOND * falling_seconds)


def _decibels(power: float) -> float:
    return max(FLOOR_DBFS, 10.0 * math.log10(power)) if power > 0 else FLOOR_DBFS
