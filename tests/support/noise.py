"""Limits of the standards for sound level meters and third-octave filters, and sounds to measure."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

INFINITE = float("inf")

WEIGHTING_LIMITS_DB: dict[float, tuple[float, float, float, float]] = {
    10: (3.0, INFINITE, 5.0, INFINITE),
    12.5: (2.5, INFINITE, 5.0, INFINITE),
    16: (2.0, 4.0, 5.0, INFINITE),
    20: (2.0, 2.0, 3.0, 3.0),
    25: (2.0, 1.5, 3.0, 3.0),
    31.5: (1.5, 1.5, 3.0, 3.0),
    40: (1.0, 1.0, 2.0, 2.0),
    50: (1.0, 1.0, 2.0, 2.0),
    63: (1.0, 1.0, 2.0, 2.0),
    80: (1.0, 1.0, 2.0, 2.0),
    100: (1.0, 1.0, 1.5, 1.5),
    125: (1.0, 1.0, 1.5, 1.5),
    160: (1.0, 1.0, 1.5, 1.5),
    200: (1.0, 1.0, 1.5, 1.5),
    250: (1.0, 1.0, 1.5, 1.5),
    315: (1.0, 1.0, 1.5, 1.5),
    400: (1.0, 1.0, 1.5, 1.5),
    500: (1.0, 1.0, 1.5, 1.5),
    630: (1.0, 1.0, 1.5, 1.5),
    800: (1.0, 1.0, 1.5, 1.5),
    1000: (0.7, 0.7, 1.0, 1.0),
    1250: (1.0, 1.0, 1.5, 1.5),
    1600: (1.0, 1.0, 2.0, 2.0),
    2000: (1.0, 1.0, 2.0, 2.0),
    2500: (1.0, 1.0, 2.5, 2.5),
    3150: (1.0, 1.0, 2.5, 2.5),
    4000: (1.0, 1.0, 3.0, 3.0),
    5000: (1.5, 1.5, 3.5, 3.5),
    6300: (1.5, 2.0, 4.5, 4.5),
}
"""Limits of IEC 61672-1:2013, table 3, by nominal frequency: class 1 up and down, class 2 up and down."""

A_WEIGHTING_DB: dict[float, float] = {
    31.5: -39.4,
    63: -26.2,
    125: -16.1,
    250: -8.6,
    500: -3.2,
    1000: 0.0,
    2000: 1.2,
    4000: 1.0,
    6300: -0.1,
}
"""Values of the weighting A in the same table, to a tenth of a dB."""

BAND_LIMITS_DB: tuple[tuple[float, float, float, float, float], ...] = (
    (1.0, -0.3, 0.3, -0.5, 0.5),
    (1.02667, -0.3, 0.4, -0.5, 0.6),
    (1.05575, -0.3, 0.6, -0.5, 0.8),
    (1.08746, -0.3, 1.3, -0.5, 1.6),
    (1.12202, 2.0, 5.0, 1.6, 5.5),
    (1.29437, 17.5, INFINITE, 16.5, INFINITE),
    (1.88173, 42.0, INFINITE, 41.0, INFINITE),
    (3.05365, 61.0, INFINITE, 55.0, INFINITE),
    (5.39195, 70.0, INFINITE, 60.0, INFINITE),
)
"""Limits of the attenuation in IEC 61260:1995, table 1 (those of 2014 are wider): ratio to the centre, class 1, class 2."""


def exact_hz(nominal_hz: float) -> float:
    """Return the exact base-ten frequency of a nominal one."""
    return float(1000.0 * 10.0 ** (round(10.0 * math.log10(nominal_hz / 1000.0)) / 10.0))


def tone(frequency_hz: float, seconds: float, *, level_dbfs: float = 0.0) -> Samples:
    """Return a sine of an RMS level."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sine = np.sqrt(2.0) * 10.0 ** (level_dbfs / 20.0) * np.sin(2.0 * np.pi * frequency_hz * time + 0.3)
    return np.asarray(sine, np.float32)


def noise(seconds: float, *, level_dbfs: float = -20.0, seed: int = 0) -> Samples:
    """Return white noise of an RMS level."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE_HZ))
    return np.asarray(samples * 10.0 ** (level_dbfs / 20.0), np.float32)


def in_chunks(
    samples: Samples, sizes: int | NDArray[np.int64] = 1600, *, start_sample: int = 0, began_at: float = 0.0
) -> Iterator[AudioChunk]:
    """Cut samples into chunks of a size, or of sizes in turn."""
    turn = np.atleast_1d(np.asarray(sizes))
    position = number = 0
    while position < len(samples):
        part = samples[position : position + int(turn[number % len(turn)])]
        start = start_sample + position
        yield AudioChunk(part, start, began_at + start / SAMPLE_RATE_HZ)
        position += len(part)
        number += 1
