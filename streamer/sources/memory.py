"""Samples in memory as a source."""

import time
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from .conversion import FormatConverter, Frames
from .ffmpeg.decoder import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS

_CHUNK_SAMPLES = SAMPLE_RATE_HZ // 10


class ArraySource:
    """An array of samples, delivered as fast as it is read.

    Parameters
    ----------
    name : str
        Name of the source.
    samples : array (n,) or (n, channels)
        Floats in [-1, 1], or signed integers of 16 or 32 bits. Channels are mixed.
    rate_hz : float
        Sample rate.

    Raises
    ------
    TypeError
        The samples have another type, or the rate is not a number.
    ValueError
        The array has another shape, too many channels or no samples, or the rate is out of range.
    """

    def __init__(self, name: str, samples: NDArray[Any], rate_hz: float) -> None:
        if isinstance(rate_hz, bool) or not isinstance(rate_hz, int | float | np.integer | np.floating):
            raise TypeError(f"the sample rate must be a number in Hz, not {rate_hz!r}")
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise ValueError(
                f"the sample rate must be from {LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} Hz, not {rate_hz:g}"
            )
        self.name = name
        self.live = False
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self._frames = _as_frames(samples)
        self._rate_hz = rate_hz

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield the samples, a tenth of a second at a time; the last chunk may be shorter."""
        samples = self._converted()
        began_at = time.time()
        for start in range(0, len(samples), _CHUNK_SAMPLES):
            yield AudioChunk(
                samples[start : start + _CHUNK_SAMPLES], start, began_at + start / SAMPLE_RATE_HZ
            )

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _converted(self) -> Samples:
        converter = FormatConverter(name=self.name)
        samples = np.concatenate([converter.feed(self._frames, self._rate_hz), converter.flush()])
        self.repaired_samples = converter.repaired_samples
        return samples


def _as_frames(samples: NDArray[Any]) -> Frames:
    """Return float32 (n, channels) in [-1, 1]."""
    if samples.ndim in {1, 2} and not samples.size:
        raise ValueError("the array has no samples")
    if samples.ndim not in {1, 2}:
        raise ValueError(f"samples must be (n,) or (n, channels), not {samples.shape}")
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        raise ValueError(
            f"samples must be (n,) or (n, channels) with at most {MOST_CHANNELS} channels, not {samples.shape}: transpose them"
        )
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    if samples.dtype.kind == "f":
        return np.asarray(samples, np.float32)
    if samples.dtype in {np.dtype(np.int16), np.dtype(np.int32)}:
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    raise TypeError(f"samples must be floats, int16 or int32, not {samples.dtype}")
