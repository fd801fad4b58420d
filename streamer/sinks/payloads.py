"""The JSON that people build on: one place for what MQTT and ``--json`` say."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np

from ..messages import SAMPLE_RATE_HZ, Event, Health, Samples, SourceHealth, Tagging

Payload: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What the scores of a tagging stand for.

    Attributes
    ----------
    labels : tuple of str
        A name for each class, in the order of the scores.
    mids : tuple of (str or None)
        AudioSet's machine identifier of each class, such as "/m/09x0r"; None for a class that has none.

    Raises
    ------
    ValueError
        The two differ in length.
    """

    labels: tuple[str, ...]
    mids: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.mids):
            raise ValueError(f"{len(self.labels)} labels, but {len(self.mids)} identifiers")


@dataclass(frozen=True, slots=True)
class Tag:
    """One class and its score.

    Attributes
    ----------
    index : int
        Position of the class in the label_set.
    label : str
        Its name.
    mid : str or None
        Its AudioSet identifier.
    score : float or None
        In 0..1, rounded to four digits; None where the model gave no number.
    """

    index: int
    label: str
    mid: str | None
    score: float | None


def top_tags(scores: Samples, label_set: LabelSet, count: int) -> list[Tag]:
    """Pick the classes with the highest scores.

    Parameters
    ----------
    scores : float32 (classes,)
        In the label_set's order. What is not a number comes last.
    label_set : LabelSet
        What the scores stand for.
    count : int
        How many to pick, at most.

    Returns
    -------
    list of Tag
        Highest first; equal scores in the label_set's order.

    Raises
    ------
    ValueError
        There is not one score for each class.
    """
    if scores.shape != (len(label_set.labels),):
        raise ValueError(f"scores of shape {scores.shape} for {len(label_set.labels)} classes")
    order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
    return [
        Tag(int(i), label_set.labels[i], label_set.mids[i], _rounded(scores[i], 4))
        for i in order[: max(count, 0)]
    ]


def tags_payload(tagging: Tagging, label_set: LabelSet, top: int, latency_seconds: float | None) -> Payload:
    """Say what was heard in one window.

    Parameters
    ----------
    tagging : Tagging
        What was heard.
    label_set : LabelSet
        What its scores stand for.
    top : int
        How many tags to name.
    latency_seconds : float or None
        From the capture of the last sample to this message; None where no clock paces the source.
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
    """Say the same, and which source it was and where in its stream: a line of ``--json``."""
    return {
        "source": tagging.source,
        "start_seconds": _rounded(tagging.start_sample / SAMPLE_RATE_HZ, 3),
        "end_seconds": _rounded(tagging.end_sample / SAMPLE_RATE_HZ, 3),
        **tags_payload(tagging, label_set, top, tagging.latency_seconds),
    }


def event_payload(event: Event) -> Payload:
    """Say what has begun or ended, and when; the same at each delivery."""
    return {
        "event_type": event.kind,
        "id": event.id,
        "label": event.label,
        "score": _rounded(event.score, 4),
        "started_at": rfc3339(event.started_at),
        "ended_at": None if event.ended_at is None else rfc3339(event.ended_at),
        "clip": event.clip,
    }


def occurrence_payload(event: Event) -> Payload:
    """Say what has been on, from when to when: a line of the history, from an occurrence's latest event."""
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
    }


def clip_payload(
    event: Event, *, started_at: float, samples: int, gaps: Iterable[tuple[int, int]], model: str
) -> Payload:
    """Say what is in the clip of an event: what lies beside the recording.

    Parameters
    ----------
    event : Event
        What has ended.
    started_at : float
        Unix time in seconds of the clip's first sample.
    samples : int
        How many there are.
    gaps : iterable of (int, int)
        Where sound is missing: half-open spans of the clip's samples.
    model : str
        What named the sound.
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
    """Say how the program is doing; the keys are the attributes of `Health`, and in `sources` the names."""
    return {
        "uptime_seconds": _rounded(health.uptime_seconds, 1),
        "windows": health.windows,
        "dropped_windows": health.dropped_windows,
        "overruns": health.overruns,
        "lost_seconds": _rounded(health.lost_seconds, 3),
        "repaired_samples": health.repaired_samples,
        "latency_p50_seconds": _rounded(health.latency_p50_seconds, 3),
        "latency_p95_seconds": _rounded(health.latency_p95_seconds, 3),
        "latency_p99_seconds": _rounded(health.latency_p99_seconds, 3),
        "real_time_factor": _rounded(health.real_time_factor, 3),
        "model": health.model,
        "device": health.device,
        "broker": health.broker,
        "seconds_since_tagging": _rounded(health.seconds_since_tagging, 1),
        "resident_bytes": health.resident_bytes,
        "sources": {source.source: source_health_payload(source) for source in health.sources},
        "losses": asdict(health.losses),
    }


def source_health_payload(health: SourceHealth) -> Payload:
    """Say how a source is doing; the keys are the attributes of `SourceHealth`, and what they mean to people."""
    return {
        "state": health.state,
        "problem": "OFF" if health.state == "ok" else "ON",
        "lost_seconds": _rounded(health.lost_seconds, 3),
        "gaps": health.gaps,
        "overruns": health.overruns,
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
        "clipped_share": _rounded(health.clipped_share, 5),
        "floor_dbfs": _rounded(health.floor_dbfs, 1),
        "drift_ppm": _rounded(health.drift_ppm, 1),
        "seconds_since_sound": _rounded(health.seconds_since_sound, 1),
    }


def to_json(payload: Mapping[str, Any]) -> str:
    """Write compact JSON on one line, which always encodes to UTF-8.

    Half a surrogate pair, as in the name of a file that is not UTF-8, becomes a question mark.

    Raises
    ------
    ValueError
        A number is not finite; the functions above write None for those.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def rfc3339(unix_seconds: float) -> str | None:
    """Write a Unix time as UTC with milliseconds, such as ``2026-03-01T12:00:00.250Z``; None if it is no number."""
    if not math.isfinite(unix_seconds):
        return None
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(value: float | np.floating[Any] | None, digits: int) -> float | None:
    """Round to a Python float, or None if it is no number; minus zero becomes zero."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0
