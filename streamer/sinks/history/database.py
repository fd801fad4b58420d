"""The SQLite file of the history: schema, queries, damage."""

import errno
import math
import sqlite3
import stat
import time
import unicodedata
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...errors import SinkError
from ...messages import Event, Occurrence
from .. import sqlite
from ..sqlite import is_time, storable
from . import noise_table

COLUMNS = "id, kind, label, source, score, started_at, ended_at, clip, start_sample, end_sample, confirmed, fast_score"
"""Columns of an event, in the order of `to_row` and `to_event`."""

OCCURRENCES = f"SELECT {COLUMNS}, mark, keeps_clip FROM event AS this LEFT JOIN note ON event_id = id"  # noqa: S608 - names of columns
"""Beginning of a query whose rows are those of `to_occurrence`."""

NEWEST_STATE = """NOT EXISTS (
    SELECT 1 FROM event AS other WHERE other.id = this.id
    AND (other.kind = 'ended' AND this.kind <> 'ended' OR other.kind = 'confirmed' AND this.kind = 'started')
)"""
"""Condition of such a query: the end of an occurrence, or its confirmation or start if it has not ended yet."""

FOLDED = "folded"
"""Name of `fold` in SQL, in a connection after `add_fold`."""

_OLDER_COLUMNS = COLUMNS.removesuffix(", confirmed, fast_score")
_APPLICATION_ID = 0x45617273  # "Ears"; identifies the file
_VERSION = 4
_BUSY_SECONDS = 1.0
_MAX_PRUNED = 1000  # at once, because the tagger waits
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# A row is the start or the end of an occurrence, in order of detection. `published` is 0 while it waits for the broker, 1
# after the broker has acknowledged it, and NULL if no broker was set.
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

# A row is a person's note on an occurrence. It goes when the event goes.
_NOTES = """
CREATE TABLE note (
    event_id TEXT PRIMARY KEY,
    mark TEXT CHECK (mark IN ('right', 'wrong')),
    keeps_clip INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_FORGETTING = """
CREATE TRIGGER note_forgotten AFTER DELETE ON event
WHEN NOT EXISTS (SELECT 1 FROM event WHERE id = old.id)
BEGIN
    DELETE FROM note WHERE event_id = old.id;
END;
"""

# A start may be on the word of the fast window alone; then a confirmation follows, or an end that takes it back.
_CONFIRMATIONS = f"""
CREATE TABLE newer (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('started', 'confirmed', 'ended')),
    label TEXT NOT NULL,
    source TEXT NOT NULL,
    score REAL,
    started_at REAL NOT NULL,
    ended_at REAL,
    clip TEXT,
    start_sample INTEGER,
    end_sample INTEGER,
    published INTEGER,
    confirmed INTEGER NOT NULL DEFAULT 1 CHECK (confirmed IN (0, 1)),
    fast_score REAL,
    UNIQUE (id, kind)
);
INSERT INTO newer (seq, published, {_OLDER_COLUMNS}) SELECT seq, published, {_OLDER_COLUMNS} FROM event ORDER BY seq;
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'event') WHERE name = 'newer';
DROP TABLE event;
ALTER TABLE newer RENAME TO event;
CREATE INDEX event_by_time ON event (started_at);
CREATE INDEX event_waiting ON event (seq) WHERE published = 0;
{_FORGETTING}
"""  # noqa: S608 - nothing from outside

_CHANGES = {2: _NOTES + _FORGETTING, 3: noise_table.SCHEMA, 4: _CONFIRMATIONS}
"""Statements that bring the schema from the version before to each version."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the history, or create one. One of an older version gets the present schema; nothing in it is lost.

    Returns
    -------
    sqlite3.Connection
        Connection in autocommit mode, for any thread, one at a time.

    Raises
    ------
    sqlite3.Error, OSError
        The file can't be read or written, or is damaged.
    SinkError
        The file is not a history.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite.open_to_write(path, timeout_seconds=_BUSY_SECONDS)
    try:
        if _is_new(connection):
            _begin(connection)
        else:
            version = _recognise(connection, path)
            _check(connection)
            _change_schema(connection, version)
        sqlite.set_journal(connection)
        # A killed process loses nothing in any mode. FULL also waits for the disk, so that a power cut, which often affects
        # the broker too, loses nothing either. Events are rare, and a disk takes milliseconds.
        connection.execute("PRAGMA synchronous = FULL")
        for file in _files(path):  # SQLite creates later files with the permissions of the first
            file.chmod(0o600)
    except UnicodeDecodeError as error:  # SQLite's message quotes the name
        connection.close()
        raise _DamageError("its tables have names that are not UTF-8") from error
    except BaseException:
        connection.close()
        raise
    return connection


def is_there(path: Path) -> bool:
    """Return True if the file exists.

    Raises
    ------
    OSError
        The path can't be examined.
    SinkError
        The path is not a regular file.
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
        raise SinkError(f"{path} is not a regular file: set history to another file")
    return True


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the history read-only, also while another process writes it.

    Raises
    ------
    SinkError
        The file does not exist, or can't be read.
    """
    if not is_there(path):
        raise SinkError(f"there is no history {path} yet: it begins with the first event")
    try:
        with closing(sqlite.open_to_read(path)) as connection:
            version = _recognise(connection, path)
            if version < _VERSION:
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute(
                    "CREATE TEMP VIEW event AS SELECT *, 1 AS confirmed, NULL AS fast_score FROM main.event"
                )
            for since, schema in ((2, _NOTES), (3, noise_table.SCHEMA)):
                if version < since:
                    connection.executescript(schema.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            yield connection
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite's message quotes the text
        advice = "move it away" if is_damaged(error) else "check its permissions and its disk"
        raise SinkError(f"the history {path} can't be read ({explain(error)}): {advice}") from error


def fold(name: Any) -> Any:
    """Return a name in a form that is the same for all cases and for composed and separate accents; SQLite folds ASCII only."""
    return unicodedata.normalize("NFC", name.casefold()) if isinstance(name, str) else name


def add_fold(connection: sqlite3.Connection) -> None:
    """Add `fold` to the functions of SQL."""
    connection.create_function(FOLDED, 1, fold, deterministic=True)


def count_events(path: Path) -> tuple[int, int]:
    """Return the number of starts and ends in the history, and of those that wait for the broker; change nothing.

    Raises
    ------
    SinkError
        The file can't be read, is damaged, or is not a history.
    """
    with reading(path) as connection:
        _check(connection)
        (events, waiting) = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE published = 0) FROM event"
        ).fetchone()
    return events, waiting


def insert(connection: sqlite3.Connection, event: Event, *, published: bool | None) -> None:
    """Append an event, unless the history has it already.

    Parameters
    ----------
    connection : sqlite3.Connection
        Result of `open_to_write`.
    event : Event
        Start, confirmation or end of a sound.
    published : bool or None
        True if the broker has acknowledged the event, False if it waits; None without a broker.
    """
    connection.execute(
        f"INSERT INTO event ({COLUMNS}, published) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
        "ON CONFLICT (id, kind) DO NOTHING",
        (*to_row(event), published),
    )


def waiting_events(connection: sqlite3.Connection, *, after: int) -> Generator[tuple[int, Event], None, None]:
    """Yield the events that wait for the broker, oldest first, with their sequence numbers, which are above `after`."""
    rows = connection.execute(
        f"SELECT seq, {COLUMNS} FROM event WHERE published = 0 AND seq > ? ORDER BY seq",  # noqa: S608
        (after,),
    )
    with closing(rows):  # a reader that has enough leaves no query open
        for sequence, *row in rows:
            yield sequence, to_event(tuple(row))


def mark_published(
    connection: sqlite3.Connection, keys: Iterable[tuple[str, str]], *, up_to: int = 0
) -> None:
    """Mark events as acknowledged by the broker: those with these keys, and all up to a sequence number."""
    connection.executemany("UPDATE event SET published = 1 WHERE published = 0 AND id = ? AND kind = ?", keys)
    connection.execute("UPDATE event SET published = 1 WHERE published = 0 AND seq <= ?", (up_to,))


def prune(connection: sqlite3.Connection, *, keep_events: int, keep_seconds: float) -> tuple[int, bool]:
    """Delete the oldest rows beyond `keep_events`, and each that is older than `keep_seconds`, a limited number at once.

    Minutes of noise have this age too. Events whose clip is kept stay.

    Returns
    -------
    undelivered : int
        Number of deleted rows that waited for the broker.
    more : bool
        True if there may be more to delete.
    """
    more_noise = noise_table.prune(connection, keep_seconds=keep_seconds)
    (newest,) = connection.execute("SELECT max(seq) FROM event").fetchone()
    if newest is None:
        return 0, more_noise
    # Each by its own date: an event with a wrong date does not affect others.
    obsolete = connection.execute(
        "SELECT seq, published = 0 FROM event WHERE id NOT IN (SELECT event_id FROM note WHERE keeps_clip) "
        "AND (seq <= ? OR coalesce(ended_at, started_at) < ?) ORDER BY seq LIMIT ?",
        (newest - keep_events, time.time() - keep_seconds, _MAX_PRUNED),
    ).fetchall()
    connection.executemany("DELETE FROM event WHERE seq = ?", ((seq,) for seq, _ in obsolete))
    return sum(waited or 0 for _, waited in obsolete), bool(obsolete) or more_noise


def end_active_events(connection: sqlite3.Connection, *, outgoing: bool) -> None:
    """Append an end to each start without one, as left by a killed program.

    Its date is the latest time in the history, when the sound was last known to be on. It waits for the broker if the start
    did.

    Parameters
    ----------
    connection : sqlite3.Connection
        Result of `open_to_write`, before any source is read.
    outgoing : bool
        True if there is a broker for which the ends wait.
    """
    connection.execute(
        f"""
        INSERT INTO event ({COLUMNS}, published)
        SELECT id, 'ended', label, source, score, started_at, max(started_at, min(latest.at, ?)), NULL, start_sample, NULL,
            confirmed, fast_score, CASE WHEN ? AND published IS NOT NULL THEN 0 END
        FROM event AS this, (SELECT max(coalesce(ended_at, started_at)) AS at FROM event) AS latest
        WHERE {NEWEST_STATE} AND kind <> 'ended'
        ORDER BY seq
        """,  # noqa: S608 - names of columns
        (time.time(), outgoing),
    )


def size_bytes(path: Path) -> int:
    """Return the size of the history on the disk."""
    return sum(file.stat().st_size for file in _files(path))


def is_damaged(error: Exception) -> bool:
    """Return True if an error means that the file is damaged."""
    return (
        isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    ) or isinstance(error, (_DamageError, UnicodeDecodeError))


def is_in_use(error: Exception) -> bool:
    """Return True if another program holds a lock on the database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def explain(error: Exception) -> str:
    """Return an error in a few words."""
    if is_in_use(error):
        return "another program has locked it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "it is damaged" if is_damaged(error) else str(error)


def move_aside(path: Path) -> Path:
    """Rename a damaged file and its companions, and return the new name.

    Raises
    ------
    OSError
        A file can't be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y-%m-%dT%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name}-{number}")
    # The main file last, so that this can be repeated if it fails halfway.
    for file in reversed(_files(path)):
        file.rename(aside.with_name(file.name.replace(path.name, aside.name, 1)))
    return aside


def key(event: Event) -> tuple[str, str]:
    """Return the unique key of an event."""
    return storable(event.id), event.kind


def to_row(event: Event) -> tuple[Any, ...]:
    """Convert an event to the values of its columns."""
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
        event.confirmed,
        None if event.fast_score is None else float(event.fast_score),
    )


def to_event(row: tuple[Any, ...]) -> Event:
    """Convert the values of the columns to an event.

    Raises
    ------
    sqlite3.Error
        The values are not those of an event: the file is damaged. SQLite stores any value in any column.
    """
    identifier, kind, label, source, score, started_at, ended_at, clip, *samples, confirmed, fast_score = row
    texts = (identifier, label, source, *([] if clip is None else [clip]))
    if not (
        kind in {"started", "confirmed", "ended"}
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in samples if number is not None)
        and all(number is None or isinstance(number, (int, float)) for number in (score, fast_score))
        and confirmed in {0, 1}
        and is_time(started_at)
        and (ended_at is None or is_time(ended_at))
    ):
        raise _DamageError("a row is not an event")
    known_score = math.nan if score is None else score  # SQLite stores NaN as NULL
    return Event(
        identifier,
        kind,
        label,
        source,
        known_score,
        started_at,
        ended_at,
        clip,
        start_sample=samples[0],
        end_sample=samples[1],
        confirmed=bool(confirmed),
        fast_score=fast_score,
    )


def to_occurrence(row: tuple[Any, ...]) -> Occurrence:
    """Convert a row of `OCCURRENCES` to an event with its note.

    Raises
    ------
    sqlite3.Error
        The values are not those of an event or a note: the file is damaged.
    """
    event, (mark, keeps_clip) = to_event(row[:-2]), row[-2:]
    if mark not in {None, "right", "wrong"}:
        raise _DamageError("a row is not a note")
    values = {field.name: getattr(event, field.name) for field in fields(Event)}
    return Occurrence(**values, mark=mark, keeps_clip=bool(keeps_clip))


class _DamageError(sqlite3.DatabaseError):
    """The content of the file is damaged."""


def _files(path: Path) -> list[Path]:
    """Return the file, and those that SQLite created beside it."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
    return [file for file in files if file.exists()]


def _is_new(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return (tables, application) == (0, 0)


def _begin(connection: sqlite3.Connection) -> None:
    sqlite.set_journal(connection)
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION};"
        f"{_SCHEMA} {''.join(_CHANGES.values())} COMMIT;"
    )


def _change_schema(connection: sqlite3.Connection, version: int) -> None:
    """Bring a history of an older version to the present one, all or nothing."""
    for new in range(version + 1, _VERSION + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {_CHANGES[new]} PRAGMA user_version = {new}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise


def _recognise(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema.

    Raises
    ------
    SinkError
        The file is not a history, or one of a version that is not known.
    """
    application, version = sqlite.identify(connection)
    if application != _APPLICATION_ID:
        raise SinkError(f"{path} is not a history of Earshot: set history to another file")
    if not 1 <= version <= _VERSION:
        raise SinkError(f"the history {path} was written by a newer Earshot: set history to another file")
    return version


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _DamageError(verdict)
