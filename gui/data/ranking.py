"""Order and scores of the labels on screen, smoothed so that they don't flicker."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SMOOTHING_SECONDS = 0.3
_MARGIN_SECONDS = 2.0
_MARGIN = 0.1
_MIN_SCORE = 0.02


class Ranking:
    """Highest scores, moving exponentially towards the newest ones.

    Hysteresis keeps labels of nearly equal score from flickering: after each change of the order, a label must lead by
    a margin to overtake another, or to appear. The margin decays, so the order is exact once the scores rest. Scores
    below 0.02 are not shown.

    Parameters
    ----------
    classes : int
        Number of scores.
    rows : int
        Number of labels on screen.

    Attributes
    ----------
    scores : float64 (classes,)
        Smoothed scores.
    target : float64 (classes,)
        Scores that the smoothed ones move to.
    order : tuple of int
        Indices of the labels on screen, from top to bottom.
    """

    def __init__(self, classes: int, rows: int) -> None:
        self.scores: NDArray[np.float64] = np.zeros(classes)
        self.target: NDArray[np.float64] = np.zeros(classes)
        self.order: tuple[int, ...] = ()
        self.rows = rows
        self._margin = 0.0

    def set_target(self, scores: NDArray[np.float32]) -> None:
        """Set the scores to move to: float32 (classes,)."""
        self.target = scores.astype(np.float64)

    def advance(self, seconds: float) -> None:
        """Advance the smoothing by some seconds."""
        self.scores += (self.target - self.scores) * -math.expm1(-seconds / _SMOOTHING_SECONDS)
        self._margin *= math.exp(-seconds / _MARGIN_SECONDS)
        order = self._sorted(self._selected())
        if order != self.order:
            self._margin = _MARGIN if self.order else 0.0
            self.order = order

    def _selected(self) -> list[int]:
        """Return the labels to show: first those on screen, in their order, then the new ones."""
        with_margin = self.scores.copy()
        with_margin[list(self.order)] += self._margin
        best = [
            label
            for label in np.argsort(-with_margin, kind="stable")[: self.rows].tolist()
            if self.scores[label] >= (_MIN_SCORE / 2 if label in self.order else _MIN_SCORE)
        ]
        stay = [label for label in self.order if label in best]
        return stay + [label for label in best if label not in self.order]

    def _sorted(self, labels: Sequence[int]) -> tuple[int, ...]:
        """Sort by insertion: a label passes those above it that it leads by the margin."""
        order: list[int] = []
        for label in labels:
            margin = self._margin if label in self.order else 0.0
            position = len(order)
            while position and self.scores[label] > self.scores[order[position - 1]] + margin:
                position -= 1
            order.insert(position, label)
        return tuple(order)
