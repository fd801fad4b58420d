"""Library of sounds: log energies of all training clips and of some noises for student and teacher, made once and kept in files."""

import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import frontends
from ..errors import TrainingError
from .clip_names import groups_of, named_classes, raise_to_names
from .duplicates import Recordings
from .pack import Pack, Samples
from .teachers import TeacherFrontEnd, TeacherNetwork

logger = logging.getLogger(__name__)

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

OFFSET = 1e-7
"""Energy added before the logarithm."""

_VERSION = 7
_NOISES = 40
_NOISE_SAMPLES = 163_840
_NOISE_RMS = 0.1
_TOGETHER = 50
"""Number of clips whose energies are held in memory."""
_COMMON = 5.0
"""Sum of a class's probabilities from which on it counts as common."""
_SHORTEST_SAMPLES = 1600
"""Length that shorter clips are padded to: teachers need some rows."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Library:
    """Log energies of clips, one after the other, followed by noises at an RMS of 0.1.

    Attributes
    ----------
    student : float16 tensor (rows, 128)
        Logarithms of AST's mel energies, plus `OFFSET`.
    teacher : float16 tensor (rows, bins)
        Logarithms of the teacher's mel energies, plus `OFFSET`.
    start, length : int64 (clips + noises,)
        First row and number of rows of each clip and noise.
    chances : float64 (clips,)
        Probability to draw each clip: greater for those with rare classes, 0 for recordings that measure the model.
    names : dict of int to tuple of int
        Positions among AudioSet's classes of the names of each clip that count as right, whatever the teacher hears.
    groups : dict of int to frozenset of str
        Groups of sounds that the names of each clip allow.
    embeddings : float16 tensor (clips, width)
        The teacher's embedding of each clip.
    measured : bool (clips,)
        True for recordings that measure the model.
    """

    student: Tensor
    teacher: Tensor
    start: Indices
    length: Indices
    chances: Floats
    names: Mapping[int, tuple[int, ...]]
    groups: Mapping[int, frozenset[str]]
    embeddings: Tensor
    measured: NDArray[np.bool_]

    def to(self, device: torch.device) -> "Library":
        """Return the library with its energies in the memory of a device; on a CPU they stay in their files."""
        return replace(self, student=self.student.to(device), teacher=self.teacher.to(device))


def load_library(
    packs: Sequence[Pack],
    name: str,
    network: TeacherNetwork,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Library:
    """Read the library of the training clips of packs, and make it first if it is missing.

    Parameters
    ----------
    packs : sequence of Pack
        Parts of packs.
    name : str
        Name of the teacher.
    network : TeacherNetwork
        The teacher.
    folder : Path
        Folder of the files: 0.2 GB for an hour of sound.
    progress : callable, optional
        Function that receives the number of clips done and the total at intervals while the library is made.

    Raises
    ------
    TrainingError
        There are no clips for training, a clip can't be decoded, or the folder can't be written or read.
    """
    clips = [(pack, index) for pack in packs for index in pack.of("train")]
    if not clips:
        folders = ", ".join(str(pack.folder) for pack in packs)
        raise TrainingError(f"the audio pack {folders} has no clips for training: give another --pack")
    stamp = _stamp(packs, clips, name, network)
    try:
        if not _is_fresh(folder, stamp):
            _write(folder, packs, clips, network, progress)
            (folder / "stamp.json").write_text(json.dumps(stamp), encoding="utf-8")
        table, student, teacher = _read(folder, network)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"the library of sounds in {folder} can't be written or read ({error}): remove it, or give another --cache"
        ) from error
    return _described(clips, table, student, teacher, network.classes)


def _read(folder: Path, network: TeacherNetwork) -> tuple[dict[str, NDArray[Any]], Tensor, Tensor]:
    """Read the files of a library: the table of its clips, and the energies for student and teacher."""
    with np.load(folder / "clips.npz") as opened:
        table = {name: opened[name] for name in ("start", "length", "labels", "embeddings", "measured")}
    return (
        table,
        _energies_of("student", folder, frontends.MEL_BINS),
        _energies_of("teacher", folder, network.front_end.bins),
    )


def _described(
    clips: Sequence[tuple[Pack, int]],
    table: Mapping[str, NDArray[Any]],
    student: Tensor,
    teacher: Tensor,
    classes: Sequence[int],
) -> Library:
    """Return the library of clips with their names and groups, and the probabilities to draw them."""
    labels, measured = torch.from_numpy(table["labels"]).double(), table["measured"]
    names = _name(clips, labels, classes)
    chances = _chances(labels.numpy(), measured)
    logger.info(
        "%d clips, %d with names; %d that measure models are left out", len(clips), len(names), measured.sum()
    )
    return Library(
        student=student,
        teacher=teacher,
        start=table["start"],
        length=table["length"],
        chances=chances,
        names=names,
        groups=_groups(clips),
        embeddings=torch.from_numpy(table["embeddings"]),
        measured=measured,
    )


def _groups(clips: Iterable[tuple[Pack, int]]) -> dict[int, frozenset[str]]:
    """Return the groups of sounds that the names of clips allow, by position."""
    groups = (groups_of(pack.clips[index]) for pack, index in clips)
    return {position: allowed for position, allowed in enumerate(groups) if allowed}


def _energies_of(role: str, folder: Path, bins: int) -> Tensor:
    return torch.from_numpy(np.memmap(folder / f"{role}.f16", np.float16, "c").reshape(-1, bins))


def _name(
    clips: Sequence[tuple[Pack, int]], labels: Tensor, classes: Sequence[int]
) -> dict[int, tuple[int, ...]]:
    """Return the names of clips by position, and raise their labels (clips, classes) to them."""
    names = {
        position: tuple(found)
        for position, (pack, index) in enumerate(clips)
        if (found := named_classes(pack.clips[index], pack, labels[position], classes))
    }
    raise_to_names(labels, [(clip, index) for clip, found in names.items() for index in found], classes)
    return names


def _stamp(
    packs: Sequence[Pack], clips: Sequence[tuple[Pack, int]], name: str, network: TeacherNetwork
) -> dict[str, Any]:
    """Return what the library is made from: checksums of the teacher and of the clips for training and those that measure a model."""
    teacher = 0
    for value in network.state_dict().values():  # in the lowest precision that a teacher has
        teacher = zlib.crc32(value.bfloat16().cpu().contiguous().view(torch.int16).numpy().tobytes(), teacher)
    ids = [pack.clips[index].id for pack, index in (*clips, *_measuring(packs))]
    return {
        "version": _VERSION,
        "teacher": [name, teacher],
        "noises": _NOISES,
        "clips": zlib.crc32("\n".join(ids).encode()),
        "bytes": [pack.files[0].stat().st_size for pack in packs],
    }


def _is_fresh(folder: Path, stamp: dict[str, Any]) -> bool:
    file = folder / "stamp.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")) == stamp


def _write(
    folder: Path,
    packs: Sequence[Pack],
    clips: Sequence[tuple[Pack, int]],
    network: TeacherNetwork,
    progress: Callable[[int, int], None],
) -> None:
    """Write all files but the stamp, which makes them valid. All cores decode and compute energies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("stamp.json", "student.f16", "teacher.f16"):
        (folder / name).unlink(missing_ok=True)  # a run that has mapped it keeps it
    lengths: list[int] = []
    labels: list[Tensor] = []
    embeddings: list[Tensor] = []
    measuring, measured = Recordings(named_energies(packs)), list[bool]()
    with ExitStack() as files:
        student, teacher = (
            files.enter_context((folder / f"{role}.f16").open("wb")) for role in ("student", "teacher")
        )

        def add(own: Tensor, theirs: Tensor) -> Tensor:
            """Write the energies of a sound; return the student's logarithms."""
            logarithms = (own + OFFSET).log()
            student.write(logarithms.half().numpy().tobytes())
            teacher.write((theirs + OFFSET).log().half().numpy().tobytes())
            lengths.append(len(own))
            return logarithms

        def energies(clip: tuple[Pack, int]) -> tuple[Tensor, Tensor]:
            pack, index = clip
            return _energies(pack.samples(pack.clips[index]), network.front_end)

        device = next(network.parameters()).device
        pool = files.enter_context(ThreadPoolExecutor(os.cpu_count()))
        for done in range(0, len(clips), _TOGETHER):
            progress(done, len(clips))
            for own, theirs in pool.map(energies, clips[done : done + _TOGETHER]):
                measured.append(measuring.are_in(add(own, theirs)))
                rows = network.front_end.input_rows(theirs[None].to(device))
                heard = network.label(rows)
                labels.append(heard.probabilities)
                embeddings.append(heard.embeddings)
        for noise in _noises():
            add(*_energies(noise, network.front_end))
    length = np.array(lengths, np.int64)
    np.savez(
        folder / "clips.npz",
        start=length.cumsum() - length,
        length=length,
        labels=_half(labels),
        embeddings=_half(embeddings),
        measured=np.array(measured),
    )
    progress(len(clips), len(clips))
    logger.info("library of %d clips, %.2f h, in %s", len(clips), length.sum() / 360_000, folder)


def _half(rows: Sequence[Tensor]) -> NDArray[np.float16]:
    """Join rows (1, n) to float16 (rows, n)."""
    joined: NDArray[np.float16] = torch.cat(list(rows)).half().cpu().numpy()
    return joined


def named_energies(packs: Iterable[Pack]) -> Iterator[Tensor]:
    """Yield the logarithms of the energies (rows, 128) of the clips that measure a model: those for validation with names."""
    for pack, index in _measuring(packs):
        yield log_energies(pack.samples(pack.clips[index]))


def _measuring(packs: Iterable[Pack]) -> Iterator[tuple[Pack, int]]:
    """Yield the clips that measure a model."""
    for pack in packs:
        for index in pack.of("val"):
            if pack.clips[index].names:
                yield pack, index


def log_energies(sound: Samples) -> Tensor:
    """Return the logarithms of AST's mel energies of a sound, plus `OFFSET`: float32 (rows, 128)."""
    return (frontends.fbank(_padded(sound)).exp() + OFFSET).log()


def _energies(sound: Samples, front_end: TeacherFrontEnd) -> tuple[Tensor, Tensor]:
    """Return mel energies of a sound for student and teacher, as many rows of both."""
    samples = _padded(sound)
    student, teacher = frontends.fbank(samples).exp(), front_end.mel_energies(samples[None])[0]
    rows = min(len(student), len(teacher))
    return student[:rows], teacher[:rows]


def _padded(sound: Samples) -> Tensor:
    return torch.from_numpy(np.pad(sound, (0, max(0, _SHORTEST_SAMPLES - len(sound)))))


def _chances(labels: Floats, measured: NDArray[np.bool_]) -> Floats:
    """Return the probability to draw each clip, from labels (clips, classes): a class counts less the more often it is heard.

    Clips that measure a model are never drawn.
    """
    if measured.all():
        raise TrainingError(
            "all clips for training are also validation clips with names: give another --pack"
        )
    labels = labels * ~measured[:, None]
    weights: Floats = (labels / np.sqrt(labels.sum(0) + _COMMON)).sum(1)
    weights /= weights.sum()
    return weights


def _noises() -> Iterator[Samples]:
    """Yield coloured noises with a random slope and a random hump in the spectrum; every eighth has a mains hum."""
    random = np.random.default_rng(0)
    hertz = np.maximum(np.fft.rfftfreq(_NOISE_SAMPLES, 1 / frontends.SAMPLE_RATE_HZ), 30)
    time = np.arange(_NOISE_SAMPLES) / frontends.SAMPLE_RATE_HZ
    for number in range(_NOISES):
        slope = hertz ** (-random.uniform(-0.3, 2.2) / 2)
        centre, width = random.uniform(100, 6000), random.uniform(100, 1500)
        hump = 1 + random.uniform(0, 3) * np.exp(-(((hertz - centre) / width) ** 2))
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(_NOISE_SAMPLES)) * slope * hump)
        if number % 8 == 7:
            hum = sum(np.sin(2 * np.pi * 50 * tone * time) / tone for tone in (1, 2, 3, 5))
            noise = 0.1 * noise / noise.std() + hum
        yield (noise / noise.std() * _NOISE_RMS).astype(np.float32)
