"""Names of a clip that count as right whatever the teacher hears, and the groups of sounds that they allow."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from ..labels import audioset_classes, family_of
from .pack import Clip, Pack

_CERTAIN = 0.8
"""Minimum probability of a name that counts as right."""

_PLAUSIBLE = 100
"""Number of the teacher's first classes that a class in the name of a file must be among."""

_LESS_LIKELY = 5.0
"""Factor by which the odds of groups of sounds that the names do not allow are lower."""

_GROUP_OF_FAMILY = {
    "voice": "people",
    "person": "people",
    "music": "music",
    "silence": "silence",
    "animal": "animals",
    "bird": "animals",
    "weather": "nature",
    "water": "nature",
    "alarm": "things",
    "vehicle": "things",
    "machine": "things",
    "home": "things",
}
"""Group of each family of classes; classes of other families, such as impacts, belong to no group and fit all sounds."""

_GROUPS = frozenset(_GROUP_OF_FAMILY.values())
_GROUPS_WITH_ANY_SOUND = frozenset({"animals", "nature", "things"})
"""Groups to which a sound can belong whose name belongs to no group."""


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
    """
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


def groups_of(clip: Clip) -> frozenset[str]:
    """Return the groups of sounds that a clip's names allow, those in the name of its file included; empty if it has no names."""
    groups = set[str]()
    for name in clip.names | clip.likely:
        group = _group_of(name)
        groups |= _GROUPS_WITH_ANY_SOUND if group is None else {group}
    return frozenset(groups)


def lower_other_groups(
    probabilities: Tensor, groups: Mapping[int, Collection[str]], classes: Sequence[int]
) -> None:
    """Lower the probabilities of groups of sounds, such as music, that are not allowed.

    Teachers hear music and speech in many sounds that are neither: in AudioSet, they are nearly everywhere.

    Parameters
    ----------
    probabilities : tensor (rows, classes)
        Probabilities of the teacher's classes, to change.
    groups : mapping of int to collection of str
        Groups that are allowed in a row. Rows without any stay as they are.
    classes : sequence of int
        Positions of the teacher's classes among AudioSet's.
    """
    of_classes = [_group_of(audioset_classes()[index].name) for index in classes]
    lowered = torch.zeros(probabilities.shape, dtype=torch.bool)
    for row, allowed in groups.items():
        if allowed:
            others = _GROUPS.difference(allowed)
            lowered[row] = torch.tensor([group in others for group in of_classes])
    less_likely = probabilities / (probabilities + _LESS_LIKELY * (1 - probabilities))
    probabilities.copy_(torch.where(lowered.to(probabilities.device), less_likely, probabilities))


def _group_of(name: str) -> str | None:
    """Return the group of a class of AudioSet, if it belongs to one."""
    return _GROUP_OF_FAMILY.get(family_of(name))
