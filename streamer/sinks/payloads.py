"""JSON payloads of MQTT, ``--json``, the history and clips."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from ..messages import (
    SAMPLE_RATE_HZ,
    Event,
    Health,
    NoiseLevels,
    Occurrence,
    Samples,
    SourceHealth,
    Tagging,
    WorkerHealth,
)
from ..noise.octaves import BAND_NAMES

Payload: TypeAlias = dict[str, Any]


class LabelSet:
    """Labels of the scores of a tagging. They are shared by all views, and change as sounds are taught and removed.

    Parameters
    ----------
    labels : sequence of str
        Name of each class, in the order of the scores.
    mids : sequence of (str or None)
        AudioSet identifier of each class, such as "/m/09x0r"; None if it has none.

    Attributes
    ----------
    labels, mids : list
        As given. A name is empty if the sound was removed.

    Raises
    ------
    ValueError
        The lengths differ.
    """

    def __init__(self, labels: Sequence[str], mids: Sequence[str | None]) -> None:
        self.labels, self.mids = list(labels), list(mids)
        if len(self.labels) != len(self.mids):
            raise ValueError(f"{len(self.labels)} labels, but {len(self.mids)} identifiers")

    def rename(self, index: int, name: str) -> None:
        """Give a class another name, or add one behind the last."""
        self.mids[index:] = self.mids[index:] or [None]
        self.labels[index : index + 1] = [name]


@dataclass(frozen=True, slots=True)
class Tag:
    """One class and its score.

    Attributes
    ----------
    index : int
        Index of the class in the label set.
    label : str
        Name of the class.
    mid : str or None
        AudioSet identifier.
    score : float or None
        Score in 0..1, rounded to four digits; None if it is not finite.
    """

    index: int
    label: str
    mid: str | None
    score: float | None


def top_tags(scores: Samples, label_set: LabelSet, count: int) -> list[Tag]:
    """Return the classes with the highest scores.

    Parameters
    ----------
    scores : float32 (classes,)
        Scores in the order of the label set; those that are not finite come last. The last sounds may be missing, if they were taught later.
    label_set : LabelSet
        Labels of the scores.
    count : int
        Maximum number of tags.

    Returns
    -------
    list of Tag
        Tags, highest first; equal scores in the order of the label set.

    Raises
    ------
    ValueError
        There are more scores than classes, or another shape.
    """
    if scores.ndim != 1 or len(scores) > len(label_set.labels):
        raise ValueError(f"scores of shape {scores.shape} for {len(label_set.labels)} classes")
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
    return [
        Tag(int(i), label_set.labels[i], label_set.mids[i], _rounded(scores[i], 4))
        for i in order[: max(count, 0)]
    ]


def tags_payload(tagging: Tagging, label_set: LabelSet, top: int, latency_seconds: float | None) -> Payload:
    """Return the payload of a tagging.

    Parameters
    ----------
    tagging : Tagging
        Scores of one window.
    label_set : LabelSet
        Labels of the scores.
    top : int
        Number of tags.
    latency_seconds : float or None
        Time from the capture of the last sample to this message; None for a source that is not live.
    """
    return {
        "time": rfc3339(tagging.ended_at),
        "window_seconds": _rounded((tagging.end_sample - tagging.start_sample) / SAMPLE_RATE_HZ, 3),
        "level_dbfs": _rounded(tagging.level_dbfs, 1),
        "latency_seconds": _rounded(latency_seconds, 3),
        "tags": [
            {"label": tag.label, "mid": tag.mid, "score": tag.score}
            for tag in top_tags(tagging.scores, label_set, top)
        ],
    }


def line_payload(tagging: Tagging, label_set: LabelSet, top: int) -> Payload:
    """Return a line of ``--json``: the payload of a tagging, its source and its position in the stream."""
    return {
        "source": tagging.source,
        "start_seconds": _rounded(tagging.start_sample / SAMPLE_RATE_HZ, 3),
        "end_seconds": _rounded(tagging.end_sample / SAMPLE_RATE_HZ, 3),
        **tags_payload(tagging, label_set, top, tagging.latency_seconds),
    }


def event_line_payload(event: Event) -> Payload:
    """Return an event of ``--json-events``: the payload of the event, its source and its position in the stream."""
    start, end = (
        None if sample is None else _rounded(sample / SAMPLE_RATE_HZ, 3)
        for sample in (event.start_sample, event.end_sample)
    )
    return {
        "source": event.source,
        "start_seconds": start,
        "end_seconds": end,
        **event_payload(event),
    }


def event_payload(event: Event) -> Payload:
    """Return the payload of an event, the same at each delivery."""
    return {
        "event_type": event.kind,
        "id": event.id,
        "label": event.label,
        "score": _rounded(event.score, 4),
        "started_at": rfc3339(event.started_at),
        "ended_at": None if event.ended_at is None else rfc3339(event.ended_at),
        "clip": event.clip,
        "confirmed": event.confirmed,
        "fast_score": _rounded(event.fast_score, 4),
    }


def occurrence_payload(event: Event) -> Payload:
    """Return a line of the history, from the latest event of an occurrence; without a note, nobody has marked it."""
    note = event if isinstance(event, Occurrence) else None
    length = None if event.ended_at is None else event.ended_at - event.started_at
    return {
        "id": event.id,
        "source": event.source,
        "label": event.label,
        "score": _rounded(event.score, 4),
        "started_at": rfc3339(event.started_at),
        "ended_at": None if event.ended_at is None else rfc3339(event.ended_at),
        "length_seconds": _rounded(length, 3),
        "clip": event.clip,
        "mark": None if note is None else note.mark,
        "clip_kept": note is not None and note.keeps_clip,
        "confirmed": event.confirmed,
        "fast_score": _rounded(event.fast_score, 4),
    }


def clip_payload(
    event: Event, *, started_at: float, samples: int, gaps: Iterable[tuple[int, int]], model: str
) -> Payload:
    """Return the description of a clip, for the file beside the recording.

    Parameters
    ----------
    event : Event
        End of a sound.
    started_at : float
        Unix time in seconds of the first sample.
    samples : int
        Length of the clip.
    gaps : iterable of (int, int)
        Half-open spans of missing samples.
    model : str
        Name of the model.
    """
    return {
        "event": event_payload(event),
        "source": event.source,
        "model": model,
        "started_at": rfc3339(started_at),
        "ended_at": rfc3339(started_at + samples / SAMPLE_RATE_HZ),
        "samples": samples,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "gaps": [{"start_sample": start, "end_sample": end} for start, end in gaps],
    }


def health_payload(health: Health) -> Payload:
    """Return the health; its keys are the attributes of `Health`, those of `sources` the names of the sources."""
    return {
        "uptime_seconds": _rounded(health.uptime_seconds, 1),
        "windows": health.windows,
        "dropped_windows": health.dropped_windows,
        "overruns": health.overruns,
        "lost_seconds": _rounded(health.lost_seconds, 3),
        "overrun_seconds": _rounded(health.overrun_seconds, 3),
        "repaired_samples": health.repaired_samples,
        "latency_p50_seconds": _rounded(health.latency_p50_seconds, 3),
        "latency_p95_seconds": _rounded(health.latency_p95_seconds, 3),
        "latency_p99_seconds": _rounded(health.latency_p99_seconds, 3),
        "real_time_factor": _rounded(health.real_time_factor, 3),
        "model": health.model,
        "loading": health.loading,
        "device": health.device,
        "broker": health.broker,
        "seconds_since_tagging": _rounded(health.seconds_since_tagging, 1),
        "resident_bytes": health.resident_bytes,
        "sources": {source.source: source_health_payload(source) for source in health.sources},
        "losses": asdict(health.losses),
        "unanswered_windows": health.unanswered_windows,
        "workers": None if health.workers is None else _workers_payload(health.workers),
    }


def source_health_payload(health: SourceHealth) -> Payload:
    """Return the health of a source; its keys are the attributes of `SourceHealth`, except `source` and `activity`, and `problem`, `lost_seconds` and `overrun_seconds`."""
    return {
        "state": health.state,
        "problem": "OFF" if health.state == "ok" else "ON",
        "lost_seconds": _rounded(health.lost_seconds, 3),
        "gaps": health.gaps,
        "overruns": health.overruns,
        "overrun_samples": health.overrun_samples,
        "overrun_seconds": _rounded(health.overrun_seconds, 3),
        "samples": health.samples,
        "windowed_samples": health.windowed_samples,
        "lost_samples": health.lost_samples,
        "paused_samples": health.paused_samples,
        "skipped_samples": health.skipped_samples,
        "waiting_samples": health.waiting_samples,
        "repaired_samples": health.repaired_samples,
        "cut_windows": health.cut_windows,
        "windows": health.windows,
        "dropped_windows": health.dropped_windows,
        "unanswered_windows": health.unanswered_windows,
        "fast_windows": health.fast_windows,
        "dropped_fast_windows": health.dropped_fast_windows,
        "clipped_share": _rounded(health.clipped_share, 5),
        "floor_dbfs": _rounded(health.floor_dbfs, 1),
        "drift_ppm": _rounded(health.drift_ppm, 1),
        "seconds_since_sound": _rounded(health.seconds_since_sound, 1),
        "noise": None if health.noise is None else noise_payload(health.noise),
    }


def noise_payload(levels: NoiseLevels) -> Payload:
    """Return the payload of a minute's noise; levels are rounded to a tenth of a dB."""
    return {
        "started_at": rfc3339(levels.started_at),
        "ended_at": rfc3339(levels.ended_at),
        "seconds": _rounded(levels.seconds, 2),
        "unit": levels.unit,
        "leq": _rounded(levels.leq_db, 1),
        "lmax": _rounded(levels.lmax_db, 1),
        "l10": _rounded(levels.l10_db, 1),
        "l90": _rounded(levels.l90_db, 1),
        "hour": {
            "seconds": _rounded(levels.hour_seconds, 2),
            "leq": _rounded(levels.hour_leq_db, 1),
            "l10": _rounded(levels.hour_l10_db, 1),
            "l90": _rounded(levels.hour_l90_db, 1),
        },
        "bands_unit": "dB" if levels.is_calibrated else "dBFS",
        "bands": {name: _rounded(level, 1) for name, level in zip(BAND_NAMES, levels.bands_db, strict=False)},
    }


def _workers_payload(workers: WorkerHealth) -> Payload:
    times = {name: _rounded(getattr(workers, name), 4) for name in ("seconds_p50", "seconds_p95")}
    return asdict(workers) | times


def to_json(payload: Mapping[str, Any]) -> str:
    """Return compact JSON on one line that always encodes to UTF-8.

    Unpaired surrogates, as in the name of a file that is not UTF-8, become question marks.

    Raises
    ------
    ValueError
        A number is not finite; the functions above return None for those.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def rfc3339(unix_seconds: float) -> str | None:
    """Return a Unix time as UTC with milliseconds, such as ``2026-03-01T12:00:00.250Z``; None if it is not finite."""
    if not math.isfinite(unix_seconds):
        return None
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(value: float | np.floating[Any] | None, digits: int) -> float | None:
    """Round to a Python float; None if it is not finite. Minus zero becomes zero."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0
