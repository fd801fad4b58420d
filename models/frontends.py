"""AST's features: Kaldi log-mel filter banks, for a batch of waveforms on any device.

The results equal `torchaudio.compliance.kaldi.fbank` with the arguments of AST's authors
(`htk_compat=True, use_energy=False, window_type="hanning", num_mel_bins=128, dither=0, frame_shift=10`, 16 kHz).
That function takes one waveform and rebuilds the mel filter bank at each call; this one takes a batch and caches
the bank. AST's data loader also subtracts the waveform's mean; that has no effect, because each frame's mean is
subtracted.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .mel_banks import kaldi_bank

SAMPLE_RATE_HZ = 16_000
FRAME_LENGTH = 400
"""Samples in a frame: 25 ms."""
FRAME_SHIFT = 160
"""Samples between frames: 10 ms."""
ROWS_PER_SECOND = SAMPLE_RATE_HZ // FRAME_SHIFT
FFT_LENGTH = 512
MEL_BINS = 128
LOWEST_HZ = 20.0
PREEMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)
"""Lower limit of energies; its logarithm, -15.94, is digital silence."""

AUDIOSET_MEAN = -4.2677393
AUDIOSET_STD = 4.5689974


def row_count(samples: int) -> int:
    """Return the number of rows (frames) of `samples` samples: 0 for less than one frame."""
    return 0 if samples < FRAME_LENGTH else 1 + (samples - FRAME_LENGTH) // FRAME_SHIFT


@lru_cache(maxsize=8)
def _mel_bank(bins: int, device: torch.device) -> Tensor:
    """Return Kaldi's triangular filters: (FFT_LENGTH / 2 + 1, bins)."""
    bank = kaldi_bank(
        bins,
        fft=FFT_LENGTH,
        rate_hz=SAMPLE_RATE_HZ,
        lowest_hz=LOWEST_HZ,
        highest_hz=SAMPLE_RATE_HZ / 2,
    )
    return bank.to(device)


@lru_cache(maxsize=8)
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(FRAME_LENGTH, periodic=False, device=device)


def fbank(samples: Tensor, bins: int = MEL_BINS) -> Tensor:
    """Compute log-mel filter banks.

    Parameters
    ----------
    samples : float32 tensor (..., n)
        16 kHz mono in [-1, 1], on any device.
    bins : int
        Mel bins between 20 Hz and 8 kHz.

    Returns
    -------
    float32 tensor (..., rows, bins)
        Natural logarithm of the mel energies; ``rows = row_count(n)``. Within 1e-5 of
        `torchaudio.compliance.kaldi.fbank` of each waveform.
    """
    rows = row_count(samples.shape[-1])
    if rows == 0:
        return samples.new_empty((*samples.shape[:-1], 0, bins))
    frames = samples.unfold(-1, FRAME_LENGTH, FRAME_SHIFT)  # (..., rows, 400)
    frames = frames - frames.mean(-1, keepdim=True)
    previous = torch.cat((frames[..., :1], frames[..., :-1]), -1)
    frames = (frames - PREEMPHASIS * previous) * _hann(samples.device)
    power = torch.fft.rfft(frames, n=FFT_LENGTH).abs().square()  # (..., rows, 257)
    energies: Tensor = power @ _mel_bank(bins, samples.device)
    return energies.clamp_min(FLOOR).log()


def input_rows(features: Tensor, rows: int, mean: float = AUDIOSET_MEAN, std: float = AUDIOSET_STD) -> Tensor:
    """Convert features to the input of AST: a fixed number of normalised rows.

    Parameters
    ----------
    features : float32 tensor (..., m, bins)
        Features from `fbank`.
    rows : int
        Rows of the result: missing rows are zeros at the end, in the log-mel domain; excess rows are cut.
    mean, std : float
        Mean and deviation of the model's training data; AST divides by twice the deviation.

    Returns
    -------
    float32 tensor (..., rows, bins)
    """
    padded = F.pad(features[..., :rows, :], (0, 0, 0, max(0, rows - features.shape[-2])))
    return (padded - mean) / (2.0 * std)


@dataclass(frozen=True, slots=True)
class AstFrontEnd:
    """Front end of an AST: every window has the same number of rows.

    Attributes
    ----------
    rows, bins : int
        Rows and mel bins of the input.
    mean, std : float
        Normalisation of the rows, as for `input_rows`.
    """

    rows: int
    bins: int
    mean: float
    std: float

    @property
    def window_samples(self) -> int:
        """Number of samples in a full window; the last two rows of 10.24 s are padded."""
        return self.rows * FRAME_SHIFT

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins)."""
        return input_rows(fbank(samples, self.bins), self.rows, self.mean, self.std)
