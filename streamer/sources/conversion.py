"""Conversion of frames of any rate and channel count to 16 kHz mono. The only importer of soxr."""

import logging
from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from ..messages import SAMPLE_RATE_HZ, Samples
from ..runtime.logs import warn_once
from .ffmpeg.decoder import UnsupportedFormat
from .mixing import Mixer

_log = logging.getLogger(__name__)

_OVERLOAD = 2.0
"""Magnitude that no healthy recording reaches: lossy formats overshoot full scale by a few decibels at most."""

_OVERLOAD_SECONDS = 0.05
"""Duration of audio at that magnitude that is no mere defect."""

Frames: TypeAlias = NDArray[np.float32]
"""Frames float32 (n, channels) in [-1, 1], at the rate of the device or file."""


class Converter:
    """Converter of consecutive frames to 16 kHz mono; the result does not depend on the block sizes.

    Sample ``i`` of the output is the sound at ``i / 16000`` seconds after the first frame: soxr's filter has
    linear phase and its delay is compensated, so the newest few hundredths of a second stay in the converter until
    more frames arrive, or until `flush`. 16 kHz mono passes unchanged.

    NaN and infinite values become silence, and values beyond full scale are clipped, so that garbage from a driver
    never reaches the model.

    Parameters
    ----------
    rate_hz : float
        Rate of the frames.
    channels : int
        Channels of the frames.
    channel : int, optional
        Channel to use, counted from 1. By default all channels are mixed by `Mixer`.

    Attributes
    ----------
    repaired_samples : int
        NaN or infinite samples that became silence so far.
    peak : float
        Largest magnitude so far, before clipping at 1.
    overloaded_samples : int
        Samples far beyond full scale so far.
    """

    def __init__(self, rate_hz: float, channels: int, channel: int | None = None) -> None:
        if channel is not None and not 1 <= channel <= channels:
            raise ValueError(f"channel {channel} of {channels}")
        self.repaired_samples = 0
        self.peak = 0.0
        self.overloaded_samples = 0
        self._channel = channel
        self._mixer = Mixer(rate_hz, channels if channel is None else 1)
        self._resampler = (
            None
            if rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, "float32", "HQ")
        )

    def feed(self, frames: Frames) -> Samples:
        """Convert the next frames; the result may have any length, also 0.

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
        """Return the remaining samples and reset; the next frames begin a new stretch."""
        self._mixer.reset()
        if self._resampler is None:
            return np.empty(0, np.float32)
        tail: Samples = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
        self._resampler.clear()
        return _clipped(tail)

    def _mono(self, frames: Frames) -> Samples:
        if self._channel is not None:
            frames = frames[:, self._channel - 1 : self._channel]
        finite = np.isfinite(frames)
        if not finite.all():
            self.repaired_samples += int(finite.size - np.count_nonzero(finite))
            frames = np.where(finite, frames, np.float32(0))
        if (peak := float(np.abs(frames).max(initial=0))) > _OVERLOAD:
            self.overloaded_samples += int(np.count_nonzero(np.abs(frames) > _OVERLOAD))
        self.peak = max(self.peak, peak)
        return self._mixer.feed(_clipped(frames))


class FormatConverter:
    """Converter of consecutive frames whose sample rate and number of channels may change.

    Parameters
    ----------
    channel : int, optional
        Channel to use, counted from 1; where there is only one later, it is used. By default all channels are mixed.
    name : str
        Name for a log line about samples far beyond full scale; empty for none.

    Attributes
    ----------
    repaired_samples : int
        NaN or infinite samples that became silence so far.
    """

    def __init__(self, channel: int | None = None, name: str = "") -> None:
        self.repaired_samples = 0
        self._channel = channel
        self._name = name
        self._format: tuple[float, int] | None = None
        self._converter: Converter | None = None

    def feed(self, frames: Frames, rate_hz: float) -> Samples:
        """Convert the next frames float32 (n, channels); at a change, the result begins with the rest of those before it.

        Raises
        ------
        UnsupportedFormat
            There is no such channel.
        """
        rest = np.empty(0, np.float32)
        converter = self._converter
        if converter is None or self._format != (rate_hz, frames.shape[1]):
            rest = self.flush()
            converter = self._converter = self._new_converter(rate_hz, frames.shape[1])
            self._format = (rate_hz, frames.shape[1])
        repaired_before = converter.repaired_samples
        samples = np.concatenate([rest, converter.feed(frames)])
        self.repaired_samples += converter.repaired_samples - repaired_before
        if self._name and converter.overloaded_samples > _OVERLOAD_SECONDS * rate_hz:
            warn_once(
                _log,
                f"{self._name}: samples reach {converter.peak:.1f} times full scale and are clipped; scale them to -1..1",
            )
            self._name = ""
        return samples

    def flush(self) -> Samples:
        """Return the remaining samples; the next frames begin a new stretch."""
        return np.empty(0, np.float32) if self._converter is None else self._converter.flush()

    def _new_converter(self, rate_hz: float, channels: int) -> Converter:
        channel = None if channels == 1 and self._format is not None else self._channel
        if channel is not None and channel > channels:
            choice = "leave it out" if channels == 1 else f"choose one from #1 to #{channels}"
            raise UnsupportedFormat(f"has no channel #{channel}; {choice}")
        return Converter(rate_hz, channels, channel)


def _clipped(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(samples, np.float32(-1), np.float32(1))
