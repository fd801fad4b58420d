"""Variations of an example: the same sound elsewhere in a window, louder or softer, in noise and in rooms."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..frontends import SAMPLE_RATE_HZ
from ..training.augment import add_noise, place, random_gain

Floats = NDArray[np.float32]

_GAIN_DB = (-6.0, 6.0)
_NOISE_DB = (5.0, 20.0)
_SHARE_NOISY = 0.5
_SHARE_IN_ROOM = 0.3
_DECAY_SECONDS = (0.15, 0.8)
"""Limits of the time in which a room's reverberation falls by 60 dB."""
_DIRECT_DB = (0.0, 12.0)
"""Limits of the ratio of direct sound to reverberation."""
_FLOOR_DBFS = (-75.0, -50.0)
"""Limits of the level of a quiet room."""


def variations(example: Floats, length: int, count: int, random: np.random.Generator) -> Floats:
    """Make windows that contain an example.

    Parameters
    ----------
    example : float32 (n,)
        Sound at 16 kHz; of a sound longer than the window, each variation has a part.
    length : int
        Samples in a window.
    count : int
        Number of variations.
    random : numpy Generator
        Source of all changes: the same seed gives the same windows.

    Returns
    -------
    float32 (count, length)
    """
    placed = np.stack([place(example, length, random) for _ in range(count)])
    windows = _in_rooms(torch.from_numpy(placed), random)
    windows = add_noise(random_gain(windows, random, _GAIN_DB), random, _NOISE_DB, _SHARE_NOISY)
    return in_quiet_room(windows.numpy(), random)


def in_quiet_room(windows: Floats, random: np.random.Generator) -> Floats:
    """Add the faint noise of a quiet room and its microphone to windows (batch, n)."""
    level = 10 ** (random.uniform(*_FLOOR_DBFS, (len(windows), 1)) / 20)
    noise = random.standard_normal(windows.shape, np.float32) * level.astype(np.float32)
    noisy: Floats = np.clip(windows + noise, -1.0, 1.0)
    return noisy


def _in_rooms(windows: Tensor, random: np.random.Generator) -> Tensor:
    """Add reverberation to some of the windows (batch, n)."""
    return torch.stack(
        [_reverberant(window, random) if random.random() < _SHARE_IN_ROOM else window for window in windows]
    )


def _reverberant(samples: Tensor, random: np.random.Generator) -> Tensor:
    """Add reverberation: noise that decays exponentially (Moorer 1979)."""
    seconds = random.uniform(*_DECAY_SECONDS)
    time = np.arange(1, round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (-random.uniform(*_DIRECT_DB) / 20) / np.sqrt(np.square(tail).sum())
    response = torch.from_numpy(np.concatenate(([1.0], tail)).astype(np.float32))
    size = len(samples) + len(response) - 1
    spectrum = torch.fft.rfft(samples, size) * torch.fft.rfft(response, size)
    reverberant: Tensor = torch.fft.irfft(spectrum, size)[: len(samples)]
    return reverberant
