"""The mean of the weights of several checkpoints."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ..errors import CheckpointError
from .checkpoint import Checkpoint


def mean_of(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Average the weights of checkpoints.

    The mean of networks that were trained further from the same one is often better than each of them (Wortsman and others, "Model soups",
    2022).

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        At least one. One that is given twice counts twice.

    Returns
    -------
    Checkpoint
        Checkpoint with the name of the first and without thresholds; the first itself if it is the only one.

    Raises
    ------
    CheckpointError
        They are not of the same network, with the same labels and normalisation.
    """
    first = checkpoints[0]
    if len(checkpoints) == 1:
        return first
    for other in checkpoints[1:]:
        if _kind(other) != _kind(first):
            raise CheckpointError(
                f"the weights of '{first.name}' and '{other.name}' can't be averaged: give models of the same network, with the same "
                "labels and normalisation"
            )
    weights = {
        name: torch.stack([checkpoint.weights[name].float() for checkpoint in checkpoints])
        .mean(0)
        .to(own.dtype)
        for name, own in first.weights.items()
    }
    return replace(first, weights=weights, thresholds=None)


def _kind(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Return all that checkpoints must have in common."""
    shapes = {name: weights.shape for name, weights in checkpoint.weights.items()}
    return (
        checkpoint.config,
        checkpoint.labels,
        checkpoint.mean,
        checkpoint.std,
        checkpoint.activation,
        shapes,
    )
