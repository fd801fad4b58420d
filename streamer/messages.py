"""Messages that flow through Earshot: immutable, with units in their names.

A position in a stream is a sample index: an integer count of 16 kHz samples since the source began. Seconds
appear only at the edges. Wall-clock times are Unix times in seconds (float), derived from the index and the
source's anchor. Arrays belong to the message that carries them: a receiver must not write to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Sample rate of all audio after the edge of its source, where it becomes mono float32."""

WINDOW_SAMPLES = 163_840
"""Longest window: 10.24 s, the input of an AST with 1,024 rows."""

LEVEL_FRAME_SAMPLES = 800
"""Length of one value in `Tagging.levels_dbfs`: 50 ms."""

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Consecutive samples of one source. Where samples were lost, the index jumps.

    Attributes
    ----------
    samples : float32 (n,)
        16 kHz mono in [-1, 1], finite.
    start_sample : int
        Stream index of the first sample.
    captured_at : float
        Unix time in seconds at which the first sample was captured.
    """

    samples: Samples
    start_sample: int
    captured_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Newest seconds of one source: the input of the model.

    Attributes
    ----------
    source : str
        Name of the source.
    samples : float32 (n,)
        At most `WINDOW_SAMPLES`; shorter until the source has delivered a whole window.
    start_sample, end_sample : int
        Half-open stream span; ``end_sample - start_sample == n``.
    ended_at : float
        Unix time in seconds at which the last sample was captured.
    hop_samples : int
        Hop at which the window was cut: the newest samples, whose level the tagging has.
    fast_levels_dbfs : float32 (frames,) or None
        Levels of the sound up to the end of a fast window, as `Tagging.levels_dbfs`; None for any other window.
    """

    source: str
    samples: Samples
    start_sample: int
    end_sample: int
    ended_at: float
    hop_samples: int
    fast_levels_dbfs: Samples | None = None

    @property
    def is_fast(self) -> bool:
        """True for a fast window, which is cut beside the others."""
        return self.fast_levels_dbfs is not None


@dataclass(frozen=True, slots=True, eq=False)
class RawScores:
    """Output of a model before taught sounds and corrections, from which others can be applied later.

    Attributes
    ----------
    fingerprint : str
        Fingerprint of the model.
    scores : float32 (classes,)
        Scores of the model itself.
    embedding : float32 (width,)
        Its embedding of the window.
    """

    fingerprint: str
    scores: Samples
    embedding: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Tagging:
    """Scores of the model for one window.

    Attributes
    ----------
    source : str
        Name of the source.
    start_sample, end_sample : int
        Span of the window.
    ended_at : float
        Unix time in seconds at which the window's last sample was captured.
    scores : float32 (classes,)
        Score in 0..1 of each label, in the order of `Tagger.labels`.
    level_dbfs : float
        RMS level of the newest hop, in dB relative to a full-scale square wave, at least -120.
    latency_seconds : float or None
        Time from the capture of the last sample to this tagging; None for a source that is not live.
    levels_dbfs : float32 (frames,)
        RMS level of each `LEVEL_FRAME_SAMPLES` of the window, counted back from its end; for a fast window, of more sound before it.
    raw : RawScores or None
        Output of the model, if it is logged.
    is_fast : bool
        True for a fast window. Only the event detector receives its tagging.
    """

    source: str
    start_sample: int
    end_sample: int
    ended_at: float
    scores: Samples
    level_dbfs: float
    latency_seconds: float | None
    levels_dbfs: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    raw: RawScores | None = None
    is_fast: bool = False

    def time_of(self, sample: int) -> float:
        """Return the Unix time in seconds of a sample of the stream."""
        return self.ended_at - (self.end_sample - sample) / SAMPLE_RATE_HZ

    def score_of(self, labels: Sequence[int]) -> float:
        """Return the highest score of some labels; 0 for a sound that was taught later."""
        return float(with_classes(self.scores, max(labels) + 1)[list(labels)].max())


def with_classes(scores: Samples, classes: int) -> Samples:
    """Return scores (..., n) for at least as many classes: 0 for those that are missing, because they were taught later."""
    missing = max(0, classes - scores.shape[-1])
    return np.pad(scores, (*[(0, 0)] * (scores.ndim - 1), (0, missing))) if missing else scores


EventKind: TypeAlias = Literal["started", "confirmed", "ended"]
"""Kind of an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """Start, confirmation or end of a sound.

    Attributes
    ----------
    id : str
        Identifier, the same for the start, the confirmation, the end and every delivery.
    kind : {"started", "confirmed", "ended"}
        Start of a sound; confirmation by the long window of a start that the fast window reported; end of a sound.
    label, source : str
        Name of the sound, and of the source.
    score : float
        Highest score of the long window so far, in 0..1.
    started_at : float
        Unix time in seconds.
    ended_at : float or None
        Unix time in seconds; None while the sound lasts.
    clip : str or None
        Path of the recorded clip, if clips are on.
    start_sample, end_sample : int or None
        Start and end as positions in the stream; None if unknown.
    announced : bool
        False if the sound began in its quiet hours: nobody is notified, and nothing is published over MQTT.
    confirmed : bool
        False as long as only the fast window has detected the sound. An end that is not confirmed takes the start back.
    fast_score : float or None
        Highest score of the fast window so far, in 0..1; None without a fast window.
    """

    id: str
    kind: EventKind
    label: str
    source: str
    score: float
    started_at: float
    ended_at: float | None = None
    clip: str | None = None
    start_sample: int | None = None
    end_sample: int | None = None
    announced: bool = True
    confirmed: bool = True
    fast_score: float | None = None

    @property
    def shown_score(self) -> float:
        """Score for people: that of the fast window, as long as only this one has detected the sound."""
        return self.score if self.confirmed or self.fast_score is None else self.fast_score

    @property
    def withdrawn(self) -> bool:
        """True for an end that takes the start back: the long window has not confirmed it."""
        return self.kind == "ended" and not self.confirmed

    @property
    def start_seconds(self) -> float | None:
        """Start, in seconds since the source began; None if unknown."""
        return None if self.start_sample is None else self.start_sample / SAMPLE_RATE_HZ

    @property
    def end_seconds(self) -> float | None:
        """End, in seconds since the source began; None if unknown, or while the sound lasts."""
        return None if self.end_sample is None else self.end_sample / SAMPLE_RATE_HZ


Mark: TypeAlias = Literal["right", "wrong"]
"""A person's verdict on an event: the sound was there, or it was not."""


@dataclass(frozen=True, slots=True)
class Occurrence(Event):
    """Event of the history, with a person's note on it.

    Attributes
    ----------
    mark : Mark or None
        Verdict on the event; None without one.
    keeps_clip : bool
        True if the event and its clip stay, whatever their age and size.
    """

    mark: Mark | None = None
    keeps_clip: bool = False


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Change of a source: it delivers audio, or has stopped.

    Attributes
    ----------
    source : str
        Name of the source.
    online : bool
        True while the source delivers audio.
    reason : str
        Reason for being offline, as a sentence; empty while online.
    """

    source: str
    online: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLevels:
    """Noise of one source in a minute of its stream, or in the part of it that was heard.

    Levels are sound pressure levels in dB where `is_calibrated`, and relative to full scale otherwise.

    Attributes
    ----------
    source : str
        Name of the source.
    started_at, ended_at : float
        Beginning and end of the sound that was measured, as Unix times in seconds.
    seconds : float
        Duration of the sound that was measured; gaps are not part of it.
    is_calibrated : bool
        True if the levels contain the offset from a reference meter.
    leq_db : float
        Equivalent continuous level, A-weighted.
    lmax_db, l10_db, l90_db : float or None
        Highest level with the time weighting F, and the levels that it exceeds for 10 % and 90 % of the time, A-weighted; None
        if less than a second was heard.
    bands_db : tuple of float
        Level in each third-octave band from 25 Hz to 6.3 kHz, not weighted; empty if less than two seconds were heard.
    hour_leq_db, hour_l10_db, hour_l90_db : float or None
        The same figures for the hour that ends with this minute.
    hour_seconds : float
        Duration of the sound that was measured in this hour.
    """

    source: str
    started_at: float
    ended_at: float
    seconds: float
    is_calibrated: bool
    leq_db: float
    lmax_db: float | None = None
    l10_db: float | None = None
    l90_db: float | None = None
    bands_db: tuple[float, ...] = ()
    hour_leq_db: float | None = None
    hour_l10_db: float | None = None
    hour_l90_db: float | None = None
    hour_seconds: float = 0.0

    @property
    def unit(self) -> str:
        """Unit of the A-weighted levels."""
        return "dB(A)" if self.is_calibrated else "dBFS(A)"


SourceActivity: TypeAlias = Literal["listening", "paused", "ended"]
"""Present activity of a source: it is read, or opened again; it is switched off; nothing more comes, as after a recording."""

SoundState: TypeAlias = Literal["ok", "silent", "faint", "clipping"]
"""Quality of a source's audio: good; nothing but zeros; far too quiet; clipped at full scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """Figures of one source since the program started, unless stated otherwise.

    Every sample is accounted for: ``samples == windowed + lost + paused + skipped + waiting``; so is every window:
    ``cut_windows == windows + dropped_windows`` + the windows that wait for the tagger.

    Attributes
    ----------
    source : str
        Name of the source.
    state : SoundState
        Quality of the audio at present.
    activity : SourceActivity
        Activity at present.
    samples : int
        Position of the stream: samples delivered or lost.
    windowed_samples, lost_samples, paused_samples, skipped_samples, waiting_samples : int
        Parts of `samples`: in at least one window; never delivered; discarded while the source was paused; in no window,
        now or later; in the next window.
    gaps, overruns : int
        Number of gaps, and of those that occurred while the source was open (the machine or its sound system was late).
    overrun_samples : int
        Part of `lost_samples`: those lost in overruns.
    repaired_samples : int
        NaN or infinite samples that were replaced by silence.
    cut_windows, windows, dropped_windows : int
        Windows that became due; the tagged ones; the ones replaced by a newer window, or without an answer.
    unanswered_windows : int
        Dropped windows to which no worker answered in time; 0 with a model on this machine.
    fast_windows, dropped_fast_windows : int
        Fast windows, which the figures above leave out: the tagged ones, and those that were replaced or without an answer.
    clipped_share : float
        Share of samples at full scale in the last minute.
    floor_dbfs : float or None
        Noise floor; None while unknown.
    drift_ppm : float or None
        Clock error in parts per million (positive: fast); None while unknown, or for a source that is not live.
    seconds_since_sound : float or None
        Time since the last chunk; None before the first.
    noise : NoiseLevels or None
        Noise of the last minute; None if noise is not measured, or before the first minute.
    """

    source: str
    state: SoundState = "ok"
    activity: SourceActivity = "listening"
    samples: int = 0
    windowed_samples: int = 0
    lost_samples: int = 0
    paused_samples: int = 0
    skipped_samples: int = 0
    waiting_samples: int = 0
    gaps: int = 0
    overruns: int = 0
    overrun_samples: int = 0
    repaired_samples: int = 0
    cut_windows: int = 0
    windows: int = 0
    dropped_windows: int = 0
    unanswered_windows: int = 0
    fast_windows: int = 0
    dropped_fast_windows: int = 0
    clipped_share: float = 0.0
    floor_dbfs: float | None = None
    drift_ppm: float | None = None
    seconds_since_sound: float | None = None
    noise: NoiseLevels | None = None

    @property
    def lost_seconds(self) -> float:
        """Duration of the lost samples."""
        return self.lost_samples / SAMPLE_RATE_HZ

    @property
    def overrun_seconds(self) -> float:
        """Duration of the samples lost in overruns."""
        return self.overrun_samples / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Results that sinks could not deliver or store since the program started, unless stated otherwise.

    Attributes
    ----------
    unpublished_taggings : int
        Taggings that a newer one replaced, or that became too old, before MQTT could publish them.
    undelivered_events : int
        Starts and ends of sounds that were deleted before the broker acknowledged them.
    unsaved_events : int
        Starts and ends that are in memory at present, because the history can't be written.
    lost_events : int
        Starts and ends that will never be in the history, because memory for them was full.
    unlogged_taggings : int
        Taggings that are missing from the score log.
    """

    unpublished_taggings: int = 0
    undelivered_events: int = 0
    unsaved_events: int = 0
    lost_events: int = 0
    unlogged_taggings: int = 0


NO_LOSSES = Losses()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """Requests to the workers that have the model, since it began to tag, unless stated otherwise.

    Attributes
    ----------
    address : str
        Address of the workers.
    requests, retries : int
        Windows sent, and requests repeated on a new connection.
    seconds_p50, seconds_p95 : float or None
        Median and 95th percentile of the time to an answer, of recent requests; None before the first.
    problem : str
        Reason of the last window without an answer; empty after a request that was answered.
    """

    address: str
    requests: int = 0
    retries: int = 0
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Figures of the whole program since it started, over all sources, unless stated otherwise.

    Attributes
    ----------
    uptime_seconds : float
        Time since the session started.
    windows, dropped_windows : int
        Windows tagged, and windows replaced by a newer one because inference was late, or without an answer of a worker.
    overruns : int
        Gaps in sources that were open.
    lost_seconds : float
        Audio lost in these gaps and while a source was disconnected.
    overrun_seconds : float
        Audio lost in these gaps alone.
    repaired_samples : int
        NaN or infinite samples that were replaced by silence.
    latency_p50_seconds, latency_p95_seconds : float or None
        Median and 95th percentile of the latency of recent taggings; None before the first.
    real_time_factor : float or None
        Inference time divided by the duration of the audio it covers, for recent windows; above 1, inference is too slow.
    model, device, broker : str
        Name of the model, its device, and the state of the MQTT connection ("none" without a broker).
    latency_p99_seconds : float or None
        99th percentile of the same latencies.
    seconds_since_tagging : float or None
        Time since the last tagging; None before the first.
    resident_bytes : int or None
        Memory in use; None where the system does not report it.
    sources : tuple of SourceHealth
        Figures of each source.
    losses : Losses
        Results that could not be delivered or stored.
    loading : str
        Model that is being loaded, with the progress; empty if there is none.
    unanswered_windows : int
        Dropped windows to which no worker answered in time.
    workers : WorkerHealth or None
        Requests to the workers; None with a model on this machine.
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
    losses: Losses = NO_LOSSES
    loading: str = ""
    unanswered_windows: int = 0
    overrun_seconds: float = 0.0
    workers: WorkerHealth | None = None


Message: TypeAlias = Tagging | Event | SourceStatus | Health
"""Any message that sinks receive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Events to read from the history.

    Attributes
    ----------
    since, until : float or None
        Earliest start, and the start from which events are left out, as Unix times in seconds.
    labels, sources : tuple of str
        Names to include; all if empty.
    least_score : float
        Lowest score.
    limit : int
        Maximum number of events; the newest are read.
    """

    since: float | None = None
    until: float | None = None
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    least_score: float = 0.0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """Watched sound, as a view shows it.

    Attributes
    ----------
    name : str
        Name in events.
    labels : tuple of int
        Indices of the scores that belong to it.
    thresholds : tuple of float
        Threshold of each of these scores.
    quiet : str
        Hours in which it is not announced, see `streamer.events.quiet`.
    """

    name: str
    labels: tuple[int, ...]
    thresholds: tuple[float, ...]
    quiet: str = "never"

    @property
    def threshold(self) -> float:
        """Lowest threshold."""
        return min(self.thresholds)
