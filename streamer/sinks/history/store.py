"""The history as a sink: events are on disk before anyone else gets them, and wait there for the broker."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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
_MAX_UNSAVED = 1000
_EVENTS_BETWEEN_PRUNINGS = 64

T = TypeVar("T")


def is_being_written(path: Path) -> bool:
    """Return True if another process has opened a history to write it."""
    lock = _lock_of(path)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock:
            return False
    except Timeout:
        return True


def _lock_of(path: Path) -> FileLock:
    """Return the lock of the only process that writes: two with the same outbox would publish its events twice."""
    return FileLock(f"{path}.lock", timeout=0, mode=0o600, thread_local=False)


@dataclass(slots=True)
class _Unsaved:
    event: Event
    published: bool = False


class _HistoryFile:
    """File of a history, locked and opened on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock_of(path)
        self._connection: sqlite3.Connection | None = None

    def connected(self) -> sqlite3.Connection:
        if self._connection is None:
            database.is_there(self.path)  # raises for anything but a file
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise SinkError(
                    f"another Earshot writes the history {self.path}: set history to another file, or to off"
                ) from None
            self._connection = database.open_to_write(self.path)
        return self._connection

    def replace_damaged(self) -> None:
        """Rename the file, so that the next connection creates a new one."""
        self._disconnect()
        aside = database.move_aside(self.path)
        _log.warning("history %s: damaged; renamed to %s, starting a new one", self.path, aside)

    def release(self) -> None:
        """Close and unlock the file."""
        self._disconnect()
        self._lock.release(force=True)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


class History:
    """Writes events to a SQLite file, and keeps them until the broker has acknowledged them.

    `accept` returns when the event is on the disk, which takes milliseconds. Other sinks get the event after that.

    If the disk is full or read-only, the newest 1,000 events stay in memory, are published from there, and are written as soon
    as possible. A damaged file is renamed, and a new one is created. Both are logged, and listening goes on.

    Sounds that a killed program left on are ended before anything else is written.

    Parameters
    ----------
    path : Path
        File of the history. Only its owner can read it.
    days : float
        Maximum age of events.
    events : int
        Maximum number of starts and ends.
    outgoing : bool
        True if there is a broker for which events wait.

    Raises
    ------
    SinkError
        Another process writes this history, or the file is not a history.
    """

    def __init__(
        self, path: Path, *, days: float = 30.0, events: int = 100_000, outgoing: bool = True
    ) -> None:
        self._file = _HistoryFile(path)
        self._keep_seconds = days * _DAY_SECONDS
        self._keep_events = events
        self._outgoing = outgoing
        self._lock = threading.RLock()  # guards the attributes below
        self._unsaved: dict[tuple[str, str], _Unsaved] = {}
        self._acknowledged = 0  # newest row that the broker has acknowledged, even if that can't be written
        self._undelivered = 0
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
            undelivered_events=self._undelivered, unsaved_events=len(self._unsaved), lost_events=self._lost
        )

    def accept(self, message: Message) -> None:
        """Write an event; use any other message as an occasion to retry what could not be written."""
        if not isinstance(message, Event):
            if self._unsaved and self._retry_due.due():
                with self._lock:
                    self._attempt(self._save)
            return
        with self._lock:
            self._unsaved.setdefault(database.key(message), _Unsaved(message))
            if len(self._unsaved) > _MAX_UNSAVED:
                oldest = self._unsaved.pop(next(iter(self._unsaved)))
                self._lost += 1
                self._count_undelivered(int(self._outgoing and not oldest.published))
            self._attempt(self._save)

    def keep(self, *, days: float, events: int) -> None:
        """Set the maximum age and number of events."""
        with self._lock:
            self._keep_seconds = days * _DAY_SECONDS
            self._keep_events = events
            self._until_pruning = 0

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait for the broker, at most `limit`."""
        if not self._outgoing:
            return []
        with self._lock:
            read = partial(database.waiting_events, after=self._acknowledged, limit=limit)
            waiting = self._attempt(read) or []
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
        """Write unsaved events if possible, and close the file."""
        with self._lock:
            if self._unsaved:
                self._attempt(self._save)
            self._closed = True
            self._file.release()

    def _attempt(self, work: Callable[[sqlite3.Connection], T], *, refuse: bool = False) -> T | None:
        """Use the database; log a failure and return None."""
        if self._closed:
            return None
        try:
            try:
                result = work(self._file.connected())
            except (sqlite3.Error, OSError) as error:
                if not database.is_damaged(error):
                    raise
                self._file.replace_damaged()
                self._acknowledged = 0
                result = work(self._file.connected())
        except (sqlite3.Error, OSError, SinkError) as error:
            if refuse and isinstance(error, SinkError):
                self._file.release()
                raise
            self._note_failure(error)
            return None
        if self._failed and not self._unsaved:
            _log.info("history %s: writing again", self._file.path)
            self._failed = False
        return result

    def _save(self, connection: sqlite3.Connection) -> None:
        undelivered = 0
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not self._taken_over:
                database.end_active_events(connection, outgoing=self._outgoing)
            for unsaved in self._unsaved.values():
                published = unsaved.published if self._outgoing else None
                database.insert(connection, unsaved.event, published=published)
            self._until_pruning -= len(self._unsaved)
            if self._until_pruning <= 0:
                undelivered, _ = self._prune(connection)
        self._taken_over = True
        self._unsaved.clear()
        self._count_undelivered(undelivered)

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """End the sounds that an earlier run left on, and prune."""
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            database.end_active_events(connection, outgoing=self._outgoing)
        self._taken_over = True
        more = True
        while more:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                undelivered, more = self._prune(connection)
            self._count_undelivered(undelivered)

    def _prune(self, connection: sqlite3.Connection) -> tuple[int, bool]:
        self._until_pruning = _EVENTS_BETWEEN_PRUNINGS
        return database.prune(
            connection,
            keep_events=self._keep_events,
            keep_seconds=self._keep_seconds,
            acknowledged=self._acknowledged,
        )

    def _mark(self, connection: sqlite3.Connection, events: Sequence[Event]) -> None:
        for event in events:
            self._acknowledged = max(self._acknowledged, database.sequence_of(connection, event) or 0)
        database.mark_published(connection, up_to=self._acknowledged)

    def _count_undelivered(self, count: int) -> None:
        self._undelivered += count
        if count and self._loss_line_due.due():
            _log.warning(
                "history %s: %d events so far were deleted before the broker acknowledged them; raise history_days or "
                "history_events",
                self._file.path,
                self._undelivered,
            )

    def _note_failure(self, error: Exception) -> None:
        self._failed = True
        if self._failure_line_due.due():
            _log.warning(
                "history %s: can't be written (%s); %d events in memory, %d lost; listening goes on. Make room, or set "
                "history to another file",
                self._file.path,
                database.explain(error),
                len(self._unsaved),
                self._lost,
            )
