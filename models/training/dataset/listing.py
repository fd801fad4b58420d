"""Lists of labelled recordings: a folder with a sub-folder for each class, or a CSV file."""

import csv
import difflib
import io
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...errors import TrainingError
from ...labels import mid_of
from .examples import Dataset, Example

logger = logging.getLogger(__name__)

_SOUND = re.compile(
    r"\.(aac|ac3|aifc|aiff?|amr|ape|au|avi|caf|flac|m4[ab]|mk[av]|mov|mp[234]|mpga|og[ag]|opus|w64|wave?|web[am]|wma|wv)",
    re.IGNORECASE,
)
"""Suffixes of recordings in a folder; a CSV file may list any file."""

SEPARATOR = "|"
"""Separator between the labels of a recording in a CSV file."""

_EXPECTED_HEADER = "its first line must be path,label, or path,label,fold"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Entry of a list of recordings.

    Attributes
    ----------
    path : Path
        File of the recording.
    labels : tuple of str
        Labels as they are written.
    fold : int or None
        Number of the fold.
    where : str
        Place of the entry, for messages.
    """

    path: Path
    labels: tuple[str, ...]
    fold: int | None
    where: str


def read_dataset(path: Path, *, labels: tuple[str, ...] | None = None) -> Dataset:
    """List the recordings of a data set, without opening them.

    Parameters
    ----------
    path : Path
        Either a folder with a sub-folder for each class, named like the class. Deeper sub-folders are searched too, hidden files are
        ignored, and files that are not recordings are counted in the log.

        Or a CSV file (UTF-8) with the columns ``path`` (relative to the file's folder), ``label`` (several are separated by ``|``) and
        optionally ``fold`` (a whole number); others are ignored. The file ``meta/esc50.csv`` of ESC-50 needs no change: ``filename`` and
        ``category`` stand for ``path`` and ``label``, and the recordings are in the folder ``audio`` beside the file's folder.
    labels : tuple of str, optional
        Labels of the model to measure, in order; by default those of the data, sorted. A name in the data may also be written
        in another case, or as AudioSet's identifier (``/m/09x0r``).

    Raises
    ------
    TrainingError
        There is no such data set, it is malformed, or it has a label that the model doesn't have.
    """
    try:
        if path.is_dir():
            entries = _unique(_entries_of_folder(path))
            advice = "put the recordings of each class into a sub-folder named like the class"
        else:
            entries = _unique(_entries_of_csv(path))
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
        labels = tuple(sorted({label for entry in entries for label in entry.labels}))
    spellings = _spellings(labels)
    examples = tuple(
        Example(
            path=entry.path,
            labels=tuple(sorted({_find(label, spellings, labels, entry.where) for label in entry.labels})),
            fold=entry.fold,
        )
        for entry in entries
    )
    return Dataset(examples, labels, multi_label=any(len(example.labels) > 1 for example in examples))


def _entries_of_folder(folder: Path) -> Iterator[_Entry]:
    ignored = 0
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if not child.is_dir():
            ignored += 1
            continue
        files = _files_below(child)
        sounds = [file for file in files if _SOUND.fullmatch(file.suffix)]
        ignored += len(files) - len(sounds)
        if not sounds:
            logger.warning("%s holds no recordings; skipped", child)
        if sounds:
            _check_utf_8(child)
        for file in sounds:
            yield _Entry(file, (child.name,), None, str(child))
    if ignored:
        logger.warning("%d files in %s are not recordings of a class; skipped", ignored, folder)


def _check_utf_8(folder: Path) -> None:
    """Check that a name can be written to a text file."""
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise TrainingError(f"the name of the folder {str(folder)!a} is not UTF-8: rename it") from error


def _files_below(folder: Path) -> list[Path]:
    """Return all files of a folder and its sub-folders, sorted, without hidden ones."""

    def fail(error: OSError) -> NoReturn:
        raise error

    files = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(files)


def _entries_of_csv(path: Path) -> Iterator[_Entry]:
    rows = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        place, label = _column(path, header, "path", "filename"), _column(path, header, "label", "category")
        fold = header.index("fold") if "fold" in header else None
        folder = _folder_of_recordings(path, header)
        for row in rows:
            where = f"{path} line {rows.line_num}"
            if not row:
                continue
            if len(row) != len(header):
                raise TrainingError(
                    f"{where} has {len(row)} columns, but the first line has {len(header)}: put values with a comma "
                    "between quotation marks"
                )
            if not row[place].strip():
                raise TrainingError(f"{where} has an empty path: name a recording, or remove the line")
            yield _Entry(
                path=Path(os.path.normpath(folder / row[place].strip())),
                labels=_split_labels(row[label], where),
                fold=None if fold is None else _fold(row[fold], where),
                where=where,
            )
    except csv.Error as error:
        raise TrainingError(
            f"{path} line {rows.line_num} is not a valid CSV line ({error}): check its quotation marks"
        ) from error


def _text_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TrainingError(f"there is no folder or CSV file {path}: check its name") from error
    except UnicodeDecodeError as error:
        raise TrainingError(
            f"{path} is not text in UTF-8: save it as a CSV file in UTF-8, or give a folder with a sub-folder for each class"
        ) from error
    if "\0" in text:
        raise TrainingError(f"{path} contains NUL bytes: save it again as a CSV file in UTF-8")
    return text


def _column(path: Path, header: Sequence[str], name: str, synonym: str) -> int:
    for accepted in (name, synonym):
        if accepted in header:
            return header.index(accepted)
    raise TrainingError(
        f"{path} has no column '{name}' (its first line is '{','.join(header)[:80]}'): {_EXPECTED_HEADER}"
    )


def _folder_of_recordings(path: Path, header: Sequence[str]) -> Path:
    """Return the folder that relative paths start at: that of the CSV file, or ESC-50's folder of sounds."""
    beside = path.parent.absolute().parent / "audio"
    return path.parent if "path" in header or not beside.is_dir() else beside


def _split_labels(text: str, where: str) -> tuple[str, ...]:
    labels = tuple(label.strip() for label in text.split(SEPARATOR))
    if not all(labels):
        raise TrainingError(f"{where} has an empty label: name it, or remove the line or the '{SEPARATOR}'")
    return labels


def _fold(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise TrainingError(
            f"{where} has the fold '{text}', which is not a whole number: correct it"
        ) from error


def _unique(entries: Iterator[_Entry]) -> list[_Entry]:
    """Return the entries without duplicates, and check that duplicates agree."""
    found: dict[Path, _Entry] = {}
    repeated = 0
    for entry in entries:
        first = found.setdefault(entry.path, entry)
        if (set(first.labels), first.fold) != (set(entry.labels), entry.fold):
            raise TrainingError(
                f"{entry.where} lists {entry.path.name} again, with another label or fold than {first.where}: list each recording "
                f"once, with '{SEPARATOR}' between several labels"
            )
        repeated += first is not entry
    if repeated:
        logger.warning("%d recordings are listed more than once and count once", repeated)
    return list(found.values())


def _spellings(labels: Sequence[str]) -> dict[str, int]:
    """Return all spellings of each label: unchanged, in lower case if that is unique, and as AudioSet's identifier."""
    folded = Counter(label.casefold() for label in labels)
    spellings = {}
    for index, label in enumerate(labels):
        if (mid := mid_of(label)) is not None:
            spellings[mid] = index
        if folded[label.casefold()] == 1:
            spellings[label.casefold()] = index
    return spellings | {label: index for index, label in enumerate(labels)}


def _find(name: str, spellings: dict[str, int], labels: Sequence[str], where: str) -> int:
    for spelling in (name, name.casefold()):
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
