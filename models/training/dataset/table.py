"""Tables of labelled recordings: CSV files as people, spreadsheets and programs write them."""

import codecs
import csv
import io
import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import TrainingError

SEPARATOR = "|"
"""Separator between the labels of a recording."""

_DELIMITERS = ",;\t"
_EXPECTED_HEADER = "its first line must be path,label, or path,label,fold"


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of a list of recordings.

    Attributes
    ----------
    path : Path
        File of the recording.
    labels : tuple of str
        Labels, with composed characters.
    fold : int or None
        Number of the fold.
    start_seconds, end_seconds : float
        Part of the recording that counts.
    where : str
        Place of the entry, for messages.
    """

    path: Path
    labels: tuple[str, ...]
    fold: int | None
    start_seconds: float
    end_seconds: float
    where: str


@dataclass(frozen=True, slots=True)
class _Columns:
    """Numbers of the columns that are read; None for those that are missing."""

    count: int
    path: int
    label: int
    fold: int | None
    start: int | None
    end: int | None


_KNOWN = ("path", "filename", "label", "category", "fold", "start", "end")
"""Columns with a meaning."""


def composed(label: str) -> str:
    """Compose letters and their accents (NFC), which some file systems and programs store separately."""
    return unicodedata.normalize("NFC", label)


def entries_of_csv(path: Path) -> Iterator[Entry]:
    """Yield the entries of a CSV file; `read_dataset` describes its columns.

    Raises
    ------
    TrainingError
        The file is missing, or a line of it is malformed.
    """
    text = _text_of(path)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        first = next(rows, [])
        header = [name.strip().casefold() for name in first]
        columns = _columns(path, header, ",".join(first))
        folder = _folder_of_recordings(path, header)
        for row in rows:
            if any(cell.strip() for cell in row):
                yield _entry(row, columns, folder, f"{path} line {rows.line_num}")
    except csv.Error as error:
        raise TrainingError(
            f"{path} line {rows.line_num} is not a valid CSV line ({error}): check its quotation marks"
        ) from error


def _entry(row: Sequence[str], columns: _Columns, folder: Path, where: str) -> Entry:
    if len(row) != columns.count:
        raise TrainingError(
            f"{where} has {len(row)} columns, but the first line has {columns.count}: put values with a comma "
            "between quotation marks"
        )
    if not row[columns.path].strip():
        raise TrainingError(f"{where} has an empty path: name a recording, or remove the line")
    start = 0.0 if columns.start is None else _seconds(row[columns.start], "start", 0.0, where)
    end = math.inf if columns.end is None else _seconds(row[columns.end], "end", math.inf, where)
    if end <= start:
        raise TrainingError(f"{where} ends at {end:g} s, not after its start at {start:g} s: correct it")
    return Entry(
        path=_recording(folder, row[columns.path].strip()),
        labels=_split_labels(row[columns.label], where),
        fold=None if columns.fold is None else _fold(row[columns.fold], where),
        start_seconds=start,
        end_seconds=end,
        where=where,
    )


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise TrainingError(f"there is no folder or CSV file {path}: check its name") from error
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingError(
            f"{path} is not text in UTF-8: save it as a CSV file in UTF-8, or give a folder with a sub-folder for each class"
        ) from error
    if "\0" in text:
        raise TrainingError(f"{path} contains NUL bytes: save it again as a CSV file in UTF-8")
    return text


def _delimiter(text: str) -> str:
    """Return the delimiter with which the first line has a column of recordings and one of labels; else a comma."""
    first = text.partition("\n")[0].strip().casefold()
    for delimiter in _DELIMITERS:
        names = {name.strip(' "') for name in first.split(delimiter)}
        if names & {"path", "filename"} and names & {"label", "category"}:
            return delimiter
    return ","


def _columns(path: Path, header: Sequence[str], first: str) -> _Columns:
    for name in _KNOWN:
        if header.count(name) > 1:
            raise TrainingError(
                f"{path} has the column '{name}' {header.count(name)} times: remove all but one"
            )
    where = {name: number for number, name in reversed(list(enumerate(header)))}
    return _Columns(
        len(header),
        _column(path, header, first, "path", "filename"),
        _column(path, header, first, "label", "category"),
        *map(where.get, ("fold", "start", "end")),
    )


def _column(path: Path, header: Sequence[str], first: str, name: str, synonym: str) -> int:
    for accepted in (name, synonym):
        if accepted in header:
            return header.index(accepted)
    raise TrainingError(
        f"{path} has no column '{name}' (its first line is '{first[:80]}'): {_EXPECTED_HEADER}"
    )


def _folder_of_recordings(path: Path, header: Sequence[str]) -> Path:
    """Return the folder that relative paths start at: that of the CSV file, or ESC-50's folder of sounds."""
    beside = path.parent.absolute().parent / "audio"
    return path.parent if "path" in header or not beside.is_dir() else beside


def _recording(folder: Path, text: str) -> Path:
    """Return the file of a path, also of one with Windows' separators or another form of its accents; as it is written if there is none."""
    texts = [text, text.replace("\\", "/")]
    written = [unicodedata.normalize(form, text) for form in ("NFC", "NFD") for text in texts]
    paths = [Path(os.path.normpath(folder / text)) for text in dict.fromkeys((*texts, *written))]
    return next((path for path in paths if path.is_file()), paths[0])


def _split_labels(text: str, where: str) -> tuple[str, ...]:
    labels = tuple(composed(label.strip()) for label in text.split(SEPARATOR))
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


def _seconds(text: str, column: str, empty: float, where: str) -> float:
    """Read seconds, perhaps with a decimal comma; an empty cell stands for the beginning or the end of the recording."""
    if not text.strip():
        return empty
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise TrainingError(
            f"{where} has the {column} '{text}', which is not a number of seconds: correct it"
        )
    return seconds
