"""Plan of a fine-tuning run: recordings to train and to validate on, and the length of a window."""

from dataclasses import dataclass

import numpy as np

from .. import frontends
from ..errors import TrainingError
from .dataset import Dataset, Indices, Reader, by_fold, check_trainable, hold_out, k_fold

ALL_FOLDS = "all"

_WINDOWS_SECONDS = (1.28, 2.56, 5.12, 10.24)
_NEARLY_ALL = 0.95
_MEASURED_RECORDINGS = 1000
"""Maximum number of recordings to derive the window length from."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Part of a run.

    Attributes
    ----------
    name : str
        Display name.
    training, validation : int64 arrays
        Indices of the examples to train and to validate on; the latter is empty if all examples are trained on.
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
        Share to validate on; 0 to train on all recordings without validation.
    fold : int, optional
        Fold of the data to validate on instead.
    folds : str, optional
        Folds to validate on in turn before training on all recordings: a number of random folds, or ``all`` for those of
        the data.
    seed : int
        Seed of the random choices.

    Raises
    ------
    TrainingError
        There are no such folds, or the rest is not enough to train on.
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
        raise TrainingError(f"'{folds}' is not a number of folds: give --folds 5, or --folds {ALL_FOLDS}")
    return dict(enumerate(k_fold(dataset, int(folds), seed), start=1))


def window_seconds_for(dataset: Dataset, sounds: Reader) -> float:
    """Return the shortest standard window, 1.28 to 10.24 s, that nearly all recordings fit in."""
    step = max(1, len(dataset.examples) // _MEASURED_RECORDINGS)
    lengths = [len(example.cut(sounds(example.path))) for example in dataset.examples[::step]]
    length_seconds = float(np.quantile(lengths, _NEARLY_ALL, method="lower")) / frontends.SAMPLE_RATE_HZ
    return next((window for window in _WINDOWS_SECONDS if length_seconds <= window), _WINDOWS_SECONDS[-1])
