"""Mixing of several channels into one, without cancelling their common signal."""

import numpy as np
from numpy.typing import NDArray

from ..messages import Samples

_SPAN_SECONDS = 0.05
"""Time between two decisions about inverted channels, and length of the fade to a new one."""

_DECAY = 0.95
"""Weight of a span's correlation in the next span: it fades over about a second."""

_MIRRORED = -0.5
"""Correlation below which the sum of two equally loud channels is quieter than either of them."""


class Mixer:
    """Average of channels; a channel with inverted polarity is flipped first, so that the channels don't cancel out.

    Channels are inverted on a balanced line, with swapped wires, or between two microphones half a wavelength apart. A
    channel is flipped when its correlation with the sum of the channels before it falls below -0.5, and flipped back when
    the correlation of the flipped channel does; unrelated channels stay as they are. A silent channel counts like any
    other: the average is 6 dB lower with it.

    Decisions are made over spans of 50 ms counted from the first frame, and hold for the following spans with a fade over
    the first of them. The result does not depend on the block sizes, nor on later frames.

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
        """Forget all earlier frames."""
        self._parts: list[NDArray[np.float32]] = []
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
            self._observe(part)
        return np.concatenate(mixed)

    def _gains(self, frames: int) -> NDArray[np.float32]:
        """Return the gains float32 (frames or 1, channels): the signs, or the fade to new ones."""
        if np.array_equal(self._signs, self._signs_before):
            return self._signs[np.newaxis]
        first = self._position + 1
        fade = np.arange(first, first + frames, dtype=np.float32) / np.float32(self._span)
        return self._signs_before + (self._signs - self._signs_before) * fade[:, np.newaxis]

    def _observe(self, part: NDArray[np.float32]) -> None:
        self._parts.append(part)
        self._position += len(part)
        if self._position == self._span:
            span = np.concatenate(self._parts).astype(np.float64)
            span -= span.mean(axis=0)  # an offset is no signal
            self._products = _DECAY * self._products + span.T @ span
            self._signs_before, self._signs = self._signs, self._decide()
            self._parts, self._position = [], 0

    def _decide(self) -> NDArray[np.float32]:
        """Return the signs with which no channel cancels the sum of the channels before it."""
        signs, products = self._signs.copy(), self._products
        for channel in range(1, self._channels):
            before = signs[:channel]
            common = signs[channel] * (before @ products[:channel, channel])
            power = before @ products[:channel, :channel] @ before
            if common < _MIRRORED * np.sqrt(max(power * products[channel, channel], 0)):
                signs[channel] = -signs[channel]
        return signs
