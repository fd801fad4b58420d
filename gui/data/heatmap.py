"""Scores over the last minutes as a picture: which rows, and how bright. No Qt here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.messages import Tagging

from ..actions import Watched

SPANS_SECONDS = (60.0, 120.0, 180.0, 300.0, 450.0, 600.0)
"""What the picture may show: the shortest that holds all there is."""

_LEAST_PEAK = 0.1


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One row of the picture: a watched sound, or a label.

    Attributes
    ----------
    name : str
        What stands before it.
    labels : tuple of int
        The scores of which it shows the highest.
    watched : bool
        Whether it is a watched sound.
    """

    name: str
    labels: tuple[int, ...]
    watched: bool


def scores_of(taggings: Sequence[Tagging]) -> NDArray[np.float32]:
    """Return the scores of taggings as float32 (taggings, classes)."""
    return np.stack([tagging.scores for tagging in taggings])


def choose_rows(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    watched: Sequence[Watched],
    told: Collection[str],
    count: int,
) -> tuple[HeatRow, ...]:
    """Return the rows worth showing, the most telling first.

    Parameters
    ----------
    scores : float32 (taggings, classes)
        What there is to show.
    labels : sequence of str
        The name of each score.
    watched : sequence of Watched
        They come first if they were heard.
    told : collection of str
        Names of sounds that were told of meanwhile, and come first of all.
    count : int
        The most rows.
    """
    peaks = scores.max(axis=0)
    rows = [HeatRow(sound.name, sound.labels, watched=True) for sound in watched]
    peak_of = {row.name: float(peaks[list(row.labels)].max()) for row in rows}
    rows = [row for row in rows if row.name in told or peak_of[row.name] >= _LEAST_PEAK]
    rows.sort(key=lambda row: (row.name not in told, -peak_of[row.name]))
    covered = {label for sound in watched for label in sound.labels}
    others = (int(label) for label in np.argsort(-peaks, kind="stable") if int(label) not in covered)
    for label in others:
        if len(rows) >= count or peaks[label] < _LEAST_PEAK:
            break
        rows.append(HeatRow(labels[label], (label,), watched=False))
    return tuple(rows[:count])


def span_for(taggings: Sequence[Tagging]) -> float:
    """Return the shortest span in seconds that holds all taggings, or the longest there is."""
    held = taggings[-1].ended_at - taggings[0].ended_at if taggings else 0.0
    return next((span for span in SPANS_SECONDS if span >= held), SPANS_SECONDS[-1])


def cells(
    taggings: Sequence[Tagging],
    scores: NDArray[np.float32],
    rows: Sequence[HeatRow],
    ends_at: float,
    span_seconds: float,
    width: int,
) -> NDArray[np.uint8]:
    """Return how bright each row is over time: uint8 (rows, width), 0 where there was no tagging, else 1 to 254."""
    ended = np.array([tagging.ended_at for tagging in taggings])
    times = ends_at - span_seconds + (np.arange(width) + 0.5) / width * span_seconds
    found = np.searchsorted(ended, times)
    hop = float(np.median(np.diff(ended))) if len(ended) > 1 else 1.0
    known = found < len(ended)
    found = np.minimum(found, len(ended) - 1)
    known &= ended[found] - times <= max(2 * hop, span_seconds / width)
    picture = np.zeros((len(rows), width), np.uint8)
    for place, row in enumerate(rows):
        strongest = scores[:, list(row.labels)].max(axis=1)
        bright = (1.5 + 253 * np.clip(strongest, 0.0, 1.0)).astype(np.uint8)
        picture[place] = np.where(known, bright[found], 0)
    return picture
