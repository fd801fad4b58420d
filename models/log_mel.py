"""AST's features in NumPy: they are there before PyTorch is loaded, and a few rows at a time are fast."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SAMPLE_RATE_HZ = 16_000
_FRAME_LENGTH = 400
FRAME_SHIFT = 160
"""Samples between rows: 10 ms."""
_FFT_LENGTH = 512
_BINS = 128
_LOWEST_HZ, _HIGHEST_HZ = 20.0, 8000.0
_PREEMPHASIS = np.float32(0.97)
_FLOOR = np.finfo(np.float32).eps


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the rows of one waveform.

    Torch would wake its threads at each call, which takes longer than the arithmetic and slows down the network.

    Parameters
    ----------
    samples : float32 (n,)
        16 kHz mono in [-1, 1].

    Returns
    -------
    float32 (rows, 128)
        Rows as from `frontends.fbank`, within 1e-3 for energies above rounding errors.
    """
    if len(samples) < _FRAME_LENGTH:
        return np.empty((0, _BINS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME_LENGTH)[::FRAME_SHIFT]
    frames = frames - frames.mean(-1, keepdims=True)
    previous = np.concatenate((frames[:, :1], frames[:, :-1]), -1)
    hann, bank = tables()
    spectrum = np.fft.rfft((frames - _PREEMPHASIS * previous) * hann, _FFT_LENGTH)
    energies = np.square(np.abs(spectrum)).astype(np.float32) @ bank
    rows: NDArray[np.float32] = np.log(np.maximum(energies, _FLOOR))
    return rows


@lru_cache(maxsize=1)
def tables() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the symmetric Hann window (400,), and the triangles (257, 128) of Kaldi's mel scale, ``1127 ln(1 + f / 700)``."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), _BINS + 2)
    mels = _mel(np.arange(_FFT_LENGTH // 2) * _SAMPLE_RATE_HZ / _FFT_LENGTH)[:, None]  # (256, 1)
    width = edges[1] - edges[0]
    triangles = np.maximum(0.0, np.minimum(mels - edges[:-2], edges[2:] - mels) / width)
    bank = np.vstack((triangles, np.zeros(_BINS))).astype(np.float32)  # the Nyquist bin has no weight
    return np.hanning(_FRAME_LENGTH).astype(np.float32), bank


def _mel(frequency_hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(frequency_hz) / 700.0))
