"""Lists of labelled recordings: a folder with a sub-folder for each class, or a CSV file."""

import difflib
import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from ...errors import TrainingError
from ...labels import mid_of, name_of
from ...recording_names import is_recording_name
from .examples import Dataset, Example
from .table import SEPARATOR, Entry, composed, entries_of_csv

logger = logging.getLogger(__name__)

_FOLDER_ADVICE = "put the recordings of each class into a sub-folder named like the class"
_MOST_OTHERS = 10_000
"""Files that are not recordings, after which a folder is not taken for a data set."""
_MOST_NAMES = 3


def read_dataset(path: Path, *, labels: tuple[str, ...] | None = None) -> Dataset:
    """List the recordings of a data set, without opening them.

    Parameters
    ----------
    path : Path
        Either a folder with a sub-folder for each class, named like the class. Deeper sub-folders are searched too, hidden files are
        ignored, and files that are not recordings are counted in the log.

        Or a CSV file with the columns ``path`` (relative to the file's folder), ``label`` (several are separated by ``|``) and optionally
        ``fold`` (a whole number), ``start`` and ``end`` (seconds of the part that counts); others are ignored. The columns may be
        separated by commas, semicolons or tabs. The file ``meta/esc50.csv`` of ESC-50 needs no change: ``filename`` and
        ``category`` stand for ``path`` and ``label``, and the recordings are in the folder ``audio`` beside the file's folder.
    labels : tuple of str, optional
        Labels of the model to measure, in order; by default those of the data, sorted. A name in the data may also be written
        in another case. AudioSet's identifiers (``/m/09x0r``) stand for their display names.

    Raises
    ------
    TrainingError
        There is no such data set, it is malformed, or it has a label that the model doesn't have.
    """
    try:
        if path.is_dir():
            entries = _unique(_entries_of_folder(path))
            advice = _FOLDER_ADVICE
        else:
            entries = _unique(entries_of_csv(path))
            advice = "list the recordings in it, one on each line"
        something_exists = any(entry.path.is_file() for entry in entries)
    except OSError as error:
        raise TrainingError(
            f"the data in {path} can't be read ({error.strerror}): check that it exists and its permissions"
        ) from error
    if not entries:
        raise TrainingError(f"there are no recordings in {path}: {advice}")
    if not something_exists:
        raise TrainingError(
            f"none of the {len(entries)} recordings of {path} exists (the first: {entries[0].path}): "
            "paths are relative to the folder of the CSV file"
        )
    if labels is None:
        entries = [replace(entry, labels=tuple(map(name_of, entry.labels))) for entry in entries]
        labels = _labels_of(entries)
    spellings = _spellings(labels)
    examples = tuple(
        Example(
            path=entry.path,
            labels=tuple(sorted({_find(label, spellings, labels, entry.where) for label in entry.labels})),
            fold=entry.fold,
            start_seconds=entry.start_seconds,
            end_seconds=entry.end_seconds,
        )
        for entry in entries
    )
    return Dataset(examples, labels, multi_label=any(len(example.labels) > 1 for example in examples))


def _entries_of_folder(folder: Path) -> Iterator[Entry]:
    ignored, empty = 0, []
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if not child.is_dir():
            ignored += 1
            continue
        sounds, others = _files_below(child, _MOST_OTHERS - ignored)
        ignored += others
        if ignored > _MOST_OTHERS:
            raise TrainingError(
                f"{folder} holds more than {_MOST_OTHERS:,} files that are not recordings: {_FOLDER_ADVICE}, and give the folder of these"
            )
        if sounds:
            _check_utf_8(child)
        else:
            empty.append(child.name)
        for file in sounds:
            yield Entry(file, (composed(child.name),), None, 0.0, math.inf, str(child))
    if empty:
        named = ", ".join(empty[:_MOST_NAMES]) + (", …" if len(empty) > _MOST_NAMES else "")
        logger.warning("folders in %s without recordings are skipped: %s", folder, named)
    if ignored:
        logger.warning("%d files in %s are not recordings of a class; skipped", ignored, folder)


def _check_utf_8(folder: Path) -> None:
    """Check that a name can be written to a text file."""
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise TrainingError(f"the name of the folder {str(folder)!a} is not UTF-8: rename it") from error


def _files_below(folder: Path, most_others: int) -> tuple[list[Path], int]:
    """Return the recordings of a folder and its sub-folders, sorted, and the number of other files; hidden ones do not count.

    The search ends after so many other files.
    """

    def fail(error: OSError) -> NoReturn:
        raise error

    sounds, others = [], 0
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [Path(parent, name) for name in names if not name.startswith(".")]
        found = [file for file in files if is_recording_name(file.name)]
        sounds += found
        others += len(files) - len(found)
        if others > most_others:
            break
    return sorted(sounds), others


def _unique(entries: Iterator[Entry]) -> list[Entry]:
    """Return the entries without duplicates, and check that duplicates agree."""
    found: dict[tuple[Path, float, float], Entry] = {}
    repeated = 0
    for entry in entries:
        first = found.setdefault((entry.path, entry.start_seconds, entry.end_seconds), entry)
        if (set(first.labels), first.fold) != (set(entry.labels), entry.fold):
            raise TrainingError(
                f"{entry.where} lists {entry.path.name} again, with another label or fold than {first.where}: list each recording "
                f"once, with '{SEPARATOR}' between several labels"
            )
        repeated += first is not entry
    if repeated:
        logger.warning("%d recordings are listed more than once and count once", repeated)
    return list(found.values())


def _labels_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the labels of all entries, sorted; refuse two that differ only in case, which are hardly two classes."""
    places = {label: entry.where for entry in entries for label in entry.labels}
    folded: dict[str, str] = {}
    for label in sorted(places):
        other = folded.setdefault(label.casefold(), label)
        if other != label:
            raise TrainingError(
                f"{places[label]} has the label '{label}', and {places[other]} has '{other}', which differ only in case: write both alike"
            )
    return tuple(sorted(places))


def _spellings(labels: Sequence[str]) -> dict[str, int]:
    """Return all spellings of each label: unchanged, in lower case if that is unique, and as AudioSet's identifier."""
    folded = Counter(_folded(label) for label in labels)
    spellings = {}
    for index, label in enumerate(labels):
        if (mid := mid_of(label)) is not None:
            spellings[mid] = index
        if folded[_folded(label)] == 1:
            spellings[_folded(label)] = index
    return spellings | {composed(label): index for index, label in enumerate(labels)}


def _folded(label: str) -> str:
    return composed(label).casefold()


def _find(name: str, spellings: dict[str, int], labels: Sequence[str], where: str) -> int:
    for spelling in (name, _folded(name)):
        if spelling in spellings:
            return spellings[spelling]
    parts = _parts(labels)
    near = difflib.get_close_matches(name.casefold(), parts, n=1)
    meant = f"; the nearest one is '{labels[parts[near[0]]]}'" if near else ""
    raise TrainingError(
        f"{where} has the label '{name}', which is not one of the model's {len(labels)} labels{meant}: correct it, or use a model "
        "that was trained with this label"
    )


def _parts(labels: Sequence[str]) -> dict[str, int]:
    """Return the names that may mean a label: itself, or a part of "Violin, fiddle"."""
    return {
        part.casefold(): index for index, label in enumerate(labels) for part in (*label.split(", "), label)
    }
