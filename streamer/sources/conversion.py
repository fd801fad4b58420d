"""Frames of any rate and channel count in, 16 kHz mono out. The only importer of soxr."""

from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from ..messages import SAMPLE_RATE_HZ, Samples
from .mixing import Mixer

Frames: TypeAlias = NDArray[np.float32]
"""float32 (n, channels) in [-1, 1], at the device's or the file's own rate."""


class Converter:
    """Turns consecutive frames into 16 kHz mono, the same however the frames are cut into blocks.

    Sample ``i`` of the output is the sound at ``i / 16000`` seconds after the first frame: soxr's filter is
    of linear phase and its delay is taken out, so the newest few hundredths of a second wait inside until
    more frames come, or `flush` asks for them. What is 16 kHz mono already passes untouched.

    Values that are not numbers become silence, and values beyond full scale are clipped: a driver's garbage
    must not reach the model as infinities.

    Parameters
    ----------
    rate_hz : float
        Rate of the frames.
    channels : int
        Channels of the frames.
    channel : int, optional
        The channel to take, counted from 1. By default all of them, mixed by `Mixer`.
    """

    def __init__(self, rate_hz: float, channels: int, channel: int | None = None) -> None:
        if channel is not None and not 1 <= channel <= channels:
            raise ValueError(f"channel {channel} of {channels}")
        self.repaired_samples = 0
        self._channel = channel
        self._mixer = Mixer(rate_hz, channels if channel is None else 1)
        self._resampler = (
            None
            if rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, "float32", "HQ")
        )

    def feed(self, frames: Frames) -> Samples:
        """Convert the next frames; what comes out may be of any length, also none.

        Parameters
        ----------
        frames : float32 (n, channels)

        Returns
        -------
        samples : float32 (m,)
        """
        mono = self._mono(frames)
        if self._resampler is None:
            return mono
        return _clipped(self._resampler.resample_chunk(mono))

    def flush(self) -> Samples:
        """Return what still waits inside, and begin anew: the next frames do not continue these ones."""
        self._mixer.reset()
        if self._resampler is None:
            return np.empty(0, np.float32)
        tail: Samples = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
        self._resampler.clear()
        return _clipped(tail)

    def _mono(self, frames: Frames) -> Samples:
        if self._channel is not None:
            frames = frames[:, self._channel - 1 : self._channel]
        sound = np.isfinite(frames)
        if not sound.all():
            self.repaired_samples += int(sound.size - np.count_nonzero(sound))
            frames = np.where(sound, frames, np.float32(0))
        return self._mixer.feed(_clipped(frames))


def _clipped(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(samples, np.float32(-1), np.float32(1))
