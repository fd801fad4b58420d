"""Problems of audio: faint, clipped, silent, or with gaps. Pure arithmetic on chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..levels import FAINT_DBFS, LOWEST_DBFS, MAX_CLIPPED_SHARE, Amplitudes
from ..messages import SAMPLE_RATE_HZ, AudioChunk
from .result import State

Kind: TypeAlias = Literal["microphone", "stream", "recording"]
"""Kind of source."""

_MAX_OFFSET = 0.05

_UNMUTE: dict[Kind, str] = {
    "microphone": "unmute it in the system's sound settings or at its switch, or choose another microphone from `earshot devices`",
    "stream": "unmute the microphone of its camera or sender",
    "recording": "give another recording, if it should not be silent",
}
_AMPLIFY: dict[Kind, str] = {
    "microphone": "raise its volume in the system's sound settings, and check that it is not muted",
    "stream": "raise the volume of the microphone at its camera or sender",
    "recording": "make it louder, or give another recording",
}
_ATTENUATE: dict[Kind, str] = {
    "microphone": "lower its volume in the system's sound settings until the peak stays below -3 dBFS",
    "stream": "lower the volume of the microphone at its camera or sender until the peak stays below -3 dBFS",
    "recording": "record it with less gain if possible: clipped audio may be recognised as other sounds",
}
_FILL: dict[Kind, str] = {
    "microphone": "check which programs keep this machine busy",
    "stream": "check its network and its sender, and which programs keep this machine busy",
    "recording": "get an intact copy: the audio is not in the file",
}


class SoundMeter:
    """Measurement of chunks; memory does not grow with their number."""

    def __init__(self) -> None:
        self._amplitudes = Amplitudes()
        self._position = 0
        self._gaps = 0
        self._lost = 0

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return self._amplitudes.samples

    def add(self, chunk: AudioChunk) -> None:
        """Add the next chunk of a source."""
        self._amplitudes += Amplitudes.of(chunk.samples)
        jump = chunk.start_sample - self._position
        self._gaps += bool(jump)
        self._lost += jump
        self._position = chunk.start_sample + len(chunk.samples)

    def result(self, *, repaired_samples: int = 0) -> "SoundQuality":
        """Return the measurements so far, with the number of samples that the source repaired."""
        amplitudes, count = self._amplitudes, max(1, self._amplitudes.samples)
        return SoundQuality(
            seconds=amplitudes.samples / SAMPLE_RATE_HZ,
            level_dbfs=amplitudes.level_dbfs,
            peak_dbfs=amplitudes.peak_dbfs,
            clipped_share=amplitudes.clipped / count,
            offset=amplitudes.total / count,
            gaps=self._gaps,
            lost_seconds=self._lost / SAMPLE_RATE_HZ,
            repaired_samples=repaired_samples,
        )


@dataclass(frozen=True, slots=True)
class SoundQuality:
    """Measurements of a stretch of audio.

    Attributes
    ----------
    seconds : float
        Duration.
    level_dbfs, peak_dbfs : float
        RMS level and peak in dB relative to full scale, at least -120.
    clipped_share : float
        Share of samples at full scale.
    offset : float
        Mean of the samples, near 0 for good electronics.
    gaps : int
        Number of gaps.
    lost_seconds : float
        Duration of the lost audio.
    repaired_samples : int
        NaN or infinite samples.
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
        """True if every sample is zero, which no working microphone delivers."""
        return self.peak_dbfs <= LOWEST_DBFS


@dataclass(frozen=True, slots=True)
class Problem:
    """Problem of a stretch of audio.

    Attributes
    ----------
    state : {"warning", "failed"}
        Severity.
    found, advice : str
        As in `CheckResult`.
    """

    state: State
    found: str
    advice: str


def problems(quality: SoundQuality, kind: Kind) -> Iterator[Problem]:
    """Yield the problems of a stretch of audio, the worst first.

    Parameters
    ----------
    quality : SoundQuality
        Measurements.
    kind : {"microphone", "stream", "recording"}
        Kind of source, for the advice.
    """
    if quality.is_silent:
        state: State = "warning" if kind == "recording" else "failed"
        yield Problem(state, "nothing but zeros", _UNMUTE[kind])
    elif quality.level_dbfs < FAINT_DBFS:
        yield Problem("warning", "fainter than the noise of any room", _AMPLIFY[kind])
    if quality.clipped_share > MAX_CLIPPED_SHARE:
        yield Problem(
            "warning", f"{quality.clipped_share:.1%} of the samples at full scale", _ATTENUATE[kind]
        )
    if quality.gaps:
        gaps = "1 gap" if quality.gaps == 1 else f"{quality.gaps} gaps"
        yield Problem("warning", f"{quality.lost_seconds:.2f} s lost in {gaps}", _FILL[kind])
    if abs(quality.offset) > _MAX_OFFSET:
        yield Problem(
            "warning",
            f"an offset of {quality.offset:+.0%} of full scale",
            "use another microphone or input where it is recorded: the offset distorts levels and loud sounds",
        )
    if quality.repaired_samples:
        yield Problem(
            "warning",
            f"{quality.repaired_samples} samples that are not numbers",
            "check the driver or program that it comes from: these samples are replaced by silence",
        )
