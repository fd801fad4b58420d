"""What is wrong with sound: too faint, clipped, dead, with gaps. Pure arithmetic on chunks, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..pipeline import LOWEST_DBFS
from .finding import State

_FULL_SCALE = 0.999
_MOST_CLIPPED = 0.001
"""Of all samples; a single peak at full scale is none to mind."""
_FAINT_DBFS = -80.0
"""Below the noise of the cheapest microphone in the quietest room, at any usual gain."""
_MOST_OFFSET = 0.05


class SoundMeter:
    """Sums up chunks; hours of them take no more memory than one."""

    def __init__(self) -> None:
        self.samples = 0
        self._sum = 0.0
        self._energy = 0.0
        self._peak = 0.0
        self._clipped = 0
        self._gaps = 0
        self._lost = 0

    def hear(self, chunk: AudioChunk) -> None:
        """Take the next chunk of a source."""
        samples = chunk.samples.astype(np.float64)
        sizes = np.abs(samples)
        self.samples += len(samples)
        self._sum += float(samples.sum())
        self._energy += float(np.square(samples).sum())
        self._peak = max(self._peak, float(sizes.max(initial=0.0)))
        self._clipped += int(np.count_nonzero(sizes >= _FULL_SCALE))
        self._gaps += bool(chunk.lost_samples)
        self._lost += chunk.lost_samples

    def sum_up(self, *, repaired_samples: int = 0) -> "Sound":
        """Say what the sound is like so far, with what its source has repaired."""
        count = max(1, self.samples)
        return Sound(
            seconds=self.samples / SAMPLE_RATE_HZ,
            level_dbfs=_decibels((self._energy / count) ** 0.5),
            peak_dbfs=_decibels(self._peak),
            clipped_share=self._clipped / count,
            offset=self._sum / count,
            gaps=self._gaps,
            lost_seconds=self._lost / SAMPLE_RATE_HZ,
            repaired_samples=repaired_samples,
        )


@dataclass(frozen=True, slots=True)
class Sound:
    """What a stretch of sound is like.

    Attributes
    ----------
    seconds : float
        Its length.
    level_dbfs, peak_dbfs : float
        RMS and highest size in dB relative to full scale, -120 at the lowest.
    clipped_share : float
        Of the samples, those at full scale.
    offset : float
        Mean, which is near 0 where the electronics are sound.
    gaps : int
        How often something was lost.
    lost_seconds : float
        Sound lost.
    repaired_samples : int
        Samples that were not numbers.
    """

    seconds: float
    level_dbfs: float
    peak_dbfs: float
    clipped_share: float
    offset: float
    gaps: int
    lost_seconds: float
    repaired_samples: int

    @property
    def is_dead(self) -> bool:
        """Whether every sample is zero, which no microphone that works delivers."""
        return self.peak_dbfs <= LOWEST_DBFS


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that is wrong with a sound.

    Attributes
    ----------
    state : {"warning", "failed"}
        How bad it is.
    found, advice : str
        As in `Finding`.
    """

    state: State
    found: str
    advice: str


def complaints(sound: Sound, *, live: bool) -> Iterator[Complaint]:
    """Say what is wrong with a sound, the worst first.

    Parameters
    ----------
    sound : Sound
        What it is like.
    live : bool
        Whether something can be done about it at a microphone.
    """
    if sound.is_dead:
        if live:
            yield Complaint(
                "failed",
                "nothing but zeros",
                "unmute it in the system's sound settings or at its switch, or name another one of those that "
                "`earshot devices` lists",
            )
        else:
            yield Complaint(
                "warning", "nothing but zeros", "name another recording, if it should not be silent"
            )
    elif sound.level_dbfs < _FAINT_DBFS:
        yield Complaint(
            "warning",
            "fainter than any room",
            "raise its volume in the system's sound settings, and see that it is not muted"
            if live
            else "make it louder, or name another recording",
        )
    if sound.clipped_share > _MOST_CLIPPED:
        yield Complaint(
            "warning",
            f"{sound.clipped_share:.1%} of the samples at full scale",
            "lower its volume in the system's sound settings until the peak stays below -3 dBFS"
            if live
            else "record it with less gain, if you can: clipped sound is taken for other sound",
        )
    if sound.gaps:
        yield Complaint(
            "warning",
            f"{sound.lost_seconds:.2f} s lost in {sound.gaps} {'gap' if sound.gaps == 1 else 'gaps'}",
            "see what keeps this machine or its sound system busy",
        )
    if abs(sound.offset) > _MOST_OFFSET:
        yield Complaint(
            "warning",
            f"an offset of {sound.offset:+.0%} of full scale",
            "use another microphone or input: levels and loud sounds are wrong with it",
        )
    if sound.repaired_samples:
        yield Complaint(
            "warning",
            f"{sound.repaired_samples} samples that are no numbers",
            "see to its driver, or to the program that made it: they count as silence",
        )


def _decibels(size: float) -> float:
    return max(LOWEST_DBFS, 20.0 * float(np.log10(size))) if size > 0.0 else LOWEST_DBFS
