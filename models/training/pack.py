"""Audio pack: labelled clips in a folder, and a cache of their features.

A pack is a folder with ``audio.zip`` (stored members ``ID.opus``, 16 kHz mono), ``index.csv`` (id, source, kind, split, …),
``classes.csv`` (index, mid, display_name, yamnet_index), ``teacher.npz`` (the teacher's sparse patch labels) and
``teacher_yamnet_fp16.safetensors`` (the teacher itself). It may have a second part of sounds of real life: ``real.zip`` and ``real.csv``, where
``accept`` names the classes that are right for a clip, separated by ``|``.
"""

import csv
import io
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import frontends
from ..errors import TrainingError
from .teachers import yamnet

logger = logging.getLogger(__name__)

Samples: TypeAlias = NDArray[np.float32]
Split: TypeAlias = Literal["train", "val"]
Kind: TypeAlias = Literal["speech", "music", "other"]

AUDIO, INDEX, CLASSES = "audio.zip", "index.csv", "classes.csv"
TEACHER_LABELS, TEACHER_WEIGHTS = "teacher.npz", "teacher_yamnet_fp16.safetensors"

_NOISES = 60
_NOISE_SECONDS = 10
_NOISE_RMS = 0.1
_CACHE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Part:
    """Files of one part of a pack: its sounds and its table."""

    audio: str
    index: str


FIRST_PART, REAL_LIFE = Part(AUDIO, INDEX), Part("real.zip", "real.csv")


@dataclass(frozen=True, slots=True)
class Clip:
    """Line of the pack's index.

    Attributes
    ----------
    id : str
        Name of the clip.
    kind, split : str
        Kind of sound, and part of the training that it belongs to.
    names : frozenset of str
        Names of the classes that people would give; empty if nobody was asked.
    """

    id: str
    kind: Kind
    split: Split
    names: frozenset[str] = frozenset()


class Pack:
    """Audio pack, opened for reading.

    Parameters
    ----------
    folder : Path
        Folder of the pack.
    part : Part
        Part of the pack that the clips are from.

    Attributes
    ----------
    folder : Path
        Folder of the pack.
    clips : tuple of Clip
        All clips, in the order of the index.
    labels : tuple of str
        Names of the student's classes.
    teacher_to_student : int64 (521,)
        Index of the student's class for each of the teacher's.
    silence : int or None
        Index of the class ``Silence`` among the teacher's classes.

    Raises
    ------
    TrainingError
        A file is missing or broken.
    """

    def __init__(self, folder: Path, part: Part = FIRST_PART) -> None:
        self.folder, self._part = folder, part
        for name in (part.audio, part.index, CLASSES, TEACHER_LABELS, TEACHER_WEIGHTS):
            if not (folder / name).is_file():
                raise TrainingError(f"the audio pack {folder} is incomplete, it has no {name}: copy it again")
        try:
            self.clips = tuple(_clip(row) for row in _read_csv(folder / part.index))
            classes = _read_csv(folder / CLASSES)
            self.labels = tuple(row["display_name"] for row in classes)
            self.teacher_to_student = np.full(yamnet.CLASSES, -1)
            for row in classes:
                if row["yamnet_index"]:
                    self.teacher_to_student[int(row["yamnet_index"])] = int(row["index"])
            self._archive = zipfile.ZipFile(folder / part.audio)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise TrainingError(
                f"the tables of the audio pack {folder} are damaged ({error}): copy it again"
            ) from error
        except (OSError, zipfile.BadZipFile) as error:
            raise TrainingError(f"the audio pack {folder} can't be read ({error}): copy it again") from error
        if not self.clips or (self.teacher_to_student < 0).any():
            raise TrainingError(
                f"the tables of the audio pack {folder} have no clips, or no student's class for some of the teacher's "
                f"{yamnet.CLASSES}: copy it again"
            )
        names = [self.labels[index] for index in self.teacher_to_student]
        self.silence = names.index("Silence") if "Silence" in names else None

    def of(self, split: Split) -> list[int]:
        """Return the positions of a split's clips."""
        return [position for position, clip in enumerate(self.clips) if clip.split == split]

    def samples(self, clip: Clip) -> Samples:
        """Decode a clip: float32 (n,), 16 kHz mono, at least one frame long.

        Raises
        ------
        TrainingError
            The clip is missing, broken or not 16 kHz mono.
        """
        member = f"{clip.id}.opus"
        try:
            samples, rate = soundfile.read(io.BytesIO(self._archive.read(member)), dtype="float32")
        except (KeyError, OSError, zipfile.BadZipFile, soundfile.SoundFileError) as error:
            raise TrainingError(
                f"{member} in {self.folder / self._part.audio} can't be read ({error}): copy the pack again"
            ) from error
        if rate != frontends.SAMPLE_RATE_HZ or samples.ndim != 1:
            raise TrainingError(
                f"{member} in {self.folder / self._part.audio} is not 16 kHz mono: copy the pack again"
            )
        return np.pad(samples, (0, max(0, frontends.FRAME_LENGTH - len(samples))))

    def loudest_labels(self) -> NDArray[np.float32]:
        """Return the teacher's highest probability of each class in each clip: float32 (clips, 521).

        Raises
        ------
        TrainingError
            The table is broken.
        """
        file = self.folder / TEACHER_LABELS
        best = np.zeros((len(self.clips), yamnet.CLASSES), np.float32)
        try:
            with np.load(file) as table:
                rows, patches = table["indptr"], table["clip_ptr"]
                indices, values = table["indices"], table["values"].astype(np.float32)
            for clip in range(len(self.clips)):
                span = slice(rows[patches[clip]], rows[patches[clip + 1]])
                np.maximum.at(best[clip], indices[span], values[span])
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise TrainingError(f"{file} can't be read ({error}): copy the pack again") from error
        return best


def _clip(row: dict[str, str]) -> Clip:
    kind, split = row["kind"], row["split"]
    if kind not in get_args(Kind) or split not in get_args(Split):
        raise ValueError(f"clip {row['id']} is of kind {kind!r} and split {split!r}")
    names = frozenset(filter(None, row.get("accept", "").split("|")))
    return Clip(id=row["id"], kind=kind, split=split, names=names)  # type: ignore[arg-type] # checked above


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Features:
    """Features of all clips of a pack, one after the other, followed by a bank of noises.

    Attributes
    ----------
    student : float16 tensor (frames, 128)
        Features of AST before normalisation, from `frontends.fbank`.
    teacher : float16 tensor (frames, 64)
        Features of YAMNet, from `yamnet.log_mel`.
    start, length : int64 tensor (clips + noises,)
        First row and number of rows of each clip.
    clips : int
        Number of clips; the noises, at an RMS of 0.1, follow them.
    """

    student: Tensor
    teacher: Tensor
    start: Tensor
    length: Tensor
    clips: int


def load_features(
    pack: Pack, folder: Path, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Features:
    """Read the feature cache of a pack, and make it first if it is missing.

    Parameters
    ----------
    pack : Pack
        Pack to read.
    folder : Path
        Folder of the cache: 0.1 GB for an hour of sound, made in about a minute.
    progress : callable, optional
        Function that receives the number of clips done and the total at intervals while the cache is made.

    Raises
    ------
    TrainingError
        A clip can't be decoded, or the folder can't be written or read.
    """
    try:
        if not _is_fresh(pack, folder):
            _write_features(pack, folder, progress)
        with np.load(folder / "rows.npz") as rows:
            start, length = torch.from_numpy(rows["start"]), torch.from_numpy(rows["length"])
        student = np.memmap(folder / "student.f16", np.float16, "c").reshape(-1, frontends.MEL_BINS)
        teacher_file = np.memmap(folder / "teacher.f16", np.float16, "c").reshape(-1, yamnet.MEL_BINS)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"the feature cache in {folder} can't be written or read ({error}): remove it, or give another --cache"
        ) from error
    return Features(
        student=torch.from_numpy(student),
        teacher=torch.from_numpy(teacher_file),
        start=start,
        length=length,
        clips=len(pack.clips),
    )


def _stamp(pack: Pack) -> dict[str, int]:
    return {
        "version": _CACHE_VERSION,
        "clips": len(pack.clips),
        "audio_bytes": (pack.folder / AUDIO).stat().st_size,
    }


def _is_fresh(pack: Pack, folder: Path) -> bool:
    stamp = folder / "stamp.json"
    return stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == _stamp(pack)


def _write_features(pack: Pack, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Write all files, last the stamp that makes them valid."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stamp.json").unlink(missing_ok=True)
    total = len(pack.clips) + _NOISES
    lengths = []
    with (folder / "student.f16").open("wb") as student, (folder / "teacher.f16").open("wb") as teacher_file:
        for done, samples in enumerate(_sounds(pack)):
            rows = yamnet.silent_tail(torch.from_numpy(samples))
            student.write(frontends.fbank(rows).half().numpy().tobytes())
            teacher_file.write(yamnet.log_mel(rows).half().numpy().tobytes())
            lengths.append(frontends.row_count(len(rows)))
            if done % 100 == 0:
                progress(done, total)
    progress(total, total)
    length = np.array(lengths, np.int64)
    np.savez(folder / "rows.npz", start=np.concatenate(([0], length[:-1].cumsum())), length=length)
    (folder / "stamp.json").write_text(json.dumps(_stamp(pack)), encoding="utf-8")
    logger.info("features of %d clips, %.2f h, in %s", len(pack.clips), length.sum() / 360_000, folder)


def _sounds(pack: Pack) -> Iterator[Samples]:
    """Yield all clips, then coloured noises with a random slope and a random hump in the spectrum."""
    for clip in pack.clips:
        yield pack.samples(clip)
    random = np.random.default_rng(0)
    count = _NOISE_SECONDS * frontends.SAMPLE_RATE_HZ
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / frontends.SAMPLE_RATE_HZ), 30)
    for _ in range(_NOISES):
        slope = hertz ** (-random.uniform(-0.3, 2.2) / 2)
        centre, width = random.uniform(100, 6000), random.uniform(100, 1500)
        hump = 1 + random.uniform(0, 3) * np.exp(-(((hertz - centre) / width) ** 2))
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) * slope * hump)
        yield (noise / noise.std() * _NOISE_RMS).astype(np.float32)
