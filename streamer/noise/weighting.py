"""Frequency weighting A and time weighting F of IEC 61672-1, for 16 kHz samples."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..messages import SAMPLE_RATE_HZ
from .blocks import Blocks, Values

_POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
"""Corner frequencies of the weighting A: IEC 61672-1:2013, annex E. The first and the last are double poles."""

_TAPS = 2049
HALF_SAMPLES = _TAPS // 2
"""Samples before and after a sample on which its weighted value depends: 64 ms."""

_FFT_SAMPLES = 4096
_HOP_SAMPLES = _FFT_SAMPLES - _TAPS + 1
_GRID = 1 << 17

FAST_SECONDS = 0.125
"""Time constant of the weighting F ("fast")."""


def a_weighting(frequencies_hz: ArrayLike) -> Values:
    """Return the magnitude of the weighting A at frequencies, 1 at 1 kHz."""
    weights: Values = _a_response(frequencies_hz) / _a_response(1000.0)
    return weights


def a_filter() -> Values:
    """Return the impulse response (2049,) of the weighting A: symmetric, so that nothing moves in time."""
    return _designed()[0]


class AWeighting:
    """Filter with the weighting A.

    The filter is made from the magnitude of the standard's poles at 16 kHz, so that, unlike one by the bilinear transform, it
    is right up to 8 kHz. A weighted sample needs the 64 ms before and after it: those at the edges of a stream have none.
    Blocks of any size give the same samples.
    """

    def __init__(self) -> None:
        self._spectrum = _designed()[1]
        self._blocks = Blocks(_FFT_SAMPLES, _HOP_SAMPLES)

    def feed(self, samples: ArrayLike) -> Values:
        """Add samples (n,), and return the weighted ones that are complete; the first is that of sample `HALF_SAMPLES`."""
        weighted = [self._weigh(block) for block in self._blocks.feed(samples)]
        return np.concatenate(weighted) if weighted else np.zeros(0)

    def finish(self) -> Values:
        """Return the last weighted samples, and start again."""
        rest = self._blocks.rest
        count = max(0, len(rest) - _TAPS + 1)
        weighted = self._weigh(np.pad(rest, (0, _FFT_SAMPLES - len(rest))))[:count]
        self._blocks.reset()
        return weighted

    def _weigh(self, block: Values) -> Values:
        weighted: Values = np.fft.irfft(np.fft.rfft(block) * self._spectrum, _FFT_SAMPLES)
        return weighted[_TAPS - 1 :]


class FastWeighting:
    """Exponential mean of the power with the time constant of 125 ms."""

    _LONGEST_SAMPLES = 4 * _FFT_SAMPLES

    def __init__(self) -> None:
        self._decay = np.exp(-1.0 / (FAST_SECONDS * SAMPLE_RATE_HZ))
        self._last = 0.0

    def reset(self) -> None:
        """Start again, from silence."""
        self._last = 0.0

    def feed(self, power: Values) -> Values:
        """Power (n,) of samples -> mean power (n,) at each of them."""
        parts = np.split(power, range(self._LONGEST_SAMPLES, len(power), self._LONGEST_SAMPLES))
        return np.concatenate([self._feed(part) for part in parts])

    def _feed(self, power: Values) -> Values:
        """Solve the recursion as a sum: y[n] = d y[n-1] + (1 - d) x[n], where y[n] / d^n is a cumulative sum."""
        fade = self._decay ** np.arange(1, len(power) + 1)
        mean = fade * (self._last + (1.0 - self._decay) * np.cumsum(power / fade))
        if len(mean):
            self._last = float(mean[-1])
        return np.asarray(mean, np.float64)


def _a_response(frequencies_hz: ArrayLike) -> Values:
    squared = np.square(np.asarray(frequencies_hz, np.float64))
    first, second, third, fourth = (pole * pole for pole in _POLES_HZ)
    both = np.sqrt((squared + second) * (squared + third))
    response: Values = fourth * squared**2 / ((squared + first) * both * (squared + fourth))
    return response


@lru_cache(maxsize=1)
def _designed() -> tuple[Values, NDArray[np.complex128]]:
    """Return the impulse response, and its spectrum for blocks."""
    response = np.fft.irfft(a_weighting(np.fft.rfftfreq(_GRID, 1.0 / SAMPLE_RATE_HZ)))
    taps = np.roll(response, HALF_SAMPLES)[:_TAPS]
    return taps, np.fft.rfft(taps, _FFT_SAMPLES)
