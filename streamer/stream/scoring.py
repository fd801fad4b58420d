"""Scores of windows, one batch for each length, and taggings of scores."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..levels import level_dbfs, levels_dbfs
from ..messages import Samples, Tagging, Window

Scorer: TypeAlias = Callable[[Samples], Samples]
"""A tagger as the stream sees it: samples float32 (batch, n) -> scores float32 (batch, classes)."""

_LARGEST_BATCH = 16


def score(scorer: Scorer, windows: Sequence[Window]) -> Iterator[tuple[Window, Samples]]:
    """Score windows, those of one length together as one batch; yield each window with its scores (classes,)."""
    by_length = sorted(windows, key=lambda window: len(window.samples))
    for _, group in itertools.groupby(by_length, key=lambda window: len(window.samples)):
        same = list(group)
        for batch in (same[i : i + _LARGEST_BATCH] for i in range(0, len(same), _LARGEST_BATCH)):
            scores = scorer(np.stack([window.samples for window in batch]))
            yield from zip(batch, scores, strict=True)


def tagging_of(window: Window, scores: Samples, latency_seconds: float | None = None) -> Tagging:
    """Return the tagging of a window.

    Parameters
    ----------
    window : Window
        Sound that was scored.
    scores : float32 (classes,)
        Scores of the window.
    latency_seconds : float, optional
        Time since the capture of the last sample; None if no clock paces the source.
    """
    return Tagging(
        source=window.source,
        start_sample=window.start_sample,
        end_sample=window.end_sample,
        ended_at=window.ended_at,
        scores=scores,
        level_dbfs=level_dbfs(window.samples[-window.hop_samples :]),
        latency_seconds=latency_seconds,
        levels_dbfs=levels_dbfs(window.samples),
    )
