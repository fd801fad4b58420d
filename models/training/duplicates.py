"""Recordings that are among two sets of sounds, even if they were encoded, padded, shortened or cut differently.

Two ways find them. Short sounds are compared from the onset on, by their fingerprints. Longer ones are looked for at any place: by the details
of their energies, without what is the same at all times and in all bins, as most impulses and most noises are alike in these.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

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

_STEPS = (50, 25)
"""Lengths of excerpts, in steps of 20 ms; the second one for sounds that are shorter than the first."""
_LONG = 150
"""Number of steps from which on a sound has three excerpts."""
_DETAIL_RANGE = 10.0
"""Distance from the loudest bin of a sound, in nats, below which details don't count."""
_EXCERPT_SIMILARITY = 0.6
"""Minimum correlation with an excerpt of a recording, for a closer look."""
_OVERLAP_SIMILARITY = 0.75
"""Minimum correlation of all that overlaps. A few sounds that only begin alike reach it, too."""
_SMALLEST = 1.0
"""Smallest norm of details, which nearly silent sounds don't reach."""


@dataclass(frozen=True, slots=True, eq=False)
class _Excerpt:
    """Part of a recording.

    Attributes
    ----------
    recording : int
        Number of the recording.
    begin : int
        First step.
    details : float32 tensor (64, steps)
        Details with a norm of 1.
    """

    recording: int
    begin: int
    details: Tensor


class Recordings:
    """Recordings that are looked for in other sounds.

    Parameters
    ----------
    energies : iterable of float32 tensor (rows, 128)
        Logarithms of the mel energies of each recording, 100 rows a second.
    """

    def __init__(self, energies: Iterable[Tensor]) -> None:
        known = list(energies)
        fingerprints = [_fingerprint(recording, shift) for recording in known for shift in _SHIFTS]
        self._fingerprints = torch.stack(fingerprints) if fingerprints else torch.zeros(0, _ROWS * 64)
        self._details = [_details(recording) for recording in known]
        excerpts: dict[int, list[_Excerpt]] = defaultdict(list)
        for number, details in enumerate(self._details):
            for excerpt in _excerpts(number, details):
                excerpts[excerpt.details.shape[1]].append(excerpt)
        self._excerpts = dict(excerpts)
        self._kernels = {
            steps: torch.stack([excerpt.details for excerpt in alike]) for steps, alike in excerpts.items()
        }

    def are_in(self, energies: Tensor) -> bool:
        """Return True if one of them is in a sound, or the sound in one of them.

        Parameters
        ----------
        energies : float32 tensor (rows, 128)
            Logarithms of the mel energies of the sound.
        """
        if bool((self._fingerprints @ _fingerprint(energies) > _SIMILARITY).any()):
            return True
        details = _details(energies)
        for steps, kernels in self._kernels.items():
            highest, at = _correlations(details, kernels).max(1)
            for number in (highest > _EXCERPT_SIMILARITY).nonzero().flatten().tolist():
                excerpt = self._excerpts[steps][number]
                shift = int(at[number]) - excerpt.begin
                other = self._details[excerpt.recording]
                if _overlap_correlation(details, other, shift) > _OVERLAP_SIMILARITY:
                    return True
        return False


def _fingerprint(energies: Tensor, shift: int = 0) -> Tensor:
    """Return the fingerprint of a sound (rows, 128), `shift` rows after its onset: a unit vector, float32 (5120,)."""
    loud = (energies.amax(1) > energies.max() - _ONSET).nonzero()
    begin = max(0, int(loud[0]) + shift)
    part = energies[begin : begin + _ROWS, ::2].float()
    part = F.pad(part, (0, 0, 0, _ROWS - len(part)), value=float(energies.min()))
    part = part.clamp_min(float(part.max()) - _RANGE)
    return F.normalize((part - part.mean()).flatten(), dim=0)


def _details(energies: Tensor) -> Tensor:
    """Return the details of a sound (rows, 128) in steps of two rows and two bins, without the mean of each step: float32 (64, steps)."""
    rows, bins = energies.shape
    steps = energies[: rows // 2 * 2].float().reshape(rows // 2, 2, bins // 2, 2).mean((1, 3))
    steps = steps.clamp_min(float(energies.max()) - _DETAIL_RANGE)
    return (steps - steps.mean(1, keepdim=True)).T.contiguous()


def _excerpts(recording: int, details: Tensor) -> list[_Excerpt]:
    """Choose excerpts of a recording: where it varies most and, if it is long, at two more places."""
    length = details.shape[1]
    steps = next((steps for steps in _STEPS if steps <= length), None)
    if steps is None:
        return []
    spread = details.unfold(1, steps, 5).var(2).sum(0)
    begins = [int(spread.argmax()) * 5]
    if length >= _LONG:
        begins += [length // 5, length * 3 // 5]
    parts = ((begin, _centred(details[:, begin : begin + steps])) for begin in begins)
    return [
        _Excerpt(recording, begin, F.normalize(part.flatten(), dim=0).view_as(part))
        for begin, part in parts
        if part.norm() > _SMALLEST
    ]


def _centred(details: Tensor) -> Tensor:
    return details - details.mean(1, keepdim=True)


def _correlations(details: Tensor, kernels: Tensor) -> Tensor:
    """Return the correlations of a sound (64, steps) with excerpts (excerpts, 64, length) at each of its places (excerpts, places)."""
    length = kernels.shape[2]
    details = F.pad(details, (0, max(0, length - details.shape[1])))
    products = F.conv1d(details[None], kernels)[0]
    sums, squares = (F.pad(values.cumsum(1), (1, 0)) for values in (details, details.square()))
    mean = (sums[:, length:] - sums[:, :-length]) / length
    # the energy of each bin without its mean
    energy = squares[:, length:] - squares[:, :-length] - length * mean.square()
    return products / energy.sum(0).clamp_min(_SMALLEST).sqrt()


def _overlap_correlation(details: Tensor, other: Tensor, shift: int) -> float:
    """Return the correlation of two sounds where they overlap, if the other one begins `shift` steps after the beginning of the first."""
    first, second = details[:, max(0, shift) :], other[:, max(0, -shift) :]
    steps = min(first.shape[1], second.shape[1])
    first, second = _centred(first[:, :steps]), _centred(second[:, :steps])
    return float((first * second).sum() / (first.norm() * second.norm()).clamp_min(_SMALLEST))
