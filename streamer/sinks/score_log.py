"""A log of all scores, without any sound: what a rule would have told can then be tried again and again."""

import errno
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout

from ..errors import SinkError
from ..messages import (
    SAMPLE_RATE_HZ,
    Losses,
    Message,
    Samples,
    SourceStatus,
    Tagging,
)
from ..runtime.timing import Every
from . import sqlite

_log = logging.getLogger(__name__)

_APPLICATION_ID = 0x45617363  # "Easc"
_VERSION = 1
_QUIET_SECONDS = 60.0
_BUSY_SECONDS = 0.1
"""How long a tagging may wait for somebody who holds the file: whoever tags waits too."""

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
_OF_SQLITE_S_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR}
_MOST_SAMPLES = 60 * SAMPLE_RATE_HZ
"""No window is as long."""

# A stretch is what a source delivers without being switched off or ending; what is on ends with it.
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


class ScoreLog:
    """Writes every tagging, whole, to a SQLite file that only its owner can read; a file of the same model is continued.

    A tagging of 527 classes and 10.24 s takes 3 kB: 11 MB an hour at a hop of 1 s. What can't be written is lost and counted, which
    is said, and listening goes on. So it does where the disk is full or read-only from the beginning.

    Parameters
    ----------
    path : Path
        The file.
    model : str
        What the model is called.
    labels : sequence of str
        Of the model.
    thresholds : float32 (classes,), optional
        Of the model, if it has any.

    Raises
    ------
    SinkError
        The file can't be written, is something else, or is of another model.
    """

    def __init__(
        self, path: Path, *, model: str, labels: Sequence[str], thresholds: Samples | None = None
    ) -> None:
        self._path = path
        self._model, self._labels, self._thresholds = model, list(labels), thresholds
        self._lock = threading.Lock()  # guards what follows
        self._connection: sqlite3.Connection | None = None
        self._stretches: dict[str, int] = {}
        self._lost = 0
        self._failed = False
        self._failure_line_due = Every(_QUIET_SECONDS)
        if not path.absolute().parent.is_dir():
            raise SinkError(f"the score log {path} can't be written: there is no folder {path.parent}")
        # One process only: the stretches of two that have a source of the same name could not be told apart.
        self._only_one = FileLock(f"{path}.lock", timeout=0, mode=0o600, thread_local=False)
        try:
            self._connected()
        except Timeout:
            raise SinkError(
                f"another Earshot writes the score log {path}: give --score-log another file"
            ) from None
        except SinkError:
            self._only_one.release(force=True)
            raise
        except (OSError, sqlite3.Error, ValueError, RecursionError) as error:
            if not _may_pass(error):
                self._only_one.release(force=True)
                raise SinkError(
                    f"the score log {path} can't be written ({error}): give --score-log another file"
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
        """Write a tagging; note where a source ends; everything else is ignored."""
        with self._lock:
            match message:
                case Tagging():
                    self._write(message)
                case SourceStatus(source=source, online=False):
                    self._stretches.pop(source, None)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
            self._only_one.release(force=True)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._only_one.acquire()
            self._connection = _open_to_write(self._path, self._model, self._labels, self._thresholds)
        return self._connection

    def _write(self, tagging: Tagging) -> None:
        try:
            with self._connected() as connection:
                connection.execute("BEGIN IMMEDIATE")
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
                        tagging.scores.astype("<f4").tobytes(),
                    ),
                )
            self._stretches[tagging.source] = stretch
            if self._failed:
                self._failed = False
                _log.info("The score log %s can be written again.", self._path)
        except (sqlite3.Error, OSError, SinkError) as error:
            self._lost += 1
            self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        self._failed = True
        if self._failure_line_due.due():
            _log.warning(
                "The score log %s can't be written (%s): listening goes on, and %d taggings so far are not in it. "
                "Make room, or leave --score-log out.",
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
        What gave the scores.
    labels : tuple of str
        Of its classes.
    thresholds : float32 (classes,) or None
        Its own.
    """

    model: str
    labels: tuple[str, ...]
    thresholds: Samples | None
    _path: Path
    _connection: sqlite3.Connection

    def messages(self) -> Iterator[Tagging | SourceStatus]:
        """Yield each tagging, and where a source ended or was switched off, as they were logged; in constant memory.

        Raises
        ------
        SinkError
            The file is damaged.
        """
        stretches: dict[str, int] = {}
        with _explained(self._path):
            for stretch, *values in self._connection.execute(
                "SELECT stretch, source, start_sample, end_sample, ended_at, level_dbfs, levels_dbfs, scores "
                "FROM tagging JOIN stretch ON stretch.id = tagging.stretch ORDER BY seq"
            ):
                tagging = _to_tagging(values, len(self.labels))
                if stretches.setdefault(tagging.source, stretch) != stretch:
                    stretches[tagging.source] = stretch
                    yield SourceStatus(tagging.source, online=False)
                yield tagging


@contextmanager
def reading_scores(path: Path) -> Iterator[LoggedScores]:
    """Open a score log to read, also while it is being written.

    Raises
    ------
    SinkError
        There is none, or it is something else, or damaged.
    """
    there = False
    with suppress(OSError):  # a name that no file can have
        there = path.is_file()
    if not there:
        raise SinkError(f"there is no score log {path}: --score-log {path} writes one")
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
        raise SinkError(f"the score log {path} can't be read ({error}): is it one, and whole?") from error


def _open_to_write(
    path: Path, model: str, labels: list[str], thresholds: Samples | None
) -> sqlite3.Connection:
    connection = sqlite.open_to_write(path, timeout_seconds=_BUSY_SECONDS)
    try:
        _begin_or_continue(connection, path, model, labels, thresholds)
    except BaseException:
        connection.close()
        raise
    return connection


def _may_pass(error: Exception) -> bool:
    """Whether what went wrong is the disk's, which somebody may mend meanwhile."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_DISK
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_SQLITE_S_DISK


def _begin_or_continue(
    connection: sqlite3.Connection, path: Path, model: str, labels: list[str], thresholds: Samples | None
) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        _begin(connection, model, labels, thresholds)
    elif _recognise(connection, path)["labels"] != tuple(labels):
        raise SinkError(
            f"the score log {path} is of a model with other classes: give --score-log another file"
        )
    # Scores are no events: a power cut may take the newest, but never the file.
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: sqlite3.Connection, model: str, labels: list[str], thresholds: Samples | None) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION}; {_SCHEMA}"
    )
    own = None if thresholds is None else np.asarray(thresholds, "<f4").tobytes()
    connection.execute("INSERT INTO model VALUES (?, ?, ?)", (model, json.dumps(labels), own))
    connection.execute("COMMIT")


def _recognise(connection: sqlite3.Connection, path: Path) -> Mapping[str, Any]:
    if sqlite.identify(connection) != (_APPLICATION_ID, _VERSION):
        raise SinkError(f"{path} is no score log of this Earshot: give the file of --score-log")
    model, labels_json, own = (
        connection.execute("SELECT name, labels, thresholds FROM model").fetchone() or (None,) * 3
    )
    labels = json.loads(labels_json) if isinstance(labels_json, str) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("it does not say of which model it is")
    thresholds = None if own is None else _floats(own, len(labels))
    return {"model": str(model), "labels": tuple(labels), "thresholds": thresholds}


def _to_tagging(values: Sequence[Any], classes: int) -> Tagging:
    """Read a tagging from the values of its columns, each of which may hold anything."""
    source, start, end, ended_at, level, levels, scores = values
    if not (
        isinstance(source, str)
        and isinstance(start, int)
        and isinstance(end, int)
        and 0 <= end - start <= _MOST_SAMPLES
        and sqlite.is_time(ended_at)
        and isinstance(level, (int, float))
    ):
        raise ValueError("a row is no tagging")
    return Tagging(
        source=source,
        start_sample=start,
        end_sample=end,
        ended_at=ended_at,
        scores=_floats(scores, classes),
        level_dbfs=level,
        latency_seconds=None,
        levels_dbfs=_floats(levels),
    )


def _begin_stretch(connection: sqlite3.Connection, source: str) -> int:
    query = "INSERT INTO stretch (source) VALUES (?) RETURNING id"
    number: int = connection.execute(query, (source,)).fetchone()[0]
    return number


def _floats(blob: object, count: int | None = None) -> Samples:
    """Read numbers, of which there must be so many."""
    if not isinstance(blob, bytes) or (count is not None and len(blob) != 4 * count):
        raise ValueError("a row has too many numbers, or too few")
    return np.frombuffer(blob, "<f4").astype(np.float32)
