"""Small pack: the most useful clips of an audio pack, within a number of bytes, to train on a machine that little can be copied to."""

import csv
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TrainingError
from .library import Floats
from .pack import CLASSES, Pack

_BYTES_PER_CLIP = 400
"""Upper bound of what a clip takes beside its sound, in the archive's directory and in the table."""
_RESERVE = 4096
"""Bytes of the archives' ends and the heads of the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPack:
    """Description of a small pack.

    Attributes
    ----------
    clips : int
        Number of clips for training.
    share_of_draws : float
        Share of the draws from the whole pack that would have drawn one of these clips, 0..1.
    bytes : int
        Size of the files.
    """

    clips: int
    share_of_draws: float
    bytes: int


def write_small_pack(
    parts: Sequence[Pack], chances: Floats, weights: Path, out: Path, *, max_bytes: int
) -> SmallPack:
    """Copy clips of a pack to a new folder: validation clips with names, and training clips that are drawn most often for their size.

    A second part without such clips is left out.

    Parameters
    ----------
    parts : sequence of Pack
        All parts of one pack.
    chances : float64 (clips,)
        Probability to draw each clip for training, in the order of the parts and their clips: `Library.chances`.
    weights : Path
        Weights of the teacher, which are copied too.
    out : Path
        New folder to write.
    max_bytes : int
        Largest size of all files together.

    Raises
    ------
    TrainingError
        `max_bytes` leaves no space for a clip for training, or for one of the first part; or the folder exists or can't be written.
    """
    fixed = [parts[0].folder / CLASSES, weights]
    named = {(pack, index) for pack in parts for index in pack.of("val") if pack.clips[index].names}
    space = max_bytes - _RESERVE - sum(file.stat().st_size for file in fixed)
    space -= sum(_size(pack, index) for pack, index in named)
    training = [(pack, index) for pack in parts for index in pack.of("train")]
    sizes = np.array([_size(pack, index) for pack, index in training])
    order = np.argsort(-chances / sizes, kind="stable")
    chosen = order[np.cumsum(sizes[order]) <= space]
    if not len(chosen):
        raise TrainingError(
            f"{max_bytes / 2**20:.1f} MiB leave no space for a clip for training: give more --megabytes"
        )
    kept = named | {training[index] for index in chosen}
    copied = [part for part in parts if any(there is part for there, _ in kept)]
    if parts[0] not in copied:
        raise TrainingError(
            f"{max_bytes / 2**20:.1f} MiB leave no space for a clip of {parts[0].files[0]}: give more --megabytes"
        )
    try:
        out.mkdir(parents=True)
        for file in fixed:
            shutil.copyfile(file, out / file.name)
        for pack in copied:
            _copy(pack, {index for there, index in kept if there is pack}, out)
        total = sum(file.stat().st_size for file in out.iterdir())
    except OSError as error:
        raise TrainingError(f"{out} can't be written ({error}): give another --out") from error
    return SmallPack(clips=len(chosen), share_of_draws=float(chances[chosen].sum()), bytes=total)


def _size(pack: Pack, index: int) -> int:
    return pack.encoded_bytes(pack.clips[index]) + _BYTES_PER_CLIP


def _copy(pack: Pack, kept: set[int], out: Path) -> None:
    """Write the archive and the table of a part with some of its clips."""
    audio, table = pack.files
    with zipfile.ZipFile(out / audio.name, "w") as archive:
        for index in sorted(kept):
            archive.writestr(pack.clips[index].member, pack.encoded(pack.clips[index]))
    with table.open(encoding="utf-8", newline="") as file:
        head, *rows = filter(None, csv.reader(file))  # `Pack` ignores blank lines, too
    with (out / table.name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *(row for index, row in enumerate(rows) if index in kept)])
