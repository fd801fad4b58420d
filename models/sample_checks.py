"""Checks of what taggers are asked for: windows and samples. NumPy only."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAMPLE_RATE_HZ = 16_000
SHORTEST_WINDOW_SECONDS = 1.0
LONGEST_WINDOW_SECONDS = 10.24

LOUDEST = 16.0
"""Largest accepted absolute sample value; samples beyond it are in another unit."""


def checked_windows(samples: ArrayLike, longest_samples: int) -> NDArray[np.float32]:
    """Return samples as contiguous windows, float32 (batch, n).

    Parameters
    ----------
    samples : array of floats, (batch, n) or (n,)
        16 kHz mono in [-1, 1].
    longest_samples : int
        Largest n.

    Raises
    ------
    ValueError
        The shape or type is wrong, a window is too long, or a sample is not finite or far beyond [-1, 1].
    """
    given = np.asarray(samples)
    if not np.issubdtype(given.dtype, np.floating):
        raise ValueError(
            f"samples must be floating-point numbers in [-1, 1], not {given.dtype}: divide int16 by 32768"
        )
    array = np.atleast_2d(given.astype(np.float32))
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"samples must be (batch, n) or (n,), and not empty: their shape is {np.shape(samples)}"
        )
    if array.shape[0] > array.shape[1]:
        raise ValueError(
            f"samples of shape {array.shape} hold more windows than samples: transpose them, or average the channels"
        )
    if array.shape[1] > longest_samples:
        raise ValueError(
            f"a window has at most {longest_samples} samples ({longest_samples / SAMPLE_RATE_HZ:g} s), "
            f"not {array.shape[1]}: cut the sound into windows"
        )
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite numbers: replace NaN and infinity by 0")
    if np.abs(array).max() > LOUDEST:
        raise ValueError("samples must be in [-1, 1]: divide int16 samples by 32768")
    return np.ascontiguousarray(array)


def require_window_length(window_seconds: float | None) -> None:
    """Raise ValueError unless the length of a window, if one is given, is in range."""
    if window_seconds is not None and not (
        SHORTEST_WINDOW_SECONDS <= window_seconds <= LONGEST_WINDOW_SECONDS
    ):
        raise ValueError(
            f"window_seconds must be {SHORTEST_WINDOW_SECONDS:g} to {LONGEST_WINDOW_SECONDS:g}, not {window_seconds}"
        )
