"""Motion of the tags on screen: which ones there are, where they are, and how far they have faded in."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ranking import Ranking

_FADE_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class MovingTag:
    """Tag at one moment.

    Attributes
    ----------
    label : int
        Index of its label.
    position : float
        Distance from the top in rows.
    opacity : float
        Share in 0..1 to which it has faded in.
    score : float
        Newest score, as it is written.
    smooth_score : float
        Score that moves to the newest one, for a bar.
    """

    label: int
    position: float
    opacity: float
    score: float
    smooth_score: float


class TagMotion:
    """Tags with the highest scores, which move to their places and fade in.

    Parameters
    ----------
    classes : int
        Number of scores.
    move_seconds : float
        Time constant with which tags move to their places.
    least_score : float
        Smoothed score below which a tag is left out; 0 for the limit of `Ranking`.
    """

    def __init__(self, classes: int, *, move_seconds: float, least_score: float = 0.0) -> None:
        self._classes = classes
        self._move_seconds = move_seconds
        self._least_score = least_score
        self.clear()

    @property
    def order(self) -> tuple[int, ...]:
        """Labels from top to bottom, in the places that they move to."""
        return self._ranking.order

    def clear(self) -> None:
        """Forget all tags."""
        self._ranking = Ranking(self._classes, 0)
        self._positions: dict[int, float] = {}
        self._opacities: dict[int, float] = {}

    def set_target(self, scores: NDArray[np.float32]) -> None:
        """Set the scores to move to: float32 (classes,)."""
        self._ranking.set_target(scores)

    def advance(self, seconds: float, rows: int) -> None:
        """Advance by some seconds; there is room for so many rows."""
        self._ranking.rows = rows
        self._ranking.advance(seconds)
        step = -math.expm1(-seconds / self._move_seconds)
        shown = [label for label in self.order if self._ranking.scores[label] >= self._least_score]
        self._positions = {
            label: position + (self._positions.get(label, position) - position) * (1 - step)
            for position, label in enumerate(shown)
        }
        self._opacities = {
            label: min(1.0, self._opacities.get(label, 0.0) + seconds / _FADE_SECONDS)
            for label in self._positions
        }

    def tags(self) -> Iterator[MovingTag]:
        """Yield the tags from top to bottom."""
        for label, position in self._positions.items():
            yield MovingTag(
                label,
                position,
                self._opacities[label],
                float(self._ranking.target[label]),
                float(self._ranking.scores[label]),
            )
