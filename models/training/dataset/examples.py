"""Data set in memory: recordings and their labels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import frontends
from ...errors import TrainingError

Indices: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Example:
    """Labelled recording.

    Attributes
    ----------
    path : Path
        File of the recording.
    labels : tuple of int
        Indices into the data set's labels, at least one, in ascending order.
    fold : int or None
        Number of the fold that the data set assigns.
    start_seconds, end_seconds : float
        Part of the recording that counts.
    """

    path: Path
    labels: tuple[int, ...]
    fold: int | None = None
    start_seconds: float = 0.0
    end_seconds: float = math.inf

    def cut(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut the part that counts out of the samples of the recording, 16 kHz mono float32 (n,)."""
        start, end = (
            round(min(seconds * frontends.SAMPLE_RATE_HZ, len(samples)))
            for seconds in (self.start_seconds, self.end_seconds)
        )
        return samples[start:end]

    @property
    def part(self) -> tuple[float, ...]:
        """Start and end in seconds; empty if the whole recording counts."""
        whole = (0.0, math.inf)
        return (
            () if (self.start_seconds, self.end_seconds) == whole else (self.start_seconds, self.end_seconds)
        )

    @property
    def too_short(self) -> str:
        """Sentence about a recording whose part is shorter than a frame of 25 ms."""
        if self.part:
            return f"{self.path} has less than 25 ms of sound from its start to its end in the list: correct them"
        return f"{self.path} is shorter than 25 ms: give a longer recording"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled recordings.

    Attributes
    ----------
    examples : tuple of Example
        Recordings, in a fixed order.
    labels : tuple of str
        Names of the classes.
    multi_label : bool
        True if a recording may have several labels.
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    multi_label: bool

    def targets(self) -> NDArray[np.float32]:
        """Return 1 for each label of a recording, else 0: float32 (examples, classes)."""
        targets = np.zeros((len(self.examples), len(self.labels)), np.float32)
        for row, example in zip(targets, self.examples, strict=True):
            row[list(example.labels)] = 1.0
        return targets

    def subset(self, indices: Iterable[int] | Indices) -> "Dataset":
        """Return the examples at `indices`, in that order, with the same labels."""
        return replace(self, examples=tuple(self.examples[index] for index in indices))

    @property
    def folds(self) -> tuple[int, ...]:
        """Numbers of the folds, in ascending order; empty without folds."""
        return tuple(sorted({example.fold for example in self.examples if example.fold is not None}))


def check_trainable(dataset: Dataset) -> None:
    """Check that a model can be trained on a data set.

    Raises
    ------
    TrainingError
        There are fewer than two classes, or a class has no recording.
    """
    if len(dataset.labels) < 2:
        only = f"only one class, '{dataset.labels[0]}'" if dataset.labels else "no class"
        raise TrainingError(
            f"the data has {only}, but at least two are needed: add recordings of another class, such as background noise"
        )
    present = {label for example in dataset.examples for label in example.labels}
    missing = [name for index, name in enumerate(dataset.labels) if index not in present]
    if missing:
        others = f" (and of {len(missing) - 1} other classes)" if len(missing) > 1 else ""
        raise TrainingError(
            f"there is no recording of the class '{missing[0]}'{others} to train on: add some, or remove the class"
        )
