"""Triangular filters on mel scales, from the powers of a spectrum to mel energies.

They are computed in single precision, in the order of torchaudio's operations, so that features are those of its functions; torchaudio itself
can't be imported beside a CPU-only build of PyTorch.
"""

import math

import torch
from torch import Tensor


def kaldi_bank(bins: int, *, fft: int, rate_hz: float, lowest_hz: float, highest_hz: float) -> Tensor:
    """Return Kaldi's filters, whose sides are straight over the mel scale ``1127 ln(1 + f / 700)``.

    Parameters
    ----------
    bins : int
        Number of filters.
    fft : int
        Length of the Fourier transform.
    rate_hz : float
        Sample rate.
    lowest_hz, highest_hz : float
        Edges of the lowest and the highest filter.

    Returns
    -------
    float32 tensor (fft / 2 + 1, bins)
        As from `torchaudio.compliance.kaldi.get_mel_banks`, with a row of zeros for the Nyquist bin.
    """
    lowest, highest = (1127.0 * math.log1p(edge / 700.0) for edge in (lowest_hz, highest_hz))
    step = (highest - lowest) / (bins + 1)
    number = torch.arange(bins)[:, None]
    left, centre, right = (lowest + (number + place) * step for place in (0.0, 1.0, 2.0))
    mels = 1127.0 * (1.0 + (rate_hz / fft * torch.arange(fft // 2))[None] / 700.0).log()
    triangles = torch.minimum((mels - left) / (centre - left), (right - mels) / (right - centre))
    return torch.cat((triangles.clamp_min(0.0), torch.zeros(bins, 1)), 1).T.contiguous()


def htk_bank(bins: int, *, fft: int, rate_hz: float, lowest_hz: float, highest_hz: float) -> Tensor:
    """Return filters whose sides are straight over the frequency, between points of the mel scale ``2595 log10(1 + f / 700)``.

    Parameters as for `kaldi_bank`.

    Returns
    -------
    float32 tensor (fft / 2 + 1, bins)
        As from `torchaudio.functional.melscale_fbanks` with its defaults.
    """
    lowest, highest = (2595.0 * math.log10(1.0 + edge / 700.0) for edge in (lowest_hz, highest_hz))
    points = 700.0 * (10.0 ** (torch.linspace(lowest, highest, bins + 2) / 2595.0) - 1.0)
    slopes = points[None] - torch.linspace(0, rate_hz / 2, fft // 2 + 1)[:, None]
    widths = points.diff()
    return torch.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp_min(0.0)
