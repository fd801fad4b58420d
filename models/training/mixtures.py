"""Training windows: random mixtures of clips and noise, made from the library of sounds during training.

Sounds are added as energies of mel bins, where their cross terms average out: no decoding in the training loop. The teacher gets the clean
mixture. The student gets it through a room and a microphone, and learns the labels of the clean sound.

Random numbers are drawn on the CPU, from a generator of the step; energies are read and added where they lie, on the CPU or on a GPU.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .. import frontends
from .distil_recipe import Mixing
from .library import OFFSET, Library

Random: TypeAlias = np.random.Generator

_DECIBEL = math.log(10) / 10
"""Natural logarithm of a power ratio of 1 dB."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """Part of a clip, placed in the windows of a batch.

    Attributes
    ----------
    first : int
        First row in the library.
    count : int
        Number of rows.
    to : int
        First row among those of all windows.
    gain : float
        Factor of the energies.
    """

    first: int
    count: int
    to: int
    gain: float


class Mixer:
    """Mixer of training windows.

    Parameters
    ----------
    library : Library
        Sounds, on the device to mix on.
    settings : Mixing
        Settings of the mixtures.
    mean, std : float
        Normalisation of the student's rows.
    """

    def __init__(self, library: Library, settings: Mixing, *, mean: float, std: float) -> None:
        self._library, self._settings = library, settings
        self._mean, self._scale = mean, 2 * std
        self._noises = range(len(library.chances), len(library.start))

    @property
    def padding(self) -> float:
        """Value of the rows that pad a window which ends early: 0 before normalisation."""
        return -self._mean / self._scale

    def mix(self, batch: int, rows: int, random: Random) -> tuple[Tensor, Tensor]:
        """Mix windows: mel energies float32 for the student (batch, rows, 128) and for the teacher (batch, rows, bins)."""
        placed = list(self._place(batch, rows, random))
        count = np.array([part.count for part in placed])
        inside = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
        first, to = (np.repeat([getattr(part, name) for part in placed], count) for name in ("first", "to"))
        gain = np.repeat(np.array([part.gain for part in placed], np.float32), count)
        device = self._library.student.device
        source, target, factor = (
            torch.from_numpy(array).to(device, non_blocking=True)
            for array in (first + inside, to + inside, gain)
        )
        student, teacher = (
            _add(energies, source, target, factor, batch * rows)
            for energies in (self._library.student, self._library.teacher)
        )
        return student.view(batch, rows, -1), teacher.view(batch, rows, -1)

    def _place(self, batch: int, rows: int, random: Random) -> Iterator[_Placed]:
        """Choose the sounds of each window and their places."""
        settings, chances = self._settings, self._library.chances
        clips = random.choice(len(chances), size=(batch, len(settings.sounds)), p=chances)
        counts = random.choice(len(settings.sounds), size=batch, p=settings.sounds) + 1
        for window in range(batch):
            for layer in range(counts[window]):
                limits = settings.other_gain_db if layer else settings.first_gain_db
                gain = math.exp(_DECIBEL * random.uniform(*limits))
                clip = int(clips[window, layer])
                short = self._library.length[clip] < rows // 3
                repeated = short and random.random() < settings.repeated
                for _ in range(random.integers(*settings.repeats, endpoint=True) if repeated else 1):
                    yield self._part(clip, window, rows, gain, random)
            if random.random() < settings.noisy:
                noise = int(random.choice(self._noises))
                gain = math.exp(_DECIBEL * random.uniform(*settings.noise_gain_db))
                yield self._part(noise, window, rows, gain, random)

    def _part(self, clip: int, window: int, rows: int, gain: float, random: Random) -> _Placed:
        """Crop a clip to the window at random if it is longer, else place it at random."""
        start, length = int(self._library.start[clip]), int(self._library.length[clip])
        spare = int(random.integers(abs(length - rows), endpoint=True))
        if length > rows:
            return _Placed(start + spare, rows, window * rows, gain)
        return _Placed(start, length, window * rows + spare, gain)

    def heard(self, energies: Tensor, random: Random) -> Tensor:
        """Mel energies (batch, rows, 128) -> normalised rows of the same shape, as a microphone in a room hears them."""
        settings = self._settings
        batch, _, bins = energies.shape
        if random.random() < settings.reverberant:
            energies = self._reverberate(energies, random)
        points = random.uniform(-1, 1, (batch, settings.colour_points)) * settings.colour_db * _DECIBEL
        at = np.linspace(0, bins - 1, settings.colour_points)
        colour = np.stack([np.interp(np.arange(bins), at, gains) for gains in points]).astype(np.float32)
        rows = energies.clamp_min(frontends.FLOOR).log()
        rows += torch.from_numpy(colour).to(energies.device, non_blocking=True)[:, None]
        return rows.clamp_min_(math.log(frontends.FLOOR)).sub_(self._mean).div_(self._scale)

    def _reverberate(self, energies: Tensor, random: Random) -> Tensor:
        """Add the same reverberation to the second half of a batch.

        It is noise that decays exponentially (Polack 1988): its energy is the sound's, convolved with that decay.
        """
        batch, rows, bins = energies.shape
        seconds, wet = random.uniform(*self._settings.decay_seconds), random.uniform(*self._settings.wet)
        length = min(rows, self._settings.reverberation_rows)
        per_row = 6 * math.log(10) / (frontends.ROWS_PER_SECOND * seconds)
        decay = torch.exp(-per_row * torch.arange(length, device=energies.device))
        decay /= decay.sum()
        dry = energies[batch // 2 :]
        series = F.pad(dry.transpose(1, 2).reshape(-1, 1, rows), (length - 1, 0))
        smeared = F.conv1d(series, decay.flip(0)[None, None]).view(-1, bins, rows).transpose(1, 2)
        return torch.cat((energies[: batch // 2], torch.lerp(dry, smeared, wet)))


def _add(energies: Tensor, source: Tensor, target: Tensor, factor: Tensor, rows: int) -> Tensor:
    """Add the stored log energies of the rows `source`, times `factor`, into the rows `target` of a result (rows, bins)."""
    picked = energies[source].float().exp_().sub_(OFFSET).clamp_min_(0).mul_(factor[:, None])
    return torch.zeros(rows, energies.shape[1], device=energies.device).index_add_(0, target, picked)
