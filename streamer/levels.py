"""How loud, how high and how clipped samples are: sums that can be added up, and the bounds of what is well."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .messages import LEVEL_FRAME_SAMPLES, Samples

LOWEST_DBFS = -120.0
"""The level of digital silence."""

FULL_SCALE = 0.999
MOST_CLIPPED = 0.001
"""Of all samples; a single peak at full scale is none to mind."""

FAINT_DBFS = -80.0
"""Below the noise of the cheapest microphone in the quietest room, at any usual gain."""


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """What a stretch of sound adds up to; the sum of two is that of both stretches.

    Attributes
    ----------
    samples : int
        How many there are.
    total, energy : float
        The sum of the samples, and that of their squares.
    peak : float
        The highest size.
    clipped : int
        How many are at full scale.
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
        """RMS in dB relative to full scale, -120 at the lowest."""
        return decibels((self.energy / max(1, self.samples)) ** 0.5)

    @property
    def peak_dbfs(self) -> float:
        """The highest size in dB relative to full scale, -120 at the lowest."""
        return decibels(self.peak)

    @property
    def is_dead(self) -> bool:
        """Whether every sample is zero, which no microphone that works delivers."""
        return self.peak_dbfs <= LOWEST_DBFS


def decibels(size: float) -> float:
    """Return a size in dB relative to full scale, at least `LOWEST_DBFS`."""
    return max(LOWEST_DBFS, 20.0 * float(np.log10(size))) if size > 0.0 else LOWEST_DBFS


def levels_dbfs(samples: Samples) -> Samples:
    """Levels as `level_dbfs`, float32 (frames,), of each `LEVEL_FRAME_SAMPLES` of samples (n,), counted back from the end."""
    whole = len(samples) // LEVEL_FRAME_SAMPLES * LEVEL_FRAME_SAMPLES
    frames = samples[len(samples) - whole :].reshape(-1, LEVEL_FRAME_SAMPLES)
    power = np.einsum("ij,ij->i", frames, frames) / LEVEL_FRAME_SAMPLES
    with np.errstate(divide="ignore"):  # digital silence
        levels: Samples = np.maximum(10.0 * np.log10(power), np.float32(LOWEST_DBFS))
    return levels


def level_dbfs(samples: Samples) -> float:
    """RMS level of samples (n,) in dB relative to a full-scale square wave, at least `LOWEST_DBFS`."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(LOWEST_DBFS, 10.0 * float(np.log10(power))) if power > 0.0 else LOWEST_DBFS
