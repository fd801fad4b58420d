"""What a run of fine-tuning consists of: which recordings to learn from, which to measure with, and how long a window must be."""

from dataclasses import dataclass

import numpy as np

from .. import frontends
from ..errors import TrainingError
from .dataset import Dataset, Indices, Reader, by_fold, check_trainable, hold_out, k_fold

ALL_FOLDS = "all"

_WINDOWS_SECONDS = (1.28, 2.56, 5.12, 10.24)
_NEARLY_ALL = 0.95
_MEASURED_RECORDINGS = 1000
"""Recordings whose lengths say how long a window must be."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a run.

    Attributes
    ----------
    name : str
        For people.
    training, validation : int64 arrays
        Examples to learn from, and to measure with: none of these where everything is learned from.
    """

    name: str
    training: Indices
    validation: Indices


def plan_parts(
    dataset: Dataset,
    *,
    validation: float = 0.2,
    fold: int | None = None,
    folds: str | None = None,
    seed: int = 0,
) -> tuple[Part, ...]:
    """Plan a run.

    Parameters
    ----------
    dataset : Dataset
        All recordings.
    validation : float
        Share to measure with; 0 to learn from everything, without measuring.
    fold : int, optional
        Measure with this fold of the data's instead.
    folds : str, optional
        Measure with each of several folds in turn, and then learn from everything: a number, of folds drawn by chance, or ``all`` those of
        the data.
    seed : int
        Of what is drawn.

    Raises
    ------
    TrainingError
        There are no such folds, or what remains can't be learned from.
    """
    all_examples, no_examples = np.arange(len(dataset.examples)), np.empty(0, np.int64)
    if folds is not None:
        splits = _folds(dataset, folds, seed)
        parts = [Part(f"fold {name}", *split) for name, split in splits.items()]
        parts.append(Part("everything", all_examples, no_examples))
    elif fold is not None:
        parts = [Part(f"fold {fold}", *by_fold(dataset, fold))]
    elif validation == 0:
        parts = [Part("everything", all_examples, no_examples)]
    else:
        parts = [Part("validation", *hold_out(dataset, validation, seed))]
    for part in parts:
        check_trainable(dataset.subset(part.training))
    return tuple(parts)


def _folds(dataset: Dataset, folds: str, seed: int) -> dict[int, tuple[Indices, Indices]]:
    if folds == ALL_FOLDS:
        if len(dataset.folds) < 2:
            raise TrainingError(
                "the data has no folds of its own: give a CSV file with a column 'fold', or a number of folds such as --folds 5"
            )
        return {fold: by_fold(dataset, fold) for fold in dataset.folds}
    if not folds.isdecimal():
        raise TrainingError(f"'{folds}' is no number of folds: give --folds 5, or --folds {ALL_FOLDS}")
    return dict(enumerate(k_fold(dataset, int(folds), seed), start=1))


def window_seconds_for(dataset: Dataset, sounds: Reader) -> float:
    """Find the shortest usual window, 1.28 to 10.24 s, that holds nearly all recordings."""
    step = max(1, len(dataset.examples) // _MEASURED_RECORDINGS)
    lengths = [len(sounds(example.path)) for example in dataset.examples[::step]]
    length_seconds = float(np.quantile(lengths, _NEARLY_ALL, method="lower")) / frontends.SAMPLE_RATE_HZ
    return next((window for window in _WINDOWS_SECONDS if length_seconds <= window), _WINDOWS_SECONDS[-1])
