"""Third-octave bands of IEC 61260-1, base ten, for 16 kHz samples."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ..messages import SAMPLE_RATE_HZ
from .blocks import Blocks, Values

BAND_NAMES = (
    "25", "31.5", "40", "50", "63", "80", "100", "125", "160", "200", "250", "315", "400", "500", "630", "800",
    "1000", "1250", "1600", "2000", "2500", "3150", "4000", "5000", "6300",
)  # fmt: skip
"""Nominal centre frequencies in Hz. The next band ends at 8.9 kHz, beyond half the sample rate."""

CENTRES_HZ = 1000.0 * 10.0 ** (np.arange(-16, 9) / 10.0)
"""Exact centre frequencies."""

FRAME_SAMPLES = 16_384
HOP_SAMPLES = FRAME_SAMPLES // 2


class ThirdOctaves:
    """Power in each third-octave band, of frames of 1.024 s every 0.512 s.

    The squares of the frames' windows (those of Vorbis) add up to one, so no part of the sound counts more than another. The
    bands are sums of the spectrum between their edges, with parts of its lines at the edges. Blocks of any size give the same
    frames; there are only whole ones.
    """

    def __init__(self) -> None:
        self._window, self._bands, self._edges = _designed()
        self._blocks = Blocks(FRAME_SAMPLES, HOP_SAMPLES)

    def feed(self, samples: ArrayLike) -> list[Values]:
        """Add samples (n,), and return the power (25,) in the bands of each frame that is complete."""
        return [self._measure(frame) for frame in self._blocks.feed(samples)]

    def reset(self) -> None:
        """Start again with the next sample."""
        self._blocks.reset()

    def _measure(self, frame: Values) -> Values:
        lines = np.square(np.abs(np.fft.rfft(frame * self._window)))[self._edges]
        return self._bands @ lines


@lru_cache(maxsize=1)
def _designed() -> tuple[Values, Values, slice]:
    """Return the window, the share (25, lines) of each spectral line in each band, and the lines that are in any."""
    sine = np.sin(np.pi * (np.arange(FRAME_SAMPLES) + 0.5) / FRAME_SAMPLES)
    window = np.sin(np.pi / 2 * sine**2)
    spacing_hz = SAMPLE_RATE_HZ / FRAME_SAMPLES
    lower, upper = CENTRES_HZ * 10.0**-0.05, CENTRES_HZ * 10.0**0.05
    lines = slice(int(lower[0] / spacing_hz), int(upper[-1] / spacing_hz) + 2)
    begin = (np.arange(lines.start, lines.stop) - 0.5) * spacing_hz
    overlap = np.minimum(upper[:, None], begin + spacing_hz) - np.maximum(lower[:, None], begin)
    # Twice, for the negative frequencies; the mean square of the window is a half.
    return window, np.clip(overlap / spacing_hz, 0.0, 1.0) * 4.0 / FRAME_SAMPLES**2, lines
