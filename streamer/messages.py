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


@dataclass(frozen=True, slots=True)
class Health:
    """How the program is doing, over its whole life unless said otherwise.

    Attributes
    ----------
    uptime_seconds : float
        Since listening began.
    windows, dropped_windows : int
        Windows tagged, and windows replaced by a newer one because inference was late.
    overruns : int
        Gaps in the sources' sound.
    lost_seconds : float
        Sound lost in them.
    repaired_samples : int
        Samples that were not numbers and were replaced by silence.
    latency_p50_seconds, latency_p95_seconds : float or None
        Median and 95th percentile over the newest taggings; None before the first.
    real_time_factor : float or None
        Inference time over the time of sound it kept up with, newest windows; above 1 it can't keep up.
    model, device, broker : str
        What tags, on what, and how the connection to the MQTT broker stands ("none" where none is set).
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


Message: TypeAlias = Tagging | Event | SourceStatus | Health
"""What sinks receive."""
