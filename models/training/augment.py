"""Random changes of training examples, so that a model learns what does not matter.

All chance comes from the generator that is handed in: the same seed gives the same changes, on any device.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MASKED = 0.0
"""What a masked cell is: the same as padding, before the normalisation, as in AST's data loader."""


def place(samples: NDArray[np.float32], length: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Bring a sound to a length, as a window of a live stream might hold it.

    Parameters
    ----------
    samples : float32 (n,)
        The sound.
    length : int
        Samples of the window.
    random : numpy Generator
        Decides where.

    Returns
    -------
    float32 (length,)
        A new array: a shorter sound anywhere in it, with digital silence around; of a longer one a random part.
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
        On any device.
    random : numpy Generator
        Decides how much.
    decibels : (float, float)
        Limits of the gain, which is uniform between them. It never takes a peak beyond full scale that was within.

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
        On any device.
    random : numpy Generator
        Decides which noise, where and how much.
    decibels : (float, float)
        Limits of the signal-to-noise ratio, which is uniform between them. The signal's power is that of the samples which are not
        digital silence; what is silent throughout stays so.
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
    """Noise whose power falls with the frequency, from white noise: (batch, n) -> (batch, n)."""
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
        On any device.
    targets : float32 tensor (batch, classes)
        On the same device.
    random : numpy Generator
        Decides who is mixed with whom, and how much.
    alpha : float
        Both parameters of the beta distribution.
    probability : float
        Share of the sounds to which another is added.

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
    """Mask a band of mel bins and a stretch of rows of each window (SpecAugment, Park et al. 2019).

    Parameters
    ----------
    rows : float32 tensor (batch, rows, bins)
        Log-mel rows *before* their normalisation, on any device: the masked cells become 0 there, the value of padding.
    random : numpy Generator
        Decides where, for each window, and how wide: uniform from nothing to the limits.
    bins : int
        The widest band.
    share : float
        The longest stretch, as a share of the rows; AST's 192 of 1,024 are 0.19.

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
    """One stretch of each row, of 0 to `longest` cells: bool (batch, length)."""
    width = random.integers(longest + 1, size=(batch, 1))
    begin = random.integers(length - width + 1)
    position = np.arange(length)
    return (position >= begin) & (position < begin + width)


def _column(values: NDArray[np.float64] | NDArray[np.bool_], like: Tensor) -> Tensor:
    """A value for each example: (batch,) -> tensor (batch, 1) of the type and device of `like`."""
    return torch.from_numpy(values).to(like.device, like.dtype)[:, None]
