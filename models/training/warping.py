"""Mel energies of a sound at another pitch: new sounds from stored energies."""

import torch
from torch import Tensor

from .. import frontends


def mel(hertz: Tensor) -> Tensor:
    """Frequencies -> positions on the mel scale ``1127 ln(1 + f / 700)``."""
    return 1127.0 * (hertz / 700.0).log1p()


def warp_matrix(bins: int, band_hz: tuple[float, float], pitch: float) -> Tensor:
    """Return the matrix that moves mel energies to where they are at another pitch.

    The energies at ``f / pitch`` are interpolated linearly, and right up to a gain of less than 4 dB, which is the same at all frequencies. Above the
    highest filter, and above the highest frequency of sound at 16 kHz, there is nothing.

    Parameters
    ----------
    bins : int
        Number of triangular filters, evenly spaced on the mel scale.
    band_hz : (float, float)
        Edges of the lowest and the highest filter.
    pitch : float
        Factor of the frequencies, above 0.

    Returns
    -------
    float32 tensor (bins, bins)
        Matrix to multiply energies (rows, bins) by.
    """
    lowest, highest = mel(torch.tensor(band_hz, dtype=torch.float64))
    step = (highest - lowest) / (bins + 1)
    centres = 700.0 * ((lowest + step * torch.arange(1, bins + 1)) / 1127.0).expm1()
    origin = centres / pitch
    place = ((mel(origin) - lowest) / step - 1).clamp_min(0.0)
    distance = (place[None] - torch.arange(bins)[:, None]).abs()  # (from, to)
    wider = (centres + 700.0) / (origin + 700.0)  # a filter's width rises with its frequency
    matrix: Tensor = (1 - distance).clamp_min(0.0) * wider * (centres < frontends.SAMPLE_RATE_HZ / 2)
    return matrix.float()
