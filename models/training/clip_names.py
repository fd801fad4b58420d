"""Names of a clip that count as right whatever the teacher hears."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import TrainingError
from .pack import Clip, Pack

_CERTAIN = 0.8
"""Minimum probability of a name that counts as right."""

_PLAUSIBLE = 100
"""Number of the teacher's first classes that a class in the name of a file must be among."""


def named_classes(clip: Clip, pack: Pack, probabilities: Tensor, classes: Sequence[int]) -> list[int]:
    """Return the AudioSet classes that count as names of a clip: those that people gave it, and plausible ones in the name of its file.

    Parameters
    ----------
    clip, pack : Clip, Pack
        Clip, and the pack that it belongs to.
    probabilities : tensor (classes,)
        The teacher's probabilities for the clip.
    classes : sequence of int
        Positions of the teacher's classes among AudioSet's.

    Returns
    -------
    list of int
        Positions among AudioSet's classes.

    Raises
    ------
    TrainingError
        A name is not that of a class.
    """
    for name in sorted(clip.names):
        if name not in pack.labels:
            raise TrainingError(
                f"'{name}', a name of the clip {clip.id} in {pack.folder}, is none of AudioSet's classes: correct it"
            )
    certain = {pack.labels.index(name) for name in clip.names}
    first = {classes[column] for column in probabilities.topk(_PLAUSIBLE).indices.tolist()}
    return sorted(certain | ({pack.labels.index(name) for name in clip.likely} & first))


def raise_to_names(probabilities: Tensor, names: Sequence[tuple[int, int]], classes: Sequence[int]) -> None:
    """Raise the probabilities of names to at least `_CERTAIN`.

    Parameters
    ----------
    probabilities : tensor (rows, classes)
        Probabilities of the teacher's classes, to change.
    names : sequence of (int, int)
        Rows and positions among AudioSet's classes; those that the teacher lacks are left out.
    classes : sequence of int
        Positions of the teacher's classes among AudioSet's.
    """
    columns = {index: column for column, index in enumerate(classes)}
    known = [(row, columns[index]) for row, index in names if index in columns]
    if known:
        where = torch.tensor(known, device=probabilities.device).unbind(1)
        probabilities[where] = probabilities[where].clamp_min(_CERTAIN)
