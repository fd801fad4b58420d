"""Scores of windows, one batch for each length."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..messages import Samples, Window

Scorer: TypeAlias = Callable[[Samples], Samples]
"""Samples float32 (batch, n) -> scores float32 (batch, classes): what a tagger is to the stream."""


_LARGEST_BATCH = 16


def score(scorer: Scorer, windows: Sequence[Window]) -> Iterator[tuple[Window, Samples]]:
    """Score windows, those of one length together as one batch; yields each window with its scores (classes,)."""
    by_length = sorted(windows, key=lambda window: len(window.samples))
    for _, group in itertools.groupby(by_length, key=lambda window: len(window.samples)):
        same = list(group)
        for batch in (same[i : i + _LARGEST_BATCH] for i in range(0, len(same), _LARGEST_BATCH)):
            scores = scorer(np.stack([window.samples for window in batch]))
            yield from zip(batch, scores, strict=True)
