"""Training windows: random mixtures of clips and noise, made from cached features during training.

Sounds are added as powers in the mel domain, where their cross terms average out: no decoding in the training loop. A window may end
early: its last rows are then zeros in the log-mel domain, as the live program pads the first seconds of a session.

The teacher gets clean sounds and noise. The student gets them through a room and a microphone (reverberant, coloured, band-limited,
quiet), and learns the labels of the clean sound.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import frontends
from .pack import Features
from .teachers import yamnet

_DECIBEL = math.log(10) / 10
"""Natural logarithm of a power ratio of 1 dB."""

SOUNDS_IN_SHORT = (0.03, 0.47, 0.38, 0.12)
"""Probabilities of 0, 1, 2, … clips in a window of at most 5.12 s."""
SOUNDS_IN_LONG = (0.03, 0.32, 0.27, 0.18, 0.12, 0.08)
LONGEST_SHORT_ROWS = 512
ROWS_PER_SOUND = 200
"""Number of rows for each clip after the first in a window that ends early."""

_SHARE_PADDED = 0.45
_SHORTEST_ROWS = 32
_GAIN_DB = (-20.0, 5.0)
"""Gain of a window's first clip; the gain of the others is relative to it."""
_RELATIVE_DB = (-14.0, 4.0)
_SHARE_NOISY = 0.65
_NOISE_DBFS = (-75.0, -40.0)
_LOUD_NOISE_DBFS = (-40.0, -18.0)
_SHARE_LOUD_NOISE = 0.15
_NOISE_BANK_DBFS = -20.0
_SHARE_COLOURED = 0.3
_COLOUR_DB = 6.0
_SHARE_REPEATED = 0.15
_PAUSE_ROWS = (10, 300)
_SHARE_REVERBERANT = 0.25
_DECAY_SECONDS = (0.15, 1.2)
"""Time in which the reverberation falls by 60 dB, for the lowest mel bin; half of it for the highest."""
_DIRECT_DB = (-8.0, 12.0)
"""Ratio of the energies of direct sound and reverberation."""
_ROUNDING = 1e-6
"""Relative energy below which a reverberation is a rounding error of the Fourier transform."""
_SHARE_BAND_LIMITED = 0.15
_LOWEST_BIN, _HIGHEST_BIN = (0, 20), (70, 128)
"""Limits of the first bin of a band (up to 0.3 kHz) and of the last one (from 2.6 kHz)."""
_OUT_OF_BAND_DB = (-60.0, -15.0)
_SHARE_QUIET = 0.25
_QUIET_DB = (-25.0, 0.0)
_SHARE_MASKED = 0.25
_MASKED_BINS = 24
_MASKED_TIME = 0.12


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Windows:
    """Batch for student and teacher.

    Attributes
    ----------
    student : float32 tensor (batch, rows, 128)
        Input of the student, normalised and padded.
    teacher : float32 tensor (batch, patches, 96, 64)
        Log-mel patches of the same sound, silent after a window's end.
    valid : bool tensor (batch, patches)
        True for patches that lie in the window, the first one always.
    """

    student: Tensor
    teacher: Tensor
    valid: Tensor


class Mixer:
    """Mixer of training windows.

    Parameters
    ----------
    features : Features
        Features of the pack.
    weights : float tensor (clips,)
        Sampling weight of each clip: 0 for those of the validation part.
    mean, std : float
        Normalisation of the student's rows.
    device : torch.device
        Device to mix on; the features are moved to it.
    """

    def __init__(
        self, features: Features, weights: Tensor, *, mean: float, std: float, device: torch.device
    ) -> None:
        self._student, self._teacher = features.student.to(device), features.teacher.to(device)
        self._start, self._length = features.start, features.length
        self._clips, self._weights = features.clips, weights.double()
        self._mean, self._scale = mean, 2 * std
        self._device = device

    def __call__(self, batch: int, rows: int, random: torch.Generator) -> Windows:
        """Mix `batch` windows of `rows` rows; all randomness comes from `random`, a CPU generator."""
        sounding = rows - 2 if rows == 1024 else rows  # 10.24 s are 1,022 frames
        ends = torch.full((batch,), sounding)
        short = (_SHORTEST_ROWS * (sounding / _SHORTEST_ROWS) ** torch.rand(batch, generator=random)).long()
        padded = torch.rand(batch, generator=random) < _SHARE_PADDED
        ends = torch.where(padded, short, ends)

        energies, magnitudes = self._mix(batch, rows, ends, random)
        inside = torch.arange(rows) < ends[:, None]  # (batch, rows)
        student = self._augment(
            self._through_microphone(energies, random).clamp_min(frontends.FLOOR).log(), random
        )
        student = student.masked_fill(~inside.to(self._device)[..., None], -self._mean / self._scale)
        teacher_rows = (magnitudes.sqrt() + yamnet.LOG_OFFSET).log()
        teacher_rows = teacher_rows.masked_fill(~inside.to(self._device)[..., None], yamnet.SILENT_ROW)
        patches = yamnet.patches_of(teacher_rows)
        # a patch counts where at least half of it lies in the window, and the student can see that half
        valid = torch.arange(patches.shape[1]) * yamnet.PATCH_SHIFT + yamnet.PATCH_ROWS // 2 <= ends[:, None]
        valid[:, 0] = True
        return Windows(student=student, teacher=patches, valid=valid.to(self._device))

    def _mix(self, batch: int, rows: int, ends: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return mel energies for the student (batch, rows, 128) and squared mel magnitudes for the teacher (batch, rows, 64)."""
        energies = torch.zeros(batch, rows, frontends.MEL_BINS, device=self._device)
        powers = torch.zeros(batch, rows, yamnet.MEL_BINS, device=self._device)
        shares = torch.tensor(SOUNDS_IN_SHORT if rows <= LONGEST_SHORT_ROWS else SOUNDS_IN_LONG)
        sounds = torch.multinomial(shares, batch, replacement=True, generator=random)
        sounds = torch.minimum(sounds, 1 + ends // ROWS_PER_SOUND)
        clips = torch.multinomial(self._weights, batch * len(shares), replacement=True, generator=random)
        relative = _uniform(_RELATIVE_DB, (batch, len(shares)), random)
        relative[:, 0] = 0.0
        clip_levels = _uniform(_GAIN_DB, (batch, 1), random) + relative
        noises = self._clips + torch.randint(len(self._start) - self._clips, (batch,), generator=random)
        loud = torch.rand(batch, generator=random) < _SHARE_LOUD_NOISE
        noise_levels = torch.where(
            loud, _uniform(_LOUD_NOISE_DBFS, (batch,), random), _uniform(_NOISE_DBFS, (batch,), random)
        )
        noisy = torch.rand(batch, generator=random) < _SHARE_NOISY
        places = torch.rand(batch, len(shares) + 1, generator=random)
        repeated = torch.rand(batch, len(shares), generator=random) < _SHARE_REPEATED
        pauses = _uniform(_PAUSE_ROWS, (batch, len(shares)), random).long()
        rooms = [min(rows, max(int(end), yamnet.PATCH_ROWS)) for end in ends]
        for window, room in enumerate(rooms):
            target = energies[window], powers[window]
            for layer in range(int(sounds[window])):
                clip = int(clips[window * len(shares) + layer])
                pause = int(pauses[window, layer]) if repeated[window, layer] else None
                self._add(
                    target,
                    clip,
                    float(clip_levels[window, layer]),
                    room,
                    float(places[window, layer]),
                    pause=pause,
                )
        energies = self._reverberate(energies, random)
        for window, room in enumerate(rooms):
            if noisy[window]:
                level = float(noise_levels[window]) - _NOISE_BANK_DBFS
                target = energies[window], powers[window]
                self._add(target, int(noises[window]), level, room, float(places[window, -1]), pause=0)
        return energies, powers

    def _add(
        self,
        target: tuple[Tensor, Tensor],
        sound: int,
        level_db: float,
        room: int,
        place: float,
        *,
        pause: int | None = None,
    ) -> None:
        """Add a sound to the first `room` rows of a window: it is cropped if it is longer, else placed; `place`, 0..1, sets the offset.

        With a `pause`, in rows, it is repeated to the end; a pause of 0 fills all rows.
        """
        start, length = int(self._start[sound]), int(self._length[sound])
        begin = start + int(place * (max(0, length - room) + 1))
        count = min(length, room)
        at = 0 if pause == 0 else int(place * (room - count + 1))
        student = (self._student[begin : begin + count].float().exp() - frontends.FLOOR).clamp_min(0)
        teacher_rows = (
            (self._teacher[begin : begin + count].float().exp() - yamnet.LOG_OFFSET).clamp_min(0).square()
        )
        while at < room:
            count = min(count, room - at)
            target[0][at : at + count].add_(student[:count], alpha=math.exp(_DECIBEL * level_db))
            target[1][at : at + count].add_(teacher_rows[:count], alpha=math.exp(_DECIBEL * level_db))
            if pause is None:
                return
            at += count + pause

    def _reverberate(self, energies: Tensor, random: torch.Generator) -> Tensor:
        """Add reverberation to some windows: (batch, rows, 128) -> the same shape and energy.

        The reverberation is noise that decays exponentially (Polack 1988): its energy is the sound's, convolved with that decay.
        """
        batch, rows, bins = energies.shape
        chosen = torch.rand(batch, generator=random) < _SHARE_REVERBERANT
        seconds = _uniform(_DECAY_SECONDS, (batch, 1), random) * torch.linspace(1, 0.5, bins)  # (batch, bins)
        direct = 10 ** (_uniform(_DIRECT_DB, (batch,), random) / 10)
        picked = chosen.nonzero()[:, 0]
        if not len(picked):
            return energies
        rate = 6 * math.log(10) / (100 * seconds[picked, None])  # of the energy's decay, per row
        decay = torch.exp(-rate * torch.arange(rows)[:, None]).to(energies.device)  # (picked, rows, bins)
        decay /= decay.sum(1, keepdim=True)
        share = (direct / (1 + direct))[picked, None, None].to(energies.device)
        dry = energies[picked]
        spectrum = torch.fft.rfft(dry, n=2 * rows, dim=1) * torch.fft.rfft(decay, n=2 * rows, dim=1)
        wet = torch.fft.irfft(spectrum, n=2 * rows, dim=1)[:, :rows]
        wet = wet.where(wet > _ROUNDING * dry.amax((1, 2), keepdim=True), 0.0)
        energies[picked] = share * dry + (1 - share) * wet
        return energies

    def _through_microphone(self, energies: Tensor, random: torch.Generator) -> Tensor:
        """Limit the band of some windows and attenuate some: (batch, rows, 128) -> the same shape."""
        batch, _, bins = energies.shape
        bin_ = torch.arange(bins)
        low, high = (_uniform(limits, (batch, 1), random) for limits in (_LOWEST_BIN, _HIGHEST_BIN))
        limited = torch.rand(batch, 1, generator=random) < _SHARE_BAND_LIMITED
        outside = limited & ((bin_ < low) | (bin_ > high))  # (batch, bins)
        gain = torch.where(outside, _uniform(_OUT_OF_BAND_DB, (batch, 1), random), 0.0)
        quiet = torch.rand(batch, 1, generator=random) < _SHARE_QUIET
        gain += torch.where(quiet, _uniform(_QUIET_DB, (batch, 1), random), 0.0)
        return energies * torch.exp(_DECIBEL * gain)[:, None].to(energies.device)

    def _augment(self, log_mel: Tensor, random: torch.Generator) -> Tensor:
        """Normalise; colour as an unknown microphone would; mask bands and spans (SpecAugment, Park et al. 2019)."""
        batch, rows, bins = log_mel.shape
        pitch = torch.linspace(-1, 1, bins)
        shapes = torch.stack((pitch, pitch.square() - 1 / 3, torch.sin(3 * pitch)))  # (3, bins)
        coloured = torch.rand(batch, 1, generator=random) < _SHARE_COLOURED
        colour = (_uniform((-1, 1), (batch, 3), random) * coloured) @ shapes * (_DECIBEL * _COLOUR_DB / 2)
        sounding = log_mel > math.log(frontends.FLOOR) + 1  # digital silence has no colour
        x = log_mel + colour.to(log_mel.device)[:, None] * sounding
        x = (x - self._mean) / self._scale
        masked = torch.rand(batch, 1, generator=random) < _SHARE_MASKED
        in_bins = _stretches(batch, bins, _MASKED_BINS / bins, random) & masked
        in_rows = _stretches(batch, rows, _MASKED_TIME, random) & masked
        return x.masked_fill((in_bins[:, None, :] | in_rows[:, :, None]).to(x.device), 0.0)


def _uniform(limits: tuple[float, float], shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=random)


def _stretches(batch: int, length: int, longest: float, random: torch.Generator) -> Tensor:
    """Return bool (batch, length) with one span in each, up to the share `longest` of the length."""
    width = torch.rand(batch, 1, generator=random) * longest * length
    begin = torch.rand(batch, 1, generator=random) * (length - width)
    position = torch.arange(length)
    return (position >= begin) & (position < begin + width)


def clip_weights(loudest: Tensor, length: Tensor) -> Tensor:
    """Return sampling weights of clips that favour rare classes.

    Parameters
    ----------
    loudest : float32 tensor (clips, classes)
        Highest probability of each class in each clip, from the teacher.
    length : int64 tensor (clips,)
        Number of rows.

    Returns
    -------
    float32 tensor (clips,)
        Weights, greater for clips of rare classes and, up to 4 s, for long ones.
    """
    frequency = (loudest * (loudest > 0.3)).sum(0)  # (classes,)
    rarity = (loudest.square() / (frequency + 3) ** 0.6).amax(1) + 0.01
    return rarity * (length.float().clamp(max=400) / 100).clamp(min=0.3).sqrt()
