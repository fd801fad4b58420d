"""The movement of a level meter, on the stream's own clock. No Qt here."""

import math

import numpy as np

from streamer.messages import SAMPLE_RATE_HZ, Samples

FLOOR_DBFS = -120.0

_INTEGRATION_SECONDS = 0.125
_HOLD_SECONDS = 1.5
_FALL_DB_PER_SECOND = 24.0
_PATIENCE_SECONDS = 0.5
_CLIPPED = 0.999
_CLIPPING_SECONDS = 3.0


class Loudness:
    """RMS level with the time constant "fast" of sound level meters (IEC 61672: 125 ms), and a held peak.

    Attributes
    ----------
    level_dbfs : float
        In dB relative to a full-scale square wave; -120 at the lowest.
    peak_dbfs : float
        The highest sample, held for 1.5 s, then falling by 24 dB a second.
    clipping : bool
        Whether a sample has reached full scale within the last 3 s.
    """

    def __init__(self) -> None:
        self._power = 0.0
        self.peak_dbfs = FLOOR_DBFS
        self._held_seconds = 0.0
        self._starved_seconds = 0.0
        self._unclipped_seconds = _CLIPPING_SECONDS

    @property
    def clipping(self) -> bool:
        """Whether it was too loud just now."""
        return self._unclipped_seconds < _CLIPPING_SECONDS

    @property
    def level_dbfs(self) -> float:
        """RMS level now."""
        return _decibels(self._power)

    def advance(self, samples: Samples, seconds: float) -> None:
        """Take new samples, or let time pass: without any for half a second, the meter falls."""
        self._unclipped_seconds += seconds
        if len(samples):
            self._starved_seconds = 0.0
            self._pass(len(samples) / SAMPLE_RATE_HZ, float(np.mean(np.square(samples, dtype=np.float64))))
            peak = float(np.max(np.abs(samples)))
            if peak >= _CLIPPED:
                self._unclipped_seconds = 0.0
            peak_dbfs = _decibels(peak**2)
            if peak_dbfs >= self.peak_dbfs:
                self.peak_dbfs = peak_dbfs
                self._held_seconds = 0.0
        else:
            self._starved_seconds += seconds
            if self._starved_seconds > _PATIENCE_SECONDS:
                self._pass(seconds, 0.0)

    def _pass(self, seconds: float, power: float) -> None:
        self._power += (power - self._power) * -math.expm1(-seconds / _INTEGRATION_SECONDS)
        self._held_seconds += seconds
        falling_seconds = min(seconds, self._held_seconds - _HOLD_SECONDS)
        if falling_seconds > 0:
            self.peak_dbfs = max(FLOOR_DBFS, self.peak_dbfs - _FALL_DB_PER_SECOND * falling_seconds)


def _decibels(power: float) -> float:
    return max(FLOOR_DBFS, 10.0 * math.log10(power)) if power > 0 else FLOOR_DBFS
