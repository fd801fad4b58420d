"""Recordings that are among two sets of sounds, even if they were encoded, padded or shortened: found by their energies from the onset on."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

_ROWS = 80
_SHIFTS = range(-6, 7)
"""Rows by which onsets may differ."""
_ONSET = 6.0
"""Distance from the loudest bin of a sound, in nats, at which it begins."""
_RANGE = 9.0
"""Distance from the loudest bin of a fingerprint, in nats, below which differences don't count."""
_SIMILARITY = 0.93
"""Minimum cosine similarity of the fingerprints of one recording."""

_TOGETHER = 1000
"""Number of other fingerprints that are compared at once."""


def fingerprint(energies: Tensor, shift: int = 0) -> Tensor:
    """Return the fingerprint of a sound: a unit vector, float32 (5120,).

    Parameters
    ----------
    energies : float32 tensor (rows, 128)
        Logarithms of mel energies, 100 rows a second.
    shift : int
        Rows by which the fingerprint begins after the onset.
    """
    loud = (energies.amax(1) > energies.max() - _ONSET).nonzero()
    begin = max(0, int(loud[0]) + shift)
    part = energies[begin : begin + _ROWS, ::2].float()
    part = F.pad(part, (0, 0, 0, _ROWS - len(part)), value=float(energies.min()))
    part = part.clamp_min(float(part.max()) - _RANGE)
    return F.normalize((part - part.mean()).flatten(), dim=0)


def duplicates(fingerprints: Sequence[Tensor], others: Iterable[Tensor]) -> Tensor:
    """Return for each sound whether its recording is also among others: bool (sounds,).

    Parameters
    ----------
    fingerprints : sequence of float32 tensor (5120,)
        Fingerprints of the sounds.
    others : iterable of float32 tensor (rows, 128)
        Logarithms of the mel energies of other sounds.
    """
    ours = torch.stack(list(fingerprints))
    found = torch.zeros(len(ours), dtype=torch.bool)
    theirs = [fingerprint(energies, shift) for energies in others for shift in _SHIFTS]
    for begin in range(0, len(theirs), _TOGETHER):
        similarities = ours @ torch.stack(theirs[begin : begin + _TOGETHER]).T
        found |= similarities.amax(1) > _SIMILARITY
    return found
