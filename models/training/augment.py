"""Augmentation: random changes of training examples.

All randomness comes from the given generator: the same seed gives the same changes, on any device.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MASKED = 0.0
"""Value of a masked cell: that of padding, before the normalisation, as in AST's data loader."""


def place(samples: NDArray[np.float32], length: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Place a sound at random in a window, as in a live stream.

    Parameters
    ----------
    samples : float32 (n,)
        Sound.
    length : int
        Number of samples in the window.
    random : numpy Generator
        Source of the place.

    Returns
    -------
    float32 (length,)
        New array: a shorter sound at a random place in digital silence, or a random part of a longer one.
    """
    begin = int(random.integers(abs(length - len(samples)) + 1))
    if len(samples) >= length:
        return samples[begin : begin + length].copy()
    window = np.zeros(length, np.float32)
    window[begin : begin + len(samples)] = samples
    return window


def random_gain(
    samples: Tensor, random: np.random.Generator, decibels: tuple[float, float] = (-12.0, 6.0)
) -> Tensor:
    """Make each sound louder or softer.

    Parameters
    ----------
    samples : float32 tensor (batch, n)
        Sounds, on any device.
    random : numpy Generator
        Source of the gains.
    decibels : (float, float)
        Limits of the gain, which is uniform between them, and never raises a peak above full scale.

    Returns
    -------
    float32 tensor (batch, n)
    """
    gain = _column(10 ** (random.uniform(*decibels, len(samples)) / 20), samples)
    headroom = 1 / samples.abs().amax(-1, keepdim=True).clamp_min(1e-6)
    return samples * torch.minimum(gain, headroom.clamp_min(1.0))


def add_noise(
    samples: Tensor,
    random: np.random.Generator,
    decibels: tuple[float, float] = (5.0, 40.0),
    probability: float = 1.0,
) -> Tensor:
    """Add noise, white or pink with equal chances, to the whole of a window.

    Parameters
    ----------
    samples : float32 tensor (batch, n)
        Sounds, on any device.
    random : numpy Generator
        Source of the noise and its level.
    decibels : (float, float)
        Limits of the signal-to-noise ratio, which is uniform between them. The signal's power is that of the samples which are not
        digital silence; a silent window stays silent.
    probability : float
        Share of the windows that get noise.

    Returns
    -------
    float32 tensor (batch, n)
    """
    batch, count = samples.shape
    pink, noisy = random.random(batch) < 0.5, random.random(batch) < probability
    level = 10 ** (-random.uniform(*decibels, batch) / 20) * noisy
    white = torch.from_numpy(random.standard_normal((batch, count), np.float32)).to(samples.device)
    power = samples.square().sum(-1, keepdim=True) / (samples != 0).sum(-1, keepdim=True).clamp_min(1)
    noise = torch.where(_column(pink, samples) > 0, _pink(white), white)
    noise = noise / noise.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-12)
    return samples + noise * power.sqrt() * _column(level, samples)


def _pink(white: Tensor) -> Tensor:
    """Make noise whose power falls with the frequency from white noise: (batch, n) -> (batch, n)."""
    spectrum = torch.fft.rfft(white)
    spectrum[:, 0] = 0
    falling = torch.arange(spectrum.shape[1], device=white.device).clamp_min(1).rsqrt()
    pink: Tensor = torch.fft.irfft(spectrum * falling, n=white.shape[1])
    return pink


def mix_up(
    samples: Tensor,
    targets: Tensor,
    random: np.random.Generator,
    alpha: float = 10.0,
    probability: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Add another sound of the batch to a sound, and its share of the labels (Tokozume et al. 2018; Zhang et al. 2018).

    As AST does, the weights are lambda and 1 - lambda with lambda from Beta(10, 10), for the waveforms and for the labels.

    Parameters
    ----------
    samples : float32 tensor (batch, n)
        Sounds, on any device.
    targets : float32 tensor (batch, classes)
        Targets, on the same device.
    random : numpy Generator
        Source of the pairs and weights.
    alpha : float
        Both parameters of the beta distribution.
    probability : float
        Share of the sounds that are mixed with another.

    Returns
    -------
    samples, targets : float32 tensors (batch, n), (batch, classes)
    """
    batch = len(samples)
    partner = torch.from_numpy(random.permutation(batch)).to(samples.device)
    weight = random.beta(alpha, alpha, batch)
    weights = _column(np.where(random.random(batch) < probability, weight, 1.0), samples)
    return (
        weights * samples + (1 - weights) * samples[partner],
        weights * targets + (1 - weights) * targets[partner],
    )


def mask_rows(rows: Tensor, random: np.random.Generator, bins: int = 48, share: float = 0.2) -> Tensor:
    """Mask a band of mel bins and a span of rows of each window (SpecAugment, Park et al. 2019).

    Parameters
    ----------
    rows : float32 tensor (batch, rows, bins)
        Log-mel rows *before* their normalisation, on any device: the masked cells become 0 there, the value of padding.
    random : numpy Generator
        Source of the place and the width, which is uniform from 0 to the limits.
    bins : int
        Maximum width of the band.
    share : float
        Maximum length of the span, as a share of the rows; AST's 192 of 1,024 are 0.19.

    Returns
    -------
    float32 tensor (batch, rows, bins)
    """
    batch, row_count, bin_count = rows.shape
    in_bins = _stretches(batch, bin_count, min(bins, bin_count), random)  # (batch, bins)
    in_rows = _stretches(batch, row_count, int(share * row_count), random)  # (batch, rows)
    masked = torch.from_numpy(in_bins[:, None, :] | in_rows[:, :, None])
    return rows.masked_fill(masked.to(rows.device), MASKED)


def _stretches(batch: int, length: int, longest: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Return one span of 0 to `longest` cells for each row: bool (batch, length)."""
    width = random.integers(longest + 1, size=(batch, 1))
    begin = random.integers(length - width + 1)
    position = np.arange(length)
    return (position >= begin) & (position < begin + width)


def _column(values: NDArray[np.float64] | NDArray[np.bool_], like: Tensor) -> Tensor:
    """Convert a value for each example, (batch,), to a tensor (batch, 1) of the type and device of `like`."""
    return torch.from_numpy(values).to(like.device, like.dtype)[:, None]
