"""Order and scores of the labels on screen."""

import math

import numpy as np
from numpy.typing import NDArray

_SMOOTHING_SECONDS = 0.3
_MIN_SCORE = 0.02
_DIGITS = 2


class Ranking:
    """Labels of the newest tagging, the highest score first, and scores that move exponentially towards it.

    The order is that of the scores as they are written, with two digits; equal ones stay where they are. Scores below 0.02 are not shown.

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
    rows : int
        As given; it may be changed.
    """

    def __init__(self, classes: int, rows: int) -> None:
        self.scores: NDArray[np.float64] = np.zeros(classes)
        self.target: NDArray[np.float64] = np.zeros(classes)
        self.order: tuple[int, ...] = ()
        self.rows = rows

    def set_target(self, scores: NDArray[np.float32]) -> None:
        """Set the scores to move to: float32 (classes,), more or fewer than before; those that are missing are 0."""
        classes = max(len(scores), len(self.scores))
        self.target = np.pad(scores.astype(np.float64), (0, classes - len(scores)))
        self.scores = np.pad(self.scores, (0, classes - len(self.scores)))

    def advance(self, seconds: float) -> None:
        """Advance the smoothing by some seconds."""
        self.scores += (self.target - self.scores) * -math.expm1(-seconds / _SMOOTHING_SECONDS)
        written = self.target.round(_DIGITS)
        place = np.full(len(written), len(written))
        place[list(self.order)] = range(len(self.order))
        best = np.lexsort((-self.target, place, -written))[: self.rows]
        self.order = tuple(best[self.target[best] >= _MIN_SCORE].tolist())
