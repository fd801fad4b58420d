"""What is wrong with sound: too faint, clipped, dead, with gaps. Pure arithmetic on chunks, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..levels import FAINT_DBFS, LOWEST_DBFS, MAX_CLIPPED_SHARE, Amplitudes
from ..messages import SAMPLE_RATE_HZ, AudioChunk
from .result import State

_MOST_OFFSET = 0.05


class SoundMeter:
    """Sums up chunks; hours of them take no more memory than one."""

    def __init__(self) -> None:
        self._heard = Amplitudes()
        self._position = 0
        self._gaps = 0
        self._lost = 0

    @property
    def samples(self) -> int:
        """How many there were so far."""
        return self._heard.samples

    def hear(self, chunk: AudioChunk) -> None:
        """Take the next chunk of a source."""
        self._heard += Amplitudes.of(chunk.samples)
        jump = chunk.start_sample - self._position
        self._gaps += bool(jump)
        self._lost += jump
        self._position = chunk.start_sample + len(chunk.samples)

    def sum_up(self, *, repaired_samples: int = 0) -> "Sound":
        """Say what the sound is like so far, with what its source has repaired."""
        heard, count = self._heard, max(1, self._heard.samples)
        return Sound(
            seconds=heard.samples / SAMPLE_RATE_HZ,
            level_dbfs=heard.level_dbfs,
            peak_dbfs=heard.peak_dbfs,
            clipped_share=heard.clipped / count,
            offset=heard.total / count,
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
    def is_silent(self) -> bool:
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
        As in `CheckResult`.
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
    if sound.is_silent:
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
    elif sound.level_dbfs < FAINT_DBFS:
        yield Complaint(
            "warning",
            "fainter than any room",
            "raise its volume in the system's sound settings, and see that it is not muted"
            if live
            else "make it louder, or name another recording",
        )
    if sound.clipped_share > MAX_CLIPPED_SHARE:
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
