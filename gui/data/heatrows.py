"""Content of the timeline: rows, brightness and events of the last minutes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.messages import Event, Tagging, Watched, with_classes

from ..actions import Span

SPANS_SECONDS = (60.0, 120.0, 180.0, 300.0, 450.0, 600.0)
"""Lengths of the timeline; the shortest that fits is taken."""

_MIN_PEAK = 0.1


@dataclass(frozen=True, slots=True)
class HeatRow:
    """Row of the timeline: a watched sound or a label.

    Attributes
    ----------
    name : str
        Name shown before it.
    labels : tuple of int
        Indices of its scores; it shows the highest of them.
    watched : bool
        True for a watched sound.
    """

    name: str
    labels: tuple[int, ...]
    watched: bool


@dataclass(frozen=True, slots=True)
class ThresholdPreview:
    """Events that another threshold would have given.

    Attributes
    ----------
    row : HeatRow
        Row of the sound.
    threshold : float
        Threshold that is tried.
    spans : tuple of Span
        Start and end of each event.
    """

    row: HeatRow
    threshold: float
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeatPicture:
    """Content of the timeline.

    Attributes
    ----------
    rows : tuple of HeatRow
        Rows from top to bottom.
    cells : uint8 (rows, width)
        Brightness of each row over time, see `cell_values`.
    spans : tuple of (int, float, float)
        Events, each as row index, start and end in Unix seconds.
    ends_at : float or None
        Unix time at the right edge; None without taggings.
    span_seconds : float
        Time from the left to the right edge.
    """

    rows: tuple[HeatRow, ...]
    cells: NDArray[np.uint8]
    spans: tuple[tuple[int, float, float], ...]
    ends_at: float | None
    span_seconds: float


def make_picture(
    taggings: Sequence[Tagging],
    events: Sequence[Event],
    watched: Sequence[Watched],
    *,
    preview: ThresholdPreview | None,
    labels: Sequence[str],
    max_rows: int,
    width: int,
) -> HeatPicture:
    """Return the content of the timeline.

    Parameters
    ----------
    taggings : sequence of Tagging
        Taggings of the source, oldest first.
    events : sequence of Event
        Events of the source; those that were taken back are left out.
    watched : sequence of Watched
        Watched sounds of the source.
    preview : ThresholdPreview or None
        Preview, whose row comes first.
    labels : sequence of str
        Name of each score.
    max_rows : int
        Maximum number of rows.
    width : int
        Width of the picture in pixels.
    """
    span_seconds = span_for(taggings)
    if not taggings:
        return HeatPicture((), np.zeros((0, width), np.uint8), (), None, span_seconds)
    ends_at = taggings[-1].ended_at
    events = [event for event in events if not event.withdrawn]
    with_events = {
        event.label for event in events if event.ended_at is None or event.ended_at >= ends_at - span_seconds
    }
    scores = stack_scores(taggings, len(labels))
    rows = choose_rows(scores, labels, watched, with_events, max_rows)
    if preview is not None:
        others = [row for row in rows if row.name != preview.row.name]
        rows = (preview.row, *others)[:max_rows]
    indices = {row.name: index for index, row in enumerate(rows)}
    spans = tuple(
        (indices[event.label], event.started_at, event.ended_at or ends_at)
        for event in events
        if event.label in indices
    )
    cells = cell_values(taggings, scores, rows, ends_at, span_seconds, width)
    return HeatPicture(rows, cells, spans, ends_at, span_seconds)


def stack_scores(taggings: Sequence[Tagging], classes: int = 0) -> NDArray[np.float32]:
    """Return the scores of taggings as float32 (taggings, classes), 0 for sounds that were taught after a tagging."""
    classes = max(classes, *(len(tagging.scores) for tagging in taggings))
    return np.stack([with_classes(tagging.scores, classes) for tagging in taggings])


def choose_rows(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    watched: Sequence[Watched],
    with_events: Collection[str],
    count: int,
) -> tuple[HeatRow, ...]:
    """Return the rows to show, the most important first.

    Parameters
    ----------
    scores : float32 (taggings, classes)
        Scores of all taggings to show.
    labels : sequence of str
        Name of each score.
    watched : sequence of Watched
        Watched sounds; they come before other labels.
    with_events : collection of str
        Names of sounds that have an event; they come first.
    count : int
        Maximum number of rows.
    """
    peaks = scores.max(axis=0)
    rows = [HeatRow(sound.name, sound.labels, watched=True) for sound in watched]
    peak_of = {row.name: float(peaks[list(row.labels)].max()) for row in rows}
    rows = [row for row in rows if row.name in with_events or peak_of[row.name] >= _MIN_PEAK]
    rows.sort(key=lambda row: (row.name not in with_events, -peak_of[row.name]))
    covered = {label for sound in watched for label in sound.labels}
    others = (int(label) for label in np.argsort(-peaks, kind="stable") if int(label) not in covered)
    for label in others:
        if len(rows) >= count or peaks[label] < _MIN_PEAK:
            break
        if not labels[label]:  # a sound that was removed
            continue
        rows.append(HeatRow(labels[label], (label,), watched=False))
    return tuple(rows[:count])


def span_for(taggings: Sequence[Tagging]) -> float:
    """Return the shortest length in seconds that holds all taggings, or the greatest one."""
    needed = taggings[-1].ended_at - taggings[0].ended_at if taggings else 0.0
    return next((span for span in SPANS_SECONDS if span >= needed), SPANS_SECONDS[-1])


def cell_values(
    taggings: Sequence[Tagging],
    scores: NDArray[np.float32],
    rows: Sequence[HeatRow],
    ends_at: float,
    span_seconds: float,
    width: int,
) -> NDArray[np.uint8]:
    """Return the brightness of each row over time: uint8 (rows, width), 1 to 254, or 0 where there is no tagging."""
    ended = np.array([tagging.ended_at for tagging in taggings])
    times = ends_at - span_seconds + (np.arange(width) + 0.5) / width * span_seconds
    found = np.searchsorted(ended, times)
    hop = float(np.median(np.diff(ended))) if len(ended) > 1 else 1.0
    known = found < len(ended)
    found = np.minimum(found, len(ended) - 1)
    known &= ended[found] - times <= max(2 * hop, span_seconds / width)
    picture = np.zeros((len(rows), width), np.uint8)
    for index, row in enumerate(rows):
        highest = scores[:, list(row.labels)].max(axis=1)
        brightness = (1.5 + 253 * np.clip(highest, 0.0, 1.0)).astype(np.uint8)
        picture[index] = np.where(known, brightness[found], 0)
    return picture
