"""Log of all scores, without audio, to try other settings later."""

import errno
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import SinkError
from ..messages import (
    SAMPLE_RATE_HZ,
    Losses,
    Message,
    RawScores,
    Samples,
    SourceStatus,
    Tagging,
    with_classes,
)
from ..runtime.timing import Every
from . import sqlite
from .locks import HeldError, WriterLock

_log = logging.getLogger(__name__)

_APPLICATION_ID = 0x45617363  # "Easc"
_VERSION = 1
_QUIET_SECONDS = 60.0
_BUSY_SECONDS = 0.1
"""Longest wait of a tagging for a lock of the file; the tagger waits too."""

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
_OF_SQLITE_S_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}
_MOST_SAMPLES = 60 * SAMPLE_RATE_HZ
"""Upper limit of a plausible window."""

# A stretch is the time between a source's coming online and going offline; active events end with it.
_SCHEMA = """
CREATE TABLE model (name TEXT NOT NULL, labels TEXT NOT NULL, thresholds BLOB);
CREATE TABLE stretch (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL);
CREATE TABLE tagging (
    seq INTEGER PRIMARY KEY,
    stretch INTEGER NOT NULL REFERENCES stretch,
    start_sample INTEGER NOT NULL,
    end_sample INTEGER NOT NULL,
    ended_at REAL NOT NULL,
    level_dbfs REAL NOT NULL,
    levels_dbfs BLOB NOT NULL,
    scores BLOB NOT NULL
);
"""

_RAW_SCHEMA = """
CREATE TABLE IF NOT EXISTS raw (
    seq INTEGER PRIMARY KEY REFERENCES tagging,
    fingerprint TEXT NOT NULL,
    classes INTEGER NOT NULL,
    scores BLOB,
    embedding BLOB NOT NULL
);
"""
"""Output of the model before taught sounds and corrections; `scores` only where they differ. A log of an earlier version has none."""


_ALL_WITH_RAW = """
SELECT stretch, source, start_sample, end_sample, ended_at, level_dbfs, levels_dbfs, tagging.scores,
    fingerprint, classes, raw.scores, embedding
FROM tagging JOIN stretch ON stretch.id = tagging.stretch LEFT JOIN raw USING (seq) ORDER BY seq
"""
_ALL = """
SELECT stretch, source, start_sample, end_sample, ended_at, level_dbfs, levels_dbfs, scores, NULL, NULL, NULL, NULL
FROM tagging JOIN stretch ON stretch.id = tagging.stretch ORDER BY seq
"""


class ScoreLog:
    """Writes every tagging to a SQLite file that only its owner can read; an existing file of the same model is continued.

    A tagging of 527 classes and 10.24 s takes 4.6 kB: 16 MB an hour at a hop of 1 s. On a full or read-only disk, taggings are
    lost and counted, and listening goes on.

    Parameters
    ----------
    path : Path
        File of the log.
    model : str
        Name of the model.
    labels : sequence of str
        Labels of the model, then the names of taught sounds. Those that the file has already keep their places in it.
    thresholds : float32 (classes,), optional
        Thresholds of the model, if it has any.
    own : int, optional
        Number of the model's labels; by default, all are.

    Raises
    ------
    SinkError
        The file can't be written, is not a score log, or belongs to another model.
    """

    def __init__(
        self,
        path: Path,
        *,
        model: str,
        labels: Sequence[str],
        thresholds: Samples | None = None,
        own: int | None = None,
    ) -> None:
        self._path = path
        self._model = model
        self._columns = _Columns(list(labels), thresholds, len(labels) if own is None else own)
        self._lock = threading.Lock()  # guards the attributes below
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, ...] = ()  # device and inode of the open file
        self._order: Sequence[int] = range(0)  # place in the file of each label
        self._stretches: dict[str, int] = {}
        self._lost = 0
        self._failed = False
        self._failure_line_due = Every(_QUIET_SECONDS)
        if not path.absolute().parent.is_dir():
            raise SinkError(f"the score log {path} can't be written: there is no folder {path.parent}")
        # One process only: stretches of two processes with the same source could not be told apart.
        self._file_lock = WriterLock(path)
        try:
            self._connected()
        except HeldError:
            raise SinkError(
                f"another Earshot writes the score log {path}: set --score-log to another file"
            ) from None
        except SinkError:
            self._file_lock.release()
            raise
        except (OSError, sqlite3.Error, ValueError, RecursionError) as error:
            if not _may_pass(error):
                self._file_lock.release()
                raise SinkError(
                    f"the score log {path} can't be written ({error}): set --score-log to another file"
                ) from error
            self._note_failure(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def losses(self) -> Losses:
        """Return the number of taggings that could not be written so far; from any thread, at once."""
        return Losses(unlogged_taggings=self._lost)

    def accept(self, message: Message) -> None:
        """Write a tagging, or end a stretch; ignore other messages."""
        with self._lock:
            match message:
                case Tagging():
                    self._write(message)
                case SourceStatus(source=source, online=False):
                    self._stretches.pop(source, None)

    def set_labels(self, labels: Sequence[str], thresholds: Samples | None) -> None:
        """Note that the taggings have further scores from now on, of sounds that were taught; `labels` begins with those so far."""
        with self._lock:
            if list(labels) == self._columns.labels:
                return
            self._columns = replace(self._columns, labels=list(labels), thresholds=thresholds)
            try:
                with self._connected() as connection:
                    self._order = _follow(connection, self._columns, _recognise(connection, self._path))
            except (sqlite3.Error, OSError, SinkError, HeldError) as error:
                self._note_failure(error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
            self._file_lock.release()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_elsewhere():
            _log.warning(
                "score log %s: it was deleted or replaced by another program; continuing with a file in its place",
                self._path,
            )
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
            self._stretches.clear()
            self._file_lock.release()
        if self._connection is None:
            sqlite.create_private(self._path)
            self._file_lock.acquire()
            self._connection, self._order = _open_to_write(self._path, self._model, self._columns)
            self._place = (sqlite.identity(self._path) or ())[:2]
        return self._connection

    def _is_elsewhere(self) -> bool:
        """Return True if the open file is not the one in its place."""
        there = sqlite.identity(self._path)
        return there is None or there[:2] != self._place

    def _write(self, tagging: Tagging) -> None:
        try:
            with self._connected() as connection:
                connection.execute("BEGIN IMMEDIATE")
                if len(self._order) < len(self._columns.labels):  # they could not be written before
                    self._order = _follow(connection, self._columns, _recognise(connection, self._path))
                stretch = self._stretches.get(tagging.source) or _begin_stretch(connection, tagging.source)
                connection.execute(
                    "INSERT INTO tagging (stretch, start_sample, end_sample, ended_at, level_dbfs, levels_dbfs, scores) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        stretch,
                        tagging.start_sample,
                        tagging.end_sample,
                        tagging.ended_at,
                        tagging.level_dbfs,
                        tagging.levels_dbfs.astype("<f4").tobytes(),
                        _ordered(tagging.scores, self._order).astype("<f4").tobytes(),
                    ),
                )
                if tagging.raw is not None:
                    connection.execute(
                        "INSERT INTO raw VALUES (last_insert_rowid(), ?, ?, ?, ?)",
                        _raw_values(tagging, tagging.raw),
                    )
            self._stretches[tagging.source] = stretch
            if self._failed:
                self._failed = False
                _log.info("score log %s: writing again", self._path)
        except (sqlite3.Error, OSError, SinkError, HeldError) as error:
            self._lost += 1
            self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        self._failed = True
        if self._failure_line_due.due():
            _log.warning(
                "score log %s: can't be written (%s); %d taggings lost so far; listening goes on. Make room, or run without "
                "--score-log",
                self._path,
                error,
                self._lost,
            )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoggedScores:
    """A score log, opened for reading.

    Attributes
    ----------
    model : str
        Name of the model.
    labels : tuple of str
        Labels of the model.
    thresholds : float32 (classes,) or None
        Thresholds of the model.
    """

    model: str
    labels: tuple[str, ...]
    thresholds: Samples | None
    _path: Path
    _connection: sqlite3.Connection

    def messages(self) -> Iterator[Tagging | SourceStatus]:
        """Yield each tagging, and a status where a source went offline, in order and in constant memory.

        Raises
        ------
        SinkError
            The file is damaged.
        """
        stretches: dict[str, int] = {}
        with _explained(self._path):
            has_raw = self._connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'raw'").fetchone()
            for stretch, *values in self._connection.execute(_ALL_WITH_RAW if has_raw else _ALL):
                tagging = _to_tagging(values, len(self.labels))
                if stretches.setdefault(tagging.source, stretch) != stretch:
                    stretches[tagging.source] = stretch
                    yield SourceStatus(tagging.source, online=False)
                yield tagging


@contextmanager
def reading_scores(path: Path) -> Iterator[LoggedScores]:
    """Open a score log read-only, also while it is being written.

    Raises
    ------
    SinkError
        The file does not exist, is not a score log, or is damaged.
    """
    exists = False
    with suppress(OSError):  # such as a name that is too long
        exists = path.is_file()
    if not exists:
        raise SinkError(f"there is no score log {path}; record one with --score-log {path}")
    with (
        _explained(path),
        closing(sqlite.open_to_read(path)) as connection,
    ):
        model = _recognise(connection, path)
        yield LoggedScores(**model, _path=path, _connection=connection)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, RecursionError) as error:
        raise SinkError(
            f"the score log {path} can't be read ({error}): check that it is an intact score log"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Labels of a model and its taught sounds, their thresholds, and the number of those that are the model's own."""

    labels: list[str]
    thresholds: Samples | None
    own: int


def _open_to_write(path: Path, model: str, columns: _Columns) -> tuple[sqlite3.Connection, Sequence[int]]:
    """Return the connection, and the place in the file of each label."""
    connection = sqlite.open_to_write(path, timeout_seconds=_BUSY_SECONDS)
    try:
        return connection, _begin_or_continue(connection, path, model, columns)
    except BaseException:
        connection.close()
        raise


def _may_pass(error: Exception) -> bool:
    """Return True for an error of the disk, which may be fixed later."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_DISK
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_SQLITE_S_DISK


def _begin_or_continue(
    connection: sqlite3.Connection, path: Path, model: str, columns: _Columns
) -> Sequence[int]:
    order: Sequence[int] = range(len(columns.labels))
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        _begin(connection, model, columns)
    else:
        before = _recognise(connection, path)
        if before["labels"][: columns.own] != tuple(columns.labels[: columns.own]):
            raise SinkError(
                f"the score log {path} is of a model with other classes: set --score-log to another file"
            )
        if before["model"] != model:
            raise SinkError(
                f"the score log {path} is of the model {before['model']}, not {model}: set --score-log to another file"
            )
        order = _follow(connection, columns, before)
    connection.execute(_RAW_SCHEMA)
    # A power cut may lose the newest scores, but never damages the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    return order


def _follow(connection: sqlite3.Connection, columns: _Columns, before: Mapping[str, Any]) -> Sequence[int]:
    """Add the taught sounds that the file does not know; return the place in it of each label."""
    logged = [*before["labels"], *(name for name in columns.labels if name not in before["labels"])]
    order: Sequence[int] = [logged.index(name) for name in columns.labels]
    if order == list(range(len(order))):
        order = range(len(order))
    if len(logged) > len(before["labels"]):
        thresholds = before["thresholds"]
        if thresholds is None and columns.thresholds is not None:
            thresholds = np.zeros(0, np.float32)
        if thresholds is not None:
            thresholds = with_classes(thresholds, len(logged))
        if columns.thresholds is not None:
            thresholds[order] = columns.thresholds
        connection.execute("UPDATE model SET labels = ?, thresholds = ?", _model_values(logged, thresholds))
    return order


def _ordered(scores: Samples, order: Sequence[int]) -> Samples:
    """Return scores in the order of the file; 0 for sounds that are not taught any more."""
    scores = scores[: len(order)]  # a sound that was taught just now has no place yet
    if isinstance(order, range):
        return scores
    places = order[: len(scores)]
    ordered = np.zeros(max(places) + 1, np.float32)
    ordered[places] = scores
    return ordered


def _begin(connection: sqlite3.Connection, model: str, columns: _Columns) -> None:
    sqlite.set_journal(connection)
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION}; {_SCHEMA}"
    )
    connection.execute(
        "INSERT INTO model VALUES (?, ?, ?)", (model, *_model_values(columns.labels, columns.thresholds))
    )
    connection.execute("COMMIT")


def _model_values(labels: list[str], thresholds: Samples | None) -> tuple[str, bytes | None]:
    return json.dumps(labels), None if thresholds is None else np.asarray(thresholds, "<f4").tobytes()


def _recognise(connection: sqlite3.Connection, path: Path) -> Mapping[str, Any]:
    if sqlite.identify(connection) != (_APPLICATION_ID, _VERSION):
        raise SinkError(f"{path} is not a score log of this version: give the file of --score-log")
    model, labels_json, own = (
        connection.execute("SELECT name, labels, thresholds FROM model").fetchone() or (None,) * 3
    )
    labels = json.loads(labels_json) if isinstance(labels_json, str) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("its model is not stated")
    thresholds = None if own is None else _floats(own, len(labels))
    return {"model": str(model), "labels": tuple(labels), "thresholds": thresholds}


def _to_tagging(values: Sequence[Any], classes: int) -> Tagging:
    """Convert the values of the columns to a tagging; each may be anything."""
    source, start, end, ended_at, level, levels, scores, *raw = values
    if not (
        isinstance(source, str)
        and isinstance(start, int)
        and isinstance(end, int)
        and 0 <= end - start <= _MOST_SAMPLES
        and sqlite.is_time(ended_at)
        and isinstance(level, (int, float))
        and isinstance(scores, bytes)
        and 0 < len(scores) <= 4 * classes  # fewer before a sound was taught
    ):
        raise ValueError("a row is not a tagging")
    return Tagging(
        source=source,
        start_sample=start,
        end_sample=end,
        ended_at=ended_at,
        scores=with_classes(_floats(scores), classes),
        level_dbfs=level,
        latency_seconds=None,
        levels_dbfs=_floats(levels),
        raw=_to_raw(raw, scores),
    )


def _raw_values(tagging: Tagging, raw: RawScores) -> tuple[str, int, bytes | None, bytes]:
    """Return the values of the columns; the scores of the model only where a correction has lowered some."""
    classes = len(raw.scores)
    is_same = np.array_equal(tagging.scores[:classes], raw.scores)
    own = None if is_same else raw.scores.astype("<f4").tobytes()
    return raw.fingerprint, classes, own, raw.embedding.astype("<f2").tobytes()


def _to_raw(values: Sequence[Any], scores: bytes) -> RawScores | None:
    """Convert the values of the columns; each may be anything."""
    fingerprint, classes, own, embedding = values
    if fingerprint is None:
        return None
    is_output = isinstance(fingerprint, str) and isinstance(classes, int) and isinstance(embedding, bytes)
    if not is_output or classes < 1 or len(embedding) % 2:
        raise ValueError("a row is not the output of a model")
    return RawScores(
        fingerprint,
        _floats(scores if own is None else own)[:classes],
        np.frombuffer(embedding, "<f2").astype(np.float32),
    )


def _begin_stretch(connection: sqlite3.Connection, source: str) -> int:
    query = "INSERT INTO stretch (source) VALUES (?) RETURNING id"
    number: int = connection.execute(query, (source,)).fetchone()[0]
    return number


def _floats(blob: object, count: int | None = None) -> Samples:
    """Convert a blob to numbers, `count` of them if given."""
    if not isinstance(blob, bytes) or (count is not None and len(blob) != 4 * count):
        raise ValueError("a row has the wrong number of values")
    return np.frombuffer(blob, "<f4").astype(np.float32)
