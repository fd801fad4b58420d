"""Several channels in, one out, without cancelling what they have in common."""

import numpy as np
from numpy.typing import NDArray

from ..messages import Samples

_SPAN_SECONDS = 0.05
"""How often is decided which channels are turned over, and how long turning takes."""

_MEMORY = 0.95
"""What a span's evidence still counts in the next one: it is forgotten over a second."""

_MIRRORED = -0.5
"""Correlation below which adding two equally loud channels makes less than either of them."""


class Mixer:
    """Averages channels; one that is the mirror image of those before it is turned over first, so that they don't cancel out.

    That is so with a balanced line on two channels, a microphone with swapped wires, and two microphones half a wavelength apart. A
    channel is turned over when its correlation with the sum of those before it falls below -0.5, and back when it is below -0.5 as
    it is then: what is unrelated stays as it is. A dead channel counts as any other: the average with it is 6 dB lower.

    Decisions are made over spans of 50 ms counted from the first frame and hold for the spans after, faded over one of them: the result is
    the same however the frames are cut, and needs none of the frames to come.

    Parameters
    ----------
    rate_hz : float
        Rate of the frames.
    channels : int
        Channels of the frames.
    """

    def __init__(self, rate_hz: float, channels: int) -> None:
        self._span = max(1, round(rate_hz * _SPAN_SECONDS))
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Begin anew: the next frames do not continue those before."""
        self._heard: list[NDArray[np.float32]] = []
        self._position = 0
        self._products = np.zeros((self._channels, self._channels))
        self._signs = self._signs_before = np.ones(self._channels, np.float32)

    def feed(self, frames: NDArray[np.float32]) -> Samples:
        """Mix the next frames.

        Parameters
        ----------
        frames : float32 (n, channels)
            Finite.

        Returns
        -------
        samples : float32 (n,)
        """
        if self._channels == 1:
            return frames[:, 0]
        mixed = [np.empty(0, np.float32)]
        while len(frames):
            part, frames = np.split(frames, [self._span - self._position])
            mixed.append((part * self._gains(len(part))).mean(axis=1, dtype=np.float32))
            self._heed(part)
        return np.concatenate(mixed)

    def _gains(self, frames: int) -> NDArray[np.float32]:
        """Float32 (frames, channels): the signs, or the way to them while they are new."""
        if np.array_equal(self._signs, self._signs_before):
            return self._signs[np.newaxis]
        first = self._position + 1
        fade = np.arange(first, first + frames, dtype=np.float32) / np.float32(self._span)
        return self._signs_before + (self._signs - self._signs_before) * fade[:, np.newaxis]

    def _heed(self, part: NDArray[np.float32]) -> None:
        self._heard.append(part)
        self._position += len(part)
        if self._position == self._span:
            span = np.concatenate(self._heard).astype(np.float64)
            span -= span.mean(axis=0)  # an offset is no sound
            self._products = _MEMORY * self._products + span.T @ span
            self._signs_before, self._signs = self._signs, self._decided()
            self._heard, self._position = [], 0

    def _decided(self) -> NDArray[np.float32]:
        """Turn each channel over that cancels the sum of those before it, one after the other."""
        signs, products = self._signs.copy(), self._products
        for channel in range(1, self._channels):
            before = signs[:channel]
            in_common = signs[channel] * (before @ products[:channel, channel])
            power = before @ products[:channel, :channel] @ before
            if in_common < _MIRRORED * np.sqrt(max(power * products[channel, channel], 0)):
                signs[channel] = -signs[channel]
        return signs
