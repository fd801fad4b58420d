"""Preparation of a fine-tuning run: the recipe with the user's changes, and the checkpoint to start from."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..checkpoints import Checkpoint
from ..frontends import FRAME_SHIFT, SAMPLE_RATE_HZ
from .batches import normalisation
from .dataset import Dataset, Reader
from .plan import window_seconds_for
from .recipes import Recipe, recipe
from .transfer import starting_point


def adjusted_recipe(
    name: str,
    *,
    epochs: int | None,
    average: bool | None,
    changes: Mapping[str, Any],
    head_only: bool = False,
) -> Recipe:
    """Return a recipe with changes.

    Parameters
    ----------
    name : str
        Name of the recipe.
    epochs : int or None
        Passes through the data.
    average : bool or None
        True to average the weights of epochs, False to keep those of one.
    changes : mapping
        Values of other fields; None keeps the recipe's.
    head_only : bool
        True to train the head alone.

    Raises
    ------
    TrainingError
        There is no such recipe, or a value is out of range.
    """
    chosen = recipe(name)
    if head_only:
        chosen = chosen.with_head_only()
    if epochs is not None:
        chosen = replace(chosen.with_epochs(epochs), least_steps=0)
    if average is not None:
        average_from = chosen.average_from or chosen.epochs // 2 + 1
        chosen = replace(chosen, average_from=average_from if average else None)
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(chosen, patience_grows="patience" not in given, **given)


def starting_checkpoint(
    recipe: Recipe,
    dataset: Dataset,
    sounds: Reader,
    *,
    fstride: int | None,
    tstride: int | None,
    normalise: str | None,
    offline: bool,
    seed: int,
) -> Checkpoint:
    """Return the checkpoint that a run starts from, with windows that fit the data.

    Parameters
    ----------
    recipe : Recipe
        Training settings.
    dataset : Dataset
        Recordings and their labels.
    sounds : Reader
        Function that decodes a recording.
    fstride, tstride : int or None
        Strides of patches; None keeps those of the starting point.
    normalise : {"init", "data"} or None
        Origin of mean and deviation; None takes the recipe's, else those of the starting point.
    offline : bool
        True to use only files on this machine.
    seed : int
        Seed of the new head.

    Raises
    ------
    ModelError
        The starting point can't be loaded or adapted.
    """
    seconds = recipe.window_seconds or window_seconds_for(dataset, sounds)
    rows = round(seconds * SAMPLE_RATE_HZ / FRAME_SHIFT)
    start = starting_point(
        recipe.init, dataset.labels, fstride=fstride, tstride=tstride, rows=rows, offline=offline, seed=seed
    )
    if normalise == "data":
        mean, std = normalisation(dataset, sounds, start.config, seed)
        return replace(start, mean=mean, std=std)
    if normalise is None and recipe.mean is not None and recipe.std is not None:
        return replace(start, mean=recipe.mean, std=recipe.std)
    return start
