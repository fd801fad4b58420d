"""Windows for a distillation with their labels: mixtures and single clips, labelled by the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .distil_recipe import Windows
from .mixtures import Mixer
from .teachers import Labels, TeacherNetwork

_SMALLEST = 1e-6
"""Smallest probability of a label, and the smallest distance from 1."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LabelledWindows:
    """Windows of a step and their labels.

    Attributes
    ----------
    rows : float32 tensor (batch, rows, 128)
        Normalised log-mel rows, as the student hears them.
    labels : Labels
        Labels.
    ends : sequence of int
        Number of rows of each window before its padding.
    """

    rows: Tensor
    labels: Labels
    ends: Sequence[int]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """Some windows of a step, before the room and the microphone.

    Attributes
    ----------
    student : float32 tensor (batch, rows, 128)
        Mel energies for the student.
    labels : Labels
        Labels.
    ends : sequence of int
        Number of rows of each window before its padding.
    """

    student: Tensor
    labels: Labels
    ends: Sequence[int]


class Labeller:
    """Maker of labelled windows.

    Parameters
    ----------
    mixer : Mixer
        Mixer of the sounds.
    teacher : TeacherNetwork
        The teacher, on the same device.
    shortest_rows : int
        Minimum number of rows before the padding of a window that ends early.
    """

    def __init__(self, mixer: Mixer, teacher: TeacherNetwork, shortest_rows: int) -> None:
        self._mixer, self._teacher, self._shortest_rows = mixer, teacher, shortest_rows

    @torch.no_grad()
    def make(self, windows: Windows, random: np.random.Generator) -> LabelledWindows:
        """Make the windows of a step."""
        alone = round(windows.alone * windows.batch)
        parts = [self._mix(windows, windows.batch - alone, random)]
        if alone:
            parts.append(self._leave_alone(windows, alone, random))
        rows = self._mixer.heard(torch.cat([part.student for part in parts]), random)
        ends = [end for part in parts for end in part.ends]
        for window, end in enumerate(ends):
            rows[window, end:] = self._mixer.padding
        return LabelledWindows(rows=rows, labels=_joined([part.labels for part in parts]), ends=ends)

    def _mix(self, windows: Windows, count: int, random: np.random.Generator) -> _Part:
        """Mix `count` windows, of which some end early."""
        mixture = self._mixer.mix(count, windows.rows, random)
        labels, ends = self._label(mixture.teacher), [windows.rows] * count
        for window in range(round(windows.ending_early * windows.batch)):
            end = int(random.integers(self._shortest_rows, windows.rows))
            there = self._label(mixture.teacher[window : window + 1, :end])
            labels.probabilities[window], labels.embeddings[window] = (
                there.probabilities[0],
                there.embeddings[0],
            )
            ends[window] = end
        return _Part(student=mixture.student, labels=labels, ends=ends)

    def _leave_alone(self, windows: Windows, count: int, random: np.random.Generator) -> _Part:
        """Return `count` windows with a clip alone, labelled by the mean of both ways to hear it: followed by silence, and repeated.

        The teacher names different things in the two.
        """
        clips = self._mixer.alone(count, windows.rows, random)
        once, repeated = self._label(clips.teacher), self._label(clips.repeated)
        logits = torch.stack([way.probabilities.logit(_SMALLEST) for way in (once, repeated)]).mean(0)
        labels = Labels(
            probabilities=logits.sigmoid(),
            embeddings=(once.embeddings + repeated.embeddings) / 2,
            features=once.features,
        )
        return _Part(student=clips.student, labels=labels, ends=clips.ends)

    def _label(self, energies: Tensor) -> Labels:
        return self._teacher.label(self._teacher.front_end.input_rows(energies))


def _joined(labels: Sequence[Labels]) -> Labels:
    return Labels(
        probabilities=torch.cat([part.probabilities for part in labels]),
        embeddings=torch.cat([part.embeddings for part in labels]),
        features=torch.cat([part.features for part in labels]),
    )
