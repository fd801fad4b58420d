"""What has begun and ended, on disk before anyone is told: the history, and the outbox of what waits for the broker."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from ...errors import SinkError
from ...messages import Event, Losses, Message
from ...runtime.timing import Every
from . import database

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_QUIET_SECONDS = 60.0
_RETRY_SECONDS = 10.0
_MOST_UNSAVED = 1000
_EVENTS_BETWEEN_PRUNINGS = 64
_MOST_PRUNED = 1000  # at once, since the tagger waits

T = TypeVar("T")


def is_being_written(path: Path) -> bool:
    """Whether another process has opened a history to write it."""
    lock = _lock_of(path)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock:
            return False
    except Timeout:
        return True


def _lock_of(path: Path) -> FileLock:
    """One process only: two that share an outbox would both publish what is in it."""
    return FileLock(f"{path}.lock", timeout=0, mode=0o600, thread_local=False)


@dataclass(slots=True)
class _Unsaved:
    event: Event
    published: bool = False


class History:
    """Writes events to a SQLite file, and keeps them for the broker until it has acknowledged them.

    `accept` returns when the event is on the disk, which takes as long as the disk does: milliseconds. Whoever
    publishes events is told of them after that.

    What can't be written (the disk is full, or read-only) stays in memory, the newest thousand of it, is published from there
    like all others, and is written as soon as that is possible. A damaged file is renamed and a new one begun; what waited in it
    stays there. Either is said in one line, and listening goes on.

    What a killed program has left on is ended by the next one, before anything else is written.

    The oldest events go when there are too many, and each when its own date is too old.

    Parameters
    ----------
    path : Path
        The file. Only its owner can read it.
    days : float
        How long events are kept.
    events : int
        How many beginnings and ends are kept.
    outgoing : bool
        Whether there is a broker, for which events are to wait.

    Raises
    ------
    SinkError
        Another process writes this history, or the file is something else.
    """

    def __init__(
        self, path: Path, *, days: float = 30.0, events: int = 100_000, outgoing: bool = True
    ) -> None:
        self._path = path
        self._keep_seconds = days * _DAY_SECONDS
        self._keep_events = events
        self._outgoing = outgoing
        self._only_one = _lock_of(path)
        self._lock = threading.RLock()  # guards what follows
        self._connection: sqlite3.Connection | None = None
        self._unsaved: dict[tuple[str, str], _Unsaved] = {}
        self._acknowledged = 0  # seq of the last row that the broker has, even if that can't be written
        self._given_up = 0
        self._lost = 0
        self._until_pruning = 0
        self._taken_over = False
        self._failed = False
        self._retry_due = Every(_RETRY_SECONDS)
        self._failure_line_due = Every(_QUIET_SECONDS)
        self._loss_line_due = Every(_QUIET_SECONDS)
        self._closed = False
        with self._lock:
            self._attempt(self._take_over, refuse=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def losses(self) -> Losses:
        """Return the number of events that were not delivered or not written; from any thread, at once."""
        return Losses(
            undelivered_events=self._given_up, unsaved_events=len(self._unsaved), lost_events=self._lost
        )

    def accept(self, message: Message) -> None:
        """Write an event; everything else is only an occasion to write what could not be written before."""
        if not isinstance(message, Event):
            if self._unsaved and self._retry_due.due():
                with self._lock:
                    self._attempt(self._save)
            return
        with self._lock:
            self._unsaved.setdefault(database.key(message), _Unsaved(message))
            if len(self._unsaved) > _MOST_UNSAVED:
                oldest = self._unsaved.pop(next(iter(self._unsaved)))
                self._lost += 1
                self._give_up(int(self._outgoing and not oldest.published))
            self._attempt(self._save)

    def keep(self, *, days: float, events: int) -> None:
        """Keep events for so long, and so many, from now on."""
        with self._lock:
            self._keep_seconds = days * _DAY_SECONDS
            self._keep_events = events
            self._until_pruning = 0

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait for the broker, at most `limit`."""
        if not self._outgoing:
            return []
        with self._lock:
            waiting = self._attempt(lambda connection: self._waiting(connection, limit)) or []
            waiting += [unsaved.event for unsaved in self._unsaved.values() if not unsaved.published]
            return waiting[:limit]

    def mark_published(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged the oldest of the events that `pending` returned."""
        with self._lock:
            for event in events:
                if unsaved := self._unsaved.get(database.key(event)):
                    unsaved.published = True
            self._attempt(lambda connection: self._mark(connection, events))

    def close(self) -> None:
        """Write what is unsaved, if that is possible, and let go of the file."""
        with self._lock:
            if self._unsaved:
                self._attempt(self._save)
            self._closed = True
            self._disconnect()
            self._only_one.release(force=True)

    def _attempt(self, work: Callable[[sqlite3.Connection], T], *, refuse: bool = False) -> T | None:
        """Do something with the database; None if that fails, which is said."""
        if self._closed:
            return None
        try:
            try:
                result = work(self._connected())
            except (sqlite3.Error, OSError) as error:
                if not database.is_damaged(error):
                    raise
                self._begin_anew()
                result = work(self._connected())
        except (sqlite3.Error, OSError, SinkError) as error:
            if refuse and isinstance(error, SinkError):
                self._only_one.release(force=True)
                raise
            self._note_failure(error)
            return None
        if self._failed and not self._unsaved:
            _log.info("The history %s can be written again.", self._path)
            self._failed = False
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            database.is_there(self._path)  # or something else, which is left alone
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._only_one.acquire()
            except Timeout:
                raise SinkError(
                    f"another Earshot writes the history {self._path}: set history to another file, or to off"
                ) from None
            self._connection = database.open_to_write(self._path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _begin_anew(self) -> None:
        self._disconnect()
        aside = database.move_aside(self._path)
        self._acknowledged = 0
        _log.warning("The history %s was damaged: it is now %s, and a new one begins.", self._path, aside)

    def _save(self, connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not self._taken_over:
                database.end_what_is_on(connection, outgoing=self._outgoing)
            for unsaved in self._unsaved.values():
                connection.execute(
                    f"INSERT INTO event ({database.COLUMNS}, published) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
                    "ON CONFLICT (id, kind) DO NOTHING",
                    (*database.to_row(unsaved.event), unsaved.published if self._outgoing else None),
                )
            self._until_pruning -= len(self._unsaved)
            given_up = 0
            if self._until_pruning <= 0:
                given_up, _ = self._prune(connection)
        self._taken_over = True
        self._unsaved.clear()
        self._give_up(given_up)

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Bring what an earlier run has left into order."""
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            database.end_what_is_on(connection, outgoing=self._outgoing)
        self._taken_over = True
        more = True
        while more:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                given_up, more = self._prune(connection)
            self._give_up(given_up)

    def _prune(self, connection: sqlite3.Connection) -> tuple[int, bool]:
        """Delete the oldest rows that are too many or too old; how many of them waited, and whether there may be more."""
        self._until_pruning = _EVENTS_BETWEEN_PRUNINGS
        (newest,) = connection.execute("SELECT max(seq) FROM event").fetchone()
        if newest is None:
            return 0, False
        # Each by its own date: one that was dated by a wrong clock takes no other along.
        going = connection.execute(
            "SELECT seq, published = 0 AND seq > ? FROM (SELECT * FROM event ORDER BY seq LIMIT ?) "
            "WHERE seq <= ? OR coalesce(ended_at, started_at) < ?",
            (self._acknowledged, _MOST_PRUNED, newest - self._keep_events, time.time() - self._keep_seconds),
        ).fetchall()
        connection.executemany("DELETE FROM event WHERE seq = ?", ((seq,) for seq, _ in going))
        return sum(waited or 0 for _, waited in going), bool(going)

    def _waiting(self, connection: sqlite3.Connection, limit: int) -> list[Event]:
        rows = connection.execute(
            f"SELECT {database.COLUMNS} FROM event WHERE published = 0 AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
            (self._acknowledged, limit),
        )
        return [database.to_event(row) for row in rows]

    def _mark(self, connection: sqlite3.Connection, events: Sequence[Event]) -> None:
        for event in events:
            row = connection.execute(
                "SELECT seq FROM event WHERE id = ? AND kind = ?", database.key(event)
            ).fetchone()
            if row is not None:
                self._acknowledged = max(self._acknowledged, row[0])
        connection.execute(
            "UPDATE event SET published = 1 WHERE published = 0 AND seq <= ?", (self._acknowledged,)
        )

    def _give_up(self, count: int) -> None:
        self._given_up += count
        if count and self._loss_line_due.due():
            _log.warning(
                "%d events so far were given up before the broker had acknowledged them, as too many or too old: "
                "history_days and history_events say which are kept.",
                self._given_up,
            )

    def _note_failure(self, error: Exception) -> None:
        self._failed = True
        if self._failure_line_due.due():
            _log.warning(
                "The history %s can't be written (%s): listening goes on, %d events are in memory only, and %d are lost. Make "
                "room, or give history another name.",
                self._path,
                database.explain(error),
                len(self._unsaved),
                self._lost,
            )
