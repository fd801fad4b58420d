"""Levels, peaks and clipping of samples, and the limits that usable audio keeps."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .messages import LEVEL_FRAME_SAMPLES, Samples

LOWEST_DBFS = -120.0
"""Level of digital silence."""

FULL_SCALE = 0.999
"""Size from which a sample counts as clipped."""

MAX_CLIPPED_SHARE = 0.001
"""Share of clipped samples that is harmless: a single peak at full scale is no fault."""

FAINT_DBFS = -80.0
"""Level below the noise of the cheapest microphone in the quietest room, at any normal gain."""


def decibels(size: float) -> float:
    """Return a size in dB relative to full scale, at least `LOWEST_DBFS`."""
    return max(LOWEST_DBFS, 20.0 * float(np.log10(size))) if size > 0.0 else LOWEST_DBFS


def level_dbfs(samples: Samples) -> float:
    """Return the RMS level of samples (n,) in dB relative to a full-scale square wave, at least `LOWEST_DBFS`."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return decibels(power**0.5)


def levels_dbfs(samples: Samples) -> Samples:
    """Return the level, as `level_dbfs`, of each `LEVEL_FRAME_SAMPLES` of samples (n,), counted back from the end: float32 (frames,)."""
    whole = len(samples) // LEVEL_FRAME_SAMPLES * LEVEL_FRAME_SAMPLES
    frames = samples[len(samples) - whole :].reshape(-1, LEVEL_FRAME_SAMPLES)
    power = np.einsum("ij,ij->i", frames, frames) / LEVEL_FRAME_SAMPLES
    with np.errstate(divide="ignore"):  # digital silence
        levels: Samples = np.maximum(10.0 * np.log10(power), np.float32(LOWEST_DBFS))
    return levels


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """Sums over a stretch of samples; the sum of two is that of both stretches.

    Attributes
    ----------
    samples : int
        Number of samples.
    total, energy : float
        Sum of the samples, and of their squares.
    peak : float
        Largest absolute value.
    clipped : int
        Number of samples at full scale.
    """

    samples: int = 0
    total: float = 0.0
    energy: float = 0.0
    peak: float = 0.0
    clipped: int = 0

    @classmethod
    def of(cls, samples: Samples) -> Self:
        """Sum up samples float32 (n,)."""
        wide = samples.astype(np.float64)
        peak = max(float(wide.max()), -float(wide.min())) if len(wide) else 0.0
        return cls(
            samples=len(wide),
            total=float(wide.sum()),
            energy=float(wide @ wide),
            peak=peak,
            clipped=int(np.count_nonzero(np.abs(wide) >= FULL_SCALE)) if peak >= FULL_SCALE else 0,
        )

    def __add__(self, other: "Amplitudes") -> "Amplitudes":
        return Amplitudes(
            self.samples + other.samples,
            self.total + other.total,
            self.energy + other.energy,
            max(self.peak, other.peak),
            self.clipped + other.clipped,
        )

    @property
    def level_dbfs(self) -> float:
        """RMS level in dB relative to full scale, at least `LOWEST_DBFS`."""
        return decibels((self.energy / max(1, self.samples)) ** 0.5)

    @property
    def peak_dbfs(self) -> float:
        """Peak in dB relative to full scale, at least `LOWEST_DBFS`."""
        return decibels(self.peak)

    @property
    def is_silent(self) -> bool:
        """True if every sample is zero, which no working microphone delivers."""
        return self.peak_dbfs <= LOWEST_DBFS
