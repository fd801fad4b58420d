"""Places of a clip in a window: its label is the same at any place, alone or repeated, near or far.

Each place is a function of a clip's samples (float32 (n,), 16 kHz), the window's length in samples, at least n, and a random generator;
it returns the window's samples (float32).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..frontends import SAMPLE_RATE_HZ
from .pack import Samples

Place: TypeAlias = Callable[[Samples, int, np.random.Generator], Samples]

FOLLOWED_BY_SILENCE, CLIP_ALONE = "followed by silence", "clip alone"

_PAUSE_SECONDS = (0.5, 2.0)
_QUIETER_DB = (0.0, 30.0)
_DECAY_SECONDS = (0.2, 0.8)
"""Time in which the reverberation falls by 60 dB."""
_DIRECT_DB = (-3.0, 10.0)
"""Ratio of the energies of direct sound and reverberation."""
_MICROPHONE_DBFS = (-65.0, -55.0)
"""RMS level of a microphone's noise."""
_LOWEST_NOISE_HZ = 20.0


def _followed_by_silence(clip: Samples, length: int, _random: np.random.Generator) -> Samples:
    return _at(0, clip, length)


def _alone(clip: Samples, _length: int, _random: np.random.Generator) -> Samples:
    """Return the clip unchanged; the tagger pads it, as it pads the first seconds of a session and short files."""
    return clip


def _in_the_middle(clip: Samples, length: int, _random: np.random.Generator) -> Samples:
    return _at((length - len(clip)) // 2, clip, length)


def _at_the_end(clip: Samples, length: int, _random: np.random.Generator) -> Samples:
    return _at(length - len(clip), clip, length)


def _repeated(clip: Samples, length: int, random: np.random.Generator) -> Samples:
    """Repeat the clip from the window's start, with pauses between; the last one is cut off at the window's end."""
    window = np.zeros(length, np.float32)
    start = 0
    while start < length:
        room = window[start : start + len(clip)]
        room[:] = clip[: len(room)]
        start += len(clip) + round(random.uniform(*_PAUSE_SECONDS) * SAMPLE_RATE_HZ)
    return window


def _in_a_room(clip: Samples, length: int, random: np.random.Generator) -> Samples:
    """Place the clip at random, quieter, with reverberation and the noise of a microphone; attenuate it if it would clip."""
    dry = _at(int(random.integers(length - len(clip) + 1)), clip, length)
    gain = _amplitude(-random.uniform(*_QUIETER_DB))
    noise_rms = _amplitude(random.uniform(*_MICROPHONE_DBFS))
    window = gain * _reverberate(dry, random) + noise_rms * _pink_noise(length, random)
    return np.asarray(window / max(1.0, np.abs(window).max()), np.float32)


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        FOLLOWED_BY_SILENCE: _followed_by_silence,
        CLIP_ALONE: _alone,
        "in the middle": _in_the_middle,
        "at the end": _at_the_end,
        "repeated": _repeated,
        "in a room": _in_a_room,
    }
)
"""Places by name."""

DEFAULT_PLACES = (FOLLOWED_BY_SILENCE, CLIP_ALONE)


def _at(start: int, clip: Samples, length: int) -> Samples:
    """Return the clip in digital silence."""
    return np.pad(clip, (start, length - start - len(clip)))


def _reverberate(dry: Samples, random: np.random.Generator) -> NDArray[np.float64]:
    """Convolve with a direct sound and noise that decays exponentially (Polack 1988), of unit energy together; cut to the same length."""
    seconds = random.uniform(*_DECAY_SECONDS)
    direct_share = 1 / (1 + 10 ** (-random.uniform(*_DIRECT_DB) / 10))
    count = round(seconds * SAMPLE_RATE_HZ)
    tail = random.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    response = np.sqrt(1 - direct_share) * tail / np.linalg.norm(tail)
    response[0] = np.sqrt(direct_share)
    size = 1 << (len(dry) + count).bit_length()  # a fast transform, and nothing wraps around
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)
    return np.asarray(wet[: len(dry)], np.float64)


def _pink_noise(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return noise of equal power in each octave, at an RMS of 1."""
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ), _LOWEST_NOISE_HZ)
    noise = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) / np.sqrt(hertz), count)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))))


def _amplitude(decibel: float) -> float:
    return float(10 ** (decibel / 20))
