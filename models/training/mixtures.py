"""Training windows: random mixtures of clips and noise, made from the library of sounds during training.

Sounds are added as energies of mel bins, where their cross terms average out: no decoding in the training loop. The teacher gets the clean
mixture. The student gets it through a room and a microphone, and learns the labels of the clean sound.

Random numbers are drawn on the CPU, from a generator of the step; energies are read and added where they lie, on the CPU or on a GPU.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .. import frontends
from .distil_recipe import Mixing
from .library import OFFSET, Library
from .teachers import TeacherFrontEnd
from .warping import mel, warp_matrix

Random: TypeAlias = np.random.Generator

_DECIBEL = math.log(10) / 10
"""Natural logarithm of a power ratio of 1 dB."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """Part of a clip, placed in the windows of a batch.

    Attributes
    ----------
    pitch : int
        Number of the factor of its pitch: 0 is 1.
    pace : float
        Factor of its pace: rows in the library for a row in the window.
    first : int
        First row in the library.
    count : int
        Number of rows in the window.
    to : int
        First row among those of all windows.
    gain : float
        Factor of the energies.
    """

    pitch: int
    pace: float
    first: int
    count: int
    to: int
    gain: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mixture:
    """Windows of mixed sounds.

    Attributes
    ----------
    student, teacher : float32 tensor (batch, rows, bins)
        Mel energies for student and teacher.
    """

    student: Tensor
    teacher: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Alone(Mixture):
    """Windows with one clip each, from its beginning: mel energies, 0 after its end.

    Attributes
    ----------
    repeated : float32 tensor (batch, rows, bins)
        Energies for the teacher, of the clip repeated to the end of the window.
    ends : tuple of int
        Number of rows of each clip.
    """

    repeated: Tensor
    ends: tuple[int, ...]


class Mixer:
    """Mixer of training windows.

    Parameters
    ----------
    library : Library
        Sounds, on the device to mix on.
    front_end : TeacherFrontEnd
        Front end of the teacher.
    settings : Mixing
        Settings of the mixtures.
    mean, std : float
        Normalisation of the student's rows.
    """

    def __init__(
        self, library: Library, front_end: TeacherFrontEnd, settings: Mixing, *, mean: float, std: float
    ) -> None:
        self._library, self._settings = library, settings
        self._student = _Energies(
            library.student, (frontends.LOWEST_HZ, frontends.SAMPLE_RATE_HZ / 2), settings
        )
        self._teacher = _Energies(library.teacher, front_end.band_hz, settings)
        self._mean, self._scale = mean, 2 * std
        self._noises = range(len(library.chances), len(library.start))

    @property
    def padding(self) -> float:
        """Value of the rows that pad a window which ends early: 0 before normalisation."""
        return -self._mean / self._scale

    def mix(self, batch: int, rows: int, random: Random) -> Mixture:
        """Mix the windows of a batch."""
        placed = list(self._place(batch, rows, random))
        student, teacher = self._student.sum(placed, batch, rows), self._teacher.sum(placed, batch, rows)
        ours, theirs = self._filters(batch, random)
        return Mixture(student=student.mul_(ours), teacher=teacher.mul_(theirs))

    def alone(self, batch: int, rows: int, random: Random) -> Alone:
        """Choose a clip for each window, and place it at the window's beginning."""
        chances = self._library.chances
        clips = random.choice(len(chances), size=batch, p=chances)
        gains = np.exp(_DECIBEL * random.uniform(*self._settings.first_gain_db, size=batch))
        starts = self._library.start[clips]
        placed = [
            replace(
                self._part(int(clip), window, rows, float(gain), random), first=int(start), to=window * rows
            )
            for window, (clip, start, gain) in enumerate(zip(clips, starts, gains, strict=True))
        ]
        repeated = [copy for part in placed for copy in _repeats(part, rows)]
        ours, theirs = self._filters(batch, random)
        return Alone(
            student=self._student.sum(placed, batch, rows) * ours,
            teacher=self._teacher.sum(placed, batch, rows) * theirs,
            repeated=self._teacher.sum(repeated, batch, rows) * theirs,
            ends=tuple(part.count for part in placed),
        )

    def _filters(self, batch: int, random: Random) -> tuple[Tensor, Tensor]:
        """Draw a filter for each window: gains of the energies of student and teacher (batch, 1, bins)."""
        decibels = self._draw_decibels(batch, self._settings.filtered_db, random)
        return self._student.gains(decibels), self._teacher.gains(decibels)

    def _draw_decibels(self, batch: int, most: float, random: Random) -> NDArray[np.float64]:
        return random.uniform(-most, most, (batch, self._settings.colour_points))

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
        """Change a clip's pitch and pace, crop it to the window at random if it is longer, else place it at random."""
        library = self._library
        pitch, pace = 0, 1.0
        if clip < len(library.chances):
            pitch, number = (self._draw_factor(random) for _ in range(2))
            pace = (1.0, *self._settings.factors)[number]
        start, length = int(library.start[clip]), max(1, int(library.length[clip] / pace))
        spare = int(random.integers(abs(length - rows), endpoint=True))
        if length > rows:
            return _Placed(pitch, pace, start + int(spare * pace), rows, window * rows, gain)
        return _Placed(pitch, pace, start, length, window * rows + spare, gain)

    def _draw_factor(self, random: Random) -> int:
        """Draw the number of a factor of pitch or pace; 0 is 1."""
        if random.random() >= self._settings.changed:
            return 0
        return 1 + int(random.integers(len(self._settings.factors)))

    def heard(self, energies: Tensor, random: Random) -> Tensor:
        """Mel energies (batch, rows, 128) -> normalised rows of the same shape, as a microphone in a room hears them."""
        settings = self._settings
        if random.random() < settings.reverberant:
            energies = self._reverberate(energies, random)
        colour = self._student.gains(self._draw_decibels(len(energies), settings.colour_db, random))
        rows = energies.clamp_min(frontends.FLOOR).mul_(colour).clamp_min_(frontends.FLOOR).log_()
        return rows.sub_(self._mean).div_(self._scale)

    def _reverberate(self, energies: Tensor, random: Random) -> Tensor:
        """Add the same reverberation to half of a batch, at random.

        It is noise that decays exponentially (Polack 1988): its energy is the sound's, convolved with that decay.
        """
        batch, rows, bins = energies.shape
        seconds, wet = random.uniform(*self._settings.decay_seconds), random.uniform(*self._settings.wet)
        length = min(rows, self._settings.reverberation_rows)
        per_row = 6 * math.log(10) / (frontends.ROWS_PER_SECOND * seconds)
        decay = torch.exp(-per_row * torch.arange(length, device=energies.device))
        decay /= decay.sum()
        half = torch.from_numpy(random.permutation(batch)[batch // 2 :]).to(energies.device)
        dry = energies[half]
        series = F.pad(dry.transpose(1, 2).reshape(-1, 1, rows), (length - 1, 0))
        smeared = F.conv1d(series, decay.flip(0)[None, None]).view(-1, bins, rows).transpose(1, 2)
        return energies.index_copy(0, half, torch.lerp(dry, smeared, wet))


def _repeats(part: _Placed, rows: int) -> Iterator[_Placed]:
    """Repeat a clip at the beginning of a window to its end, where the last one is cut."""
    for begin in range(0, rows, part.count):
        yield replace(part, to=part.to + begin, count=min(part.count, rows - begin))


class _Energies:
    """Stored log energies, to add up.

    Parameters
    ----------
    stored : float16 tensor (rows, bins)
        Logarithms of energies, plus `OFFSET`, on the device to add them on.
    band_hz : (float, float)
        Edges of the lowest and the highest filter.
    settings : Mixing
        Settings of the mixtures.
    """

    def __init__(self, stored: Tensor, band_hz: tuple[float, float], settings: Mixing) -> None:
        self._stored = stored
        bins = stored.shape[1]
        self._warps = [
            warp_matrix(bins, band_hz, pitch).to(stored.device) for pitch in (1.0, *settings.factors)
        ]
        edges = mel(torch.tensor((0.0, *band_hz, frontends.SAMPLE_RATE_HZ / 2))).tolist()
        step = (edges[2] - edges[1]) / (bins + 1)
        self._places = (edges[1] + step * np.arange(1, bins + 1)) / edges[3]
        """Place of each filter on the mel scale, where 1 is the highest frequency of the sounds."""

    def sum(self, placed: Sequence[_Placed], batch: int, rows: int) -> Tensor:
        """Add parts of clips to windows float32 (batch, rows, bins)."""
        device = self._stored.device
        total = torch.zeros(batch * rows, self._stored.shape[1], device=device)
        for number, warp in enumerate(self._warps):
            parts = [part for part in placed if part.pitch == number]
            if not parts:
                continue
            source, target, factor = (
                torch.from_numpy(array).to(device, non_blocking=True) for array in _rows(parts)
            )
            energies = self._stored[source].float().exp_().sub_(OFFSET).clamp_min_(0).mul_(factor[:, None])
            total.index_add_(0, target, energies @ warp if number else energies)
        return total.view(batch, rows, -1)

    def gains(self, decibels: NDArray[np.float64]) -> Tensor:
        """Gains at frequencies that are evenly spaced on the mel scale (batch, points) -> of the bins float32 (batch, 1, bins)."""
        at = np.linspace(0, 1, decibels.shape[1])
        gains = np.stack([np.interp(self._places, at, window) for window in decibels])
        return torch.from_numpy(np.exp(_DECIBEL * gains).astype(np.float32)).to(self._stored.device)[:, None]


def _rows(parts: Sequence[_Placed]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the row in the library, the row among those of all windows and the gain, for each row of the parts."""
    count = np.array([part.count for part in parts])
    inside = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    first, to, pace = (
        np.repeat([getattr(part, name) for part in parts], count) for name in ("first", "to", "pace")
    )
    gain = np.repeat(np.array([part.gain for part in parts], np.float32), count)
    return first + (inside * pace).astype(np.int64), to + inside, gain
