"""What flows through Earshot: immutable messages, units in their names, and nothing else.

A position in a stream is a sample index: an integer count of 16 kHz samples since the source began. Seconds
appear only at the edges. Wall-clock times are Unix times in seconds (float), derived from the index and the
source's anchor. Arrays belong to the message that carries them: whoever receives one must not write to it.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Every source is mono float32 at this rate behind its own edge."""

WINDOW_SAMPLES = 163_840
"""The longest window: 10.24 s, what an AST of 1,024 rows sees."""

LEVEL_FRAME_SAMPLES = 800
"""How finely a tagging tells the course of the level: 50 ms."""

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive samples of one source.

    Attributes
    ----------
    samples : float32 (n,)
        16 kHz mono in [-1, 1], finite.
    start_sample : int
        Stream index of the first sample.
    captured_at : float
        Unix time in seconds at which the first sample was captured.
    lost_samples : int
        Samples lost directly before this chunk: the index has jumped by as many.
    """

    samples: Samples
    start_sample: int
    captured_at: float
    lost_samples: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the model is asked to name: the last seconds of one source.

    Attributes
    ----------
    source : str
        Name of the source.
    samples : float32 (n,)
        At most `WINDOW_SAMPLES`; shorter while the source is younger than a window.
    start_sample, end_sample : int
        Half-open stream span; ``end_sample - start_sample == n``.
    ended_at : float
        Unix time in seconds at which the last sample was captured.
    """

    source: str
    samples: Samples
    start_sample: int
    end_sample: int
    ended_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Tagging:
    """What the model heard in one window.

    Attributes
    ----------
    source : str
        Name of the source.
    start_sample, end_sample : int
        The window's span.
    ended_at : float
        Unix time in seconds at which the window's last sample was captured.
    scores : float32 (classes,)
        A score in 0..1 for each label, in the tagger's order.
    level_dbfs : float
        RMS level of the newest hop, in dB relative to a full-scale square wave; -120 at the lowest.
    latency_seconds : float or None
        From the capture of the last sample to this tagging; None where no clock paces the source.
    levels_dbfs : float32 (frames,)
        The course of the level: RMS of each `LEVEL_FRAME_SAMPLES` of the window, counted back from its end.
    """

    source: str
    start_sample: int
    end_sample: int
    ended_at: float
    scores: Samples
    level_dbfs: float
    latency_seconds: float | None
    levels_dbfs: Samples = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Event:
    """A sound that has begun or ended.

    Attributes
    ----------
    id : str
        The same for the beginning and the end, and for every delivery.
    kind : {"started", "ended"}
        What happened.
    label, source : str
        Which sound, and where.
    score : float
        The highest score so far, in 0..1.
    started_at : float
        Unix time in seconds.
    ended_at : float or None
        Unix time in seconds; None while the sound lasts.
    clip : str or None
        Path of the recorded clip, where clips are switched on.
    start_sample, end_sample : int or None
        The same as the times, as positions in the stream; None where that is not known.
    """

    id: str
    kind: Literal["started", "ended"]
    label: str
    source: str
    score: float
    started_at: float
    ended_at: float | None = None
    clip: str | None = None
    start_sample: int | None = None
    end_sample: int | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source has begun to deliver sound, or has stopped.

    Attributes
    ----------
    source : str
        Name of the source.
    online : bool
        Whether it delivers.
    reason : str
        Why not, as a sentence for people; empty while it is online.
    """

    source: str
    online: bool
    reason: str = ""


SoundState: TypeAlias = Literal["ok", "silent", "faint", "clipping"]
"""What is wrong with the sound of a source: nothing; nothing but zeros; far too quiet; too loud to be represented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """How one source is doing, over the whole life of the program unless said otherwise.

    The samples balance: ``samples == windowed + lost + paused + skipped + waiting``; and so do the windows: ``cut_windows ==
    windows + dropped_windows`` + those that wait to be tagged.

    Attributes
    ----------
    source : str
        Name of the source.
    state : SoundState
        What is wrong with its sound at present.
    samples : int
        The index of its stream: all that was delivered, or should have been.
    windowed_samples, lost_samples, paused_samples, skipped_samples, waiting_samples : int
        Of them, those that are in one window at least; that never came; that were thrown away while listening was
        switched off; that are in no window and will be in none; that will be in the next one.
    gaps, overruns : int
        How often samples were lost, and how often of these while the source was open: its machine or sound system was late.
    repaired_samples : int
        Samples that were not numbers and were replaced by silence.
    cut_windows, windows, dropped_windows : int
        Windows that became due; of them, those tagged and those that made room for a newer one.
    clipped_share : float
        Of the last minute's samples, those at full scale.
    floor_dbfs : float or None
        How quiet it usually gets; None while that is not known.
    drift_ppm : float or None
        How much faster than right its clock runs, in millionths; None where no clock paces it or while that is not known.
    seconds_since_sound : float or None
        Since its last chunk; None before the first.
    """

    source: str
    state: SoundState = "ok"
    samples: int = 0
    windowed_samples: int = 0
    lost_samples: int = 0
    paused_samples: int = 0
    skipped_samples: int = 0
    waiting_samples: int = 0
    gaps: int = 0
    overruns: int = 0
    repaired_samples: int = 0
    cut_windows: int = 0
    windows: int = 0
    dropped_windows: int = 0
    clipped_share: float = 0.0
    floor_dbfs: float | None = None
    drift_ppm: float | None = None
    seconds_since_sound: float | None = None

    @property
    def lost_seconds(self) -> float:
        """Sound that never came."""
        return self.lost_samples / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Health:
    """How the program is doing, over its whole life and all its sources unless said otherwise.

    Attributes
    ----------
    uptime_seconds : float
        Since listening began.
    windows, dropped_windows : int
        Windows tagged, and windows replaced by a newer one because inference was late.
    overruns : int
        Gaps in the sound of sources that were open.
    lost_seconds : float
        Sound lost, in these gaps and while a source was away.
    repaired_samples : int
        Samples that were not numbers and were replaced by silence.
    latency_p50_seconds, latency_p95_seconds : float or None
        Median and 95th percentile over the newest taggings; None before the first.
    real_time_factor : float or None
        Inference time over the time of sound it kept up with, newest windows; above 1 it can't keep up.
    model, device, broker : str
        What tags, on what, and how the connection to the MQTT broker stands ("none" where none is set).
    latency_p99_seconds : float or None
        The 99th percentile, as the others.
    seconds_since_tagging : float or None
        Since the last tagging; None before the first.
    resident_bytes : int or None
        Memory in use; None where the system doesn't say.
    sources : tuple of SourceHealth
        Each of them.
    """

    uptime_seconds: float
    windows: int
    dropped_windows: int
    overruns: int
    lost_seconds: float
    repaired_samples: int
    latency_p50_seconds: float | None
    latency_p95_seconds: float | None
    real_time_factor: float | None
    model: str
    device: str
    broker: str
    latency_p99_seconds: float | None = None
    seconds_since_tagging: float | None = None
    resident_bytes: int | None = None
    sources: tuple[SourceHealth, ...] = ()


Message: TypeAlias = Tagging | Event | SourceStatus | Health
"""What sinks receive."""
