"""Audio pack: clips in a folder.

A pack is a folder with ``audio.zip`` (stored members ``ID.opus``, 16 kHz mono), ``index.csv`` (id, source, kind, split, …),
``classes.csv`` (index, mid, display_name, yamnet_index) and the weights of teachers. It may have a second part of sounds of real life:
``real.zip`` and ``real.csv``. In both tables, ``accept`` names the classes that are right for a clip, separated by ``|``;
``class``, or else ``path``, is the name of the sound's file.
"""

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from .. import frontends
from ..errors import TrainingError
from ..labels import audioset_classes
from .sound_words import names_in
from .teachers import yamnet

Samples: TypeAlias = NDArray[np.float32]
Split: TypeAlias = Literal["train", "val"]
Kind: TypeAlias = Literal["speech", "music", "other"]

AUDIO, INDEX, CLASSES = "audio.zip", "index.csv", "classes.csv"


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
    likely : frozenset of str
        Names of the classes that the name of the sound's file mentions, or else that of its folder. They can be wrong.
    """

    id: str
    kind: Kind
    split: Split
    names: frozenset[str] = frozenset()
    likely: frozenset[str] = frozenset()

    @property
    def member(self) -> str:
        """Name in the archive."""
        return f"{self.id}.opus"


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
        A file is missing or broken, or a clip has a name that no class has.
    """

    def __init__(self, folder: Path, part: Part = FIRST_PART) -> None:
        self.folder, self._part = folder, part
        for name in (part.audio, part.index, CLASSES):
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
        self._check_names()
        names = [self.labels[index] for index in self.teacher_to_student]
        self.silence = names.index("Silence") if "Silence" in names else None

    def _check_names(self) -> None:
        for clip in self.clips:
            for name in sorted(clip.names.difference(self.labels)):
                raise TrainingError(
                    f"'{name}', a name of the clip {clip.id} in {self.files[1]}, is not a class in {CLASSES}: correct it"
                )

    @property
    def files(self) -> tuple[Path, Path]:
        """Files of the sounds and of their table."""
        return self.folder / self._part.audio, self.folder / self._part.index

    def of(self, split: Split) -> list[int]:
        """Return the positions of a split's clips."""
        return [position for position, clip in enumerate(self.clips) if clip.split == split]

    def encoded_bytes(self, clip: Clip) -> int:
        """Return the size of a clip's file, without reading it.

        Raises
        ------
        TrainingError
            The clip is missing.
        """
        try:
            return self._archive.getinfo(clip.member).file_size
        except KeyError as error:
            raise self._unreadable(clip, error) from error

    def encoded(self, clip: Clip) -> bytes:
        """Read the file of a clip.

        Raises
        ------
        TrainingError
            The clip is missing or broken.
        """
        try:
            return self._archive.read(clip.member)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise self._unreadable(clip, error) from error

    def samples(self, clip: Clip) -> Samples:
        """Decode a clip: float32 (n,), 16 kHz mono, at least one frame long.

        Raises
        ------
        TrainingError
            The clip is missing, broken or not 16 kHz mono.
        """
        try:
            samples, rate = soundfile.read(io.BytesIO(self.encoded(clip)), dtype="float32")
        except soundfile.SoundFileError as error:
            raise self._unreadable(clip, error) from error
        if rate != frontends.SAMPLE_RATE_HZ or samples.ndim != 1:
            raise TrainingError(f"{clip.member} in {self.files[0]} is not 16 kHz mono: copy the pack again")
        return np.pad(samples, (0, max(0, frontends.FRAME_LENGTH - len(samples))))

    def _unreadable(self, clip: Clip, error: Exception) -> TrainingError:
        return TrainingError(f"{clip.member} in {self.files[0]} can't be read ({error}): copy the pack again")


def _clip(row: dict[str, str]) -> Clip:
    kind, split = row["kind"], row["split"]
    if kind not in get_args(Kind) or split not in get_args(Split):
        raise ValueError(f"clip {row['id']} is of kind {kind!r} and split {split!r}")
    names = frozenset(map(str.strip, (row.get("accept") or "").split("|"))) - {""}
    path = PurePosixPath(row.get("path") or "")
    likely = names_in(row.get("class") or path.stem) or names_in(path.parent.name)
    return Clip(id=row["id"], kind=kind, split=split, names=names, likely=likely)  # type: ignore[arg-type] # checked above


def write_classes(folder: Path) -> None:
    """Write the table of the classes for a new pack."""
    yamnets = {index: number for number, index in enumerate(yamnet.YamNet.classes)}
    with (folder / CLASSES).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("index", "mid", "display_name", "yamnet_index"))
        for entry in audioset_classes():
            table.writerow((entry.index, entry.mid, entry.name, yamnets.get(entry.index, "")))


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def open_parts(folder: Path) -> list[Pack]:
    """Open all parts that a pack has.

    Raises
    ------
    TrainingError
        A file is missing or broken.
    """
    parts = [Pack(folder)]
    if (folder / REAL_LIFE.index).is_file():
        parts.append(Pack(folder, REAL_LIFE))
    return parts
