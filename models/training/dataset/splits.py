"""Splits of a data set into training and validation, with the classes in the same proportions in both.

Parts of one recording stay together: a model that was trained on one part would recognise the other too easily.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import TrainingError
from .examples import Dataset, Indices


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[Indices, Indices]:
    """Hold out a random share of each class for validation.

    Parameters
    ----------
    dataset : Dataset
        Recordings with one or several labels.
    share : float
        Share of the recordings, above 0 and below 1. A class with few recordings keeps at least one for training.
    seed : int
        Seed; the same one gives the same split.

    Returns
    -------
    training, validation : int64 arrays
        Indices into `dataset.examples`, in ascending order.

    Raises
    ------
    TrainingError
        The share is out of range, or there are too few recordings to hold any out.
    """
    if not 0 < share < 1:
        raise TrainingError(f"the share for validation must be above 0 and below 1, not {share:g}: try 0.2")
    parts = _deal(dataset, (1 - share, share), seed)
    training, validation = _keep_each_class(dataset, parts == 1)
    if not len(validation):
        raise TrainingError(
            f"there are too few recordings, {len(dataset.examples)} of {len(dataset.labels)} classes, to hold out "
            f"{share:.0%} of them for validation: add recordings, or hold out a greater share"
        )
    return training, validation


def k_fold(dataset: Dataset, k: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Split into k folds, each of which is the validation part once.

    Parameters
    ----------
    dataset : Dataset
        Recordings with one or several labels.
    k : int
        Number of folds, from 2 to the number of recordings.
    seed : int
        Seed; the same one gives the same folds.

    Returns
    -------
    list of (training, validation)
        Indices as from `hold_out`. Each recording is validated on once, except the only one of a class, which is always trained on.

    Raises
    ------
    TrainingError
        There are too few recordings for the number of folds, such as those of which parts are labelled: these stay together.
    """
    if not 2 <= k <= len(dataset.examples):
        raise TrainingError(
            f"{len(dataset.examples)} recordings can't be split into {k} folds: give 2 or more folds, and no more than there "
            "are recordings"
        )
    parts = _deal(dataset, (1 / k,) * k, seed)
    folds = [_keep_each_class(dataset, parts == part) for part in range(k)]
    if empty := sum(not len(validation) for _, validation in folds):
        raise TrainingError(
            f"there are too few recordings for {k} folds, {empty} of which would have none to validate with: give fewer folds, "
            "or add recordings"
        )
    return folds


def by_fold(dataset: Dataset, fold: int) -> tuple[Indices, Indices]:
    """Take fold number `fold` of the data set for validation, and the others for training.

    Returns
    -------
    training, validation : int64 arrays
        Indices into `dataset.examples`, in ascending order.

    Raises
    ------
    TrainingError
        There is no such fold.
    """
    if fold not in dataset.folds:
        there = f"it has {', '.join(map(str, dataset.folds))}" if dataset.folds else "it has no column 'fold'"
        raise TrainingError(f"the data has no fold {fold}: {there}")
    chosen = np.array([example.fold == fold for example in dataset.examples])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _deal(dataset: Dataset, shares: Sequence[float], seed: int) -> Indices:
    """Assign the examples to parts of given sizes, and return the part of each example.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas: "On the Stratification of Multi-Label Data", 2011): the rarest label first,
    each of its examples to the part that lacks most of that label.
    """
    shuffled = np.random.default_rng(seed).permutation(len(dataset.examples))
    members: list[list[int]] = [[] for _ in dataset.labels]
    for index in shuffled:
        for label in dataset.examples[index].labels:
            members[label].append(int(index))
    undealt = np.array([len(indices) for indices in members])  # (classes,)
    lacking = np.outer(shares, undealt)  # (parts, classes)
    room = np.array(shares) * len(shuffled)  # (parts,)
    parts = np.full(len(shuffled), -1, np.int64)
    together = _by_recording(dataset)
    while undealt.any():
        rarest = int(np.argmin(np.where(undealt > 0, undealt, len(shuffled) + 1)))
        for index in members[rarest]:
            if parts[index] >= 0:
                continue
            part = int(np.lexsort((room, lacking[:, rarest]))[-1])
            for sibling in together[dataset.examples[index].path]:
                parts[sibling] = part
                labels = list(dataset.examples[sibling].labels)
                undealt[labels] -= 1
                lacking[part, labels] -= 1
                room[part] -= 1
    return parts


def _by_recording(dataset: Dataset) -> dict[Path, list[int]]:
    """Return the indices of the examples of each recording."""
    indices = defaultdict(list)
    for index, example in enumerate(dataset.examples):
        indices[example.path].append(index)
    return indices


def _keep_each_class(
    dataset: Dataset, held_out: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Indices, Indices]:
    """Return the indices of both parts, after moving a recording of each class without training examples to the training part."""
    together = _by_recording(dataset)
    trained = {label for index in np.flatnonzero(~held_out) for label in dataset.examples[index].labels}
    for index in np.flatnonzero(held_out):
        labels = dataset.examples[index].labels
        if not trained.issuperset(labels):
            siblings = together[dataset.examples[index].path]
            held_out[siblings] = False
            trained.update(label for sibling in siblings for label in dataset.examples[sibling].labels)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
