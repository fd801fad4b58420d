"""The SQLite file that holds the history: made, opened, recognised, moved out of the way."""

import errno
import math
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ...errors import SinkError
from ...messages import Event
from .. import sqlite
from ..sqlite import is_time, storable

COLUMNS = "id, kind, label, source, score, started_at, ended_at, clip, start_sample, end_sample"
"""Of an event, in the order of `to_row` and `to_event`."""

_APPLICATION_ID = 0x45617273  # "Ears": what tells a history from other databases
_VERSION = 1
_BUSY_SECONDS = 1.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# A row is the beginning or the end of an occurrence, in the order in which they were decided. `published` is 0 while it
# waits for the broker, 1 once the broker has acknowledged it, and NULL where no broker was set.
_SCHEMA = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('started', 'ended')),
    label TEXT NOT NULL,
    source TEXT NOT NULL,
    score REAL,
    started_at REAL NOT NULL,
    ended_at REAL,
    clip TEXT,
    start_sample INTEGER,
    end_sample INTEGER,
    published INTEGER,
    UNIQUE (id, kind)
);
CREATE INDEX event_by_time ON event (started_at);
CREATE INDEX event_waiting ON event (seq) WHERE published = 0;
"""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the history, or begin one.

    Returns
    -------
    sqlite3.Connection
        In autocommit mode; for any thread, one at a time.

    Raises
    ------
    sqlite3.Error, OSError
        It can't be read or written, or is damaged.
    SinkError
        It is something else.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite.open_to_write(path, timeout_seconds=_BUSY_SECONDS)
    try:
        if _is_new(connection):
            _begin(connection)
        else:
            _recognise(connection, path)
            _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # What is committed is in the system's hands: a killed process loses nothing, whatever stands here. FULL also
        # waits for the disk, so that a power cut, which often takes the broker along, loses nothing either. Events are
        # rare, and a disk takes milliseconds.
        connection.execute("PRAGMA synchronous = FULL")
        for file in _files(path):  # SQLite gives those it adds later the permissions of the first
            file.chmod(0o600)
    except UnicodeDecodeError as error:  # SQLite repeats what it can't read
        connection.close()
        raise _DamageError("its tables have names that are no UTF-8") from error
    except BaseException:
        connection.close()
        raise
    return connection


def is_there(path: Path) -> bool:
    """Whether there is a file where the history is, or would be.

    Raises
    ------
    OSError
        Nobody can tell.
    SinkError
        There is something else.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENAMETOOLONG}:
            raise
        regular = False
    if not regular:
        raise SinkError(f"{path} is no regular file, and so no history of Earshot: give history another name")
    return True


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the history to read, also while another process writes it.

    Raises
    ------
    SinkError
        There is none, or it can't be read.
    """
    if not is_there(path):
        raise SinkError(f"there is no history {path} yet: it begins with the first sound that is watched for")
    try:
        with closing(sqlite.open_to_read(path)) as connection:
            _recognise(connection, path)
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite repeats what it can't read
        advice = "move it away" if is_damaged(error) else "check its permissions and its disk"
        raise SinkError(f"the history {path} can't be read ({explain(error)}): {advice}") from error


def count_events(path: Path) -> tuple[int, int]:
    """Count the beginnings and ends in the history, and those that wait for the broker; nothing is changed.

    Raises
    ------
    SinkError
        It can't be read, is damaged, or is something else.
    """
    with reading(path) as connection:
        _check(connection)
        (events, waiting) = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE published = 0) FROM event"
        ).fetchone()
    return events, waiting


def end_what_is_on(connection: sqlite3.Connection, *, outgoing: bool) -> None:
    """Append an end to each beginning without one, as it is after the program was killed.

    It is dated by the latest moment that the history knows of, when the sound was last known to be on. Whoever was to be
    told of the beginning is to be told of the end.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of `open_to_write`, while nobody listens yet.
    outgoing : bool
        Whether there is a broker, for which the ends are to wait.
    """
    connection.execute(
        f"""
        INSERT INTO event ({COLUMNS}, published)
        SELECT id, 'ended', label, source, score, started_at, max(started_at, min(latest.at, ?)), NULL, start_sample, NULL,
            CASE WHEN ? AND published IS NOT NULL THEN 0 END
        FROM event, (SELECT max(coalesce(ended_at, started_at)) AS at FROM event) AS latest
        WHERE id IN (SELECT id FROM event GROUP BY id HAVING min(kind) = 'started')
        ORDER BY seq
        """,  # noqa: S608 - names of columns
        (time.time(), outgoing),
    )


def size_bytes(path: Path) -> int:
    """How much the history takes on the disk."""
    return sum(file.stat().st_size for file in _files(path))


def is_damaged(error: Exception) -> bool:
    """Whether an error says that the file is no intact database."""
    return (
        isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    ) or isinstance(error, (_DamageError, UnicodeDecodeError))


def explain(error: Exception) -> str:
    """Say in a few words what is wrong."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is damaged" if is_damaged(error) else str(error)


def move_aside(path: Path) -> Path:
    """Rename a damaged file and those beside it, and return the new name.

    Raises
    ------
    OSError
        It can't be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y-%m-%dT%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name}-{number}")
    # The file itself last: as long as it is there, this can be done again.
    for file in reversed(_files(path)):
        file.rename(aside.with_name(file.name.replace(path.name, aside.name, 1)))
    return aside


def key(event: Event) -> tuple[str, str]:
    """What tells an event from all others."""
    return storable(event.id), event.kind


def to_row(event: Event) -> tuple[Any, ...]:
    """Write an event as the values of its columns."""
    return (
        *key(event),
        storable(event.label),
        storable(event.source),
        float(event.score),
        float(event.started_at),
        None if event.ended_at is None else float(event.ended_at),
        None if event.clip is None else storable(event.clip),
        event.start_sample,
        event.end_sample,
    )


def to_event(row: tuple[Any, ...]) -> Event:
    """Read an event from the values of its columns.

    Raises
    ------
    sqlite3.Error
        SQLite keeps any value in any column, and these are no event's: the file is damaged.
    """
    identifier, kind, label, source, score, started_at, ended_at, clip, *samples = row
    texts = (identifier, label, source, *([] if clip is None else [clip]))
    if not (
        kind in {"started", "ended"}
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in samples if number is not None)
        and (score is None or isinstance(score, (int, float)))
        and is_time(started_at)
        and (ended_at is None or is_time(ended_at))
    ):
        raise _DamageError("a row is no event")
    known_score = math.nan if score is None else score  # SQLite has no other word for what is no number
    return Event(identifier, kind, label, source, known_score, started_at, ended_at, clip, *samples)


class _DamageError(sqlite3.DatabaseError):
    """SQLite's own check has found something."""


def _files(path: Path) -> list[Path]:
    """The file, and those that SQLite has put beside it."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    return [file for file in files if file.exists()]


def _is_new(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return (tables, application) == (0, 0)


def _begin(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION};"
        f"{_SCHEMA} COMMIT;"
    )


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    application, version = sqlite.identify(connection)
    if application != _APPLICATION_ID:
        raise SinkError(f"{path} is no history of Earshot: give history another name")
    if version != _VERSION:
        raise SinkError(f"the history {path} was written by a newer Earshot: give history another name")


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _DamageError(verdict)
