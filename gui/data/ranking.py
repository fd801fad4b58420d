"""Which labels are on show, in which order, at which score: calm, yet exact in the end. No Qt here."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SMOOTHING_SECONDS = 0.3
_STIFFNESS_SECONDS = 2.0
_STIFFNESS = 0.1
_LEAST_SCORE = 0.02


class Ranking:
    """The highest scores, moving exponentially towards the newest ones.

    The order is stiff directly after it has changed: a label must lead by a margin to overtake another, or
    to enter. The margin decays, so that labels of nearly equal score don't flicker, and the order is right once
    scores rest. What scores less than 0.02 is not shown.

    Parameters
    ----------
    classes : int
        How many scores there are.
    rows : int
        How many labels are on show.

    Attributes
    ----------
    scores : float64 (classes,)
        Smoothed scores.
    newest : float64 (classes,)
        The scores that those move to.
    order : tuple of int
        Indices of the labels on show, the first on top.
    """

    def __init__(self, classes: int, rows: int) -> None:
        self.scores: NDArray[np.float64] = np.zeros(classes)
        self.newest: NDArray[np.float64] = np.zeros(classes)
        self.order: tuple[int, ...] = ()
        self.rows = rows
        self._margin = 0.0

    def aim(self, scores: NDArray[np.float32]) -> None:
        """Set the scores to move to: float32 (classes,)."""
        self.newest = scores.astype(np.float64)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.scores += (self.newest - self.scores) * -math.expm1(-seconds / _SMOOTHING_SECONDS)
        self._margin *= math.exp(-seconds / _STIFFNESS_SECONDS)
        order = self._sorted(self._shown())
        if order != self.order:
            self._margin = _STIFFNESS if self.order else 0.0
            self.order = order

    def _shown(self) -> list[int]:
        """Return the labels to show, those already on show first and in their order."""
        favoured = self.scores.copy()
        favoured[list(self.order)] += self._margin
        best = [
            label
            for label in np.argsort(-favoured, kind="stable")[: self.rows].tolist()
            if self.scores[label] >= (_LEAST_SCORE / 2 if label in self.order else _LEAST_SCORE)
        ]
        stay = [label for label in self.order if label in best]
        return stay + [label for label in best if label not in self.order]

    def _sorted(self, labels: Sequence[int]) -> tuple[int, ...]:
        """Sort by insertion: a label passes those above it that it leads by the margin."""
        order: list[int] = []
        for label in labels:
            margin = self._margin if label in self.order else 0.0
            place = len(order)
            while place and self.scores[label] > self.scores[order[place - 1]] + margin:
                place -= 1
            order.insert(place, label)
        return tuple(order)
