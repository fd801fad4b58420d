"""The history as a sink: events are on disk before anyone else gets them, and wait there for the broker."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ...errors import SinkError
from ...messages import Event, Losses, Message
from ...runtime.timing import Every
from ..locks import HeldError, WriterLock, has_locks
from ..sqlite import create_private, identity
from . import database

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_QUIET_SECONDS = 60.0
_RETRY_SECONDS = 10.0
_CHECK_SECONDS = 2.0
_MAX_UNSAVED = 1000
_EVENTS_BETWEEN_PRUNINGS = 64
_SECONDS_BETWEEN_PRUNINGS = 3600.0

T = TypeVar("T")


@dataclass(slots=True)
class _Unsaved:
    event: Event
    published: bool | None = False  # None: not for the broker


class _Memory:
    """Events that the file does not have, or would be missed if it were lost: the newest 1,000 of each."""

    def __init__(self) -> None:
        self.unsaved: dict[tuple[str, str], _Unsaved] = {}
        self._waiting: dict[tuple[str, str], Event] = {}  # for the broker, of this run

    @property
    def waiting(self) -> list[Event]:
        """Unsaved events that wait for the broker."""
        return [unsaved.event for unsaved in self.unsaved.values() if unsaved.published is False]

    def put(self, event: Event) -> _Unsaved | None:
        """Add an event that is not saved yet; return the one that it replaces."""
        key = database.key(event)
        self.unsaved.setdefault(key, _Unsaved(event, published=False if event.announced else None))
        if event.announced:
            self._waiting[key] = event
        if len(self._waiting) > _MAX_UNSAVED:
            del self._waiting[next(iter(self._waiting))]
        return self.unsaved.pop(next(iter(self.unsaved))) if len(self.unsaved) > _MAX_UNSAVED else None

    def mark_published(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged events."""
        for key in map(database.key, events):
            self._waiting.pop(key, None)
            if unsaved := self.unsaved.get(key):
                unsaved.published = True

    def restore(self, found: Sequence[Event]) -> None:
        """Save the events that wait for the broker once more, those found in the old file first."""
        waiting = {database.key(event): event for event in found} | self._waiting
        all_events = {key: _Unsaved(event) for key, event in waiting.items()} | self.unsaved
        self.unsaved = dict(list(all_events.items())[-_MAX_UNSAVED:])


class _Acknowledged:
    """Events that the broker has acknowledged, as long as the file does not say so."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()
        self._up_to = 0  # sequence number; nothing up to it waits any more

    def add(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged events."""
        self._keys.update(map(database.key, events))

    def waiting(self, connection: sqlite3.Connection, limit: int) -> list[Event]:
        """Return the oldest events of the file that still wait."""
        waiting: list[Event] = []
        with closing(database.waiting_events(connection, after=self._up_to)) as rows:
            for sequence, event in rows:
                if (key := database.key(event)) not in self._keys:
                    waiting.append(event)
                    if len(waiting) >= limit:
                        break
                elif not waiting:
                    self._up_to = sequence
                    self._keys.discard(key)
        return waiting

    def mark(self, connection: sqlite3.Connection) -> None:
        """Mark the events in the file, within a transaction."""
        database.mark_published(connection, self._keys, up_to=self._up_to)

    def write(self, connection: sqlite3.Connection) -> None:
        """Mark the events in the file, and forget them."""
        _in_transaction(connection, self.mark)
        self._keys.clear()

    def begin_again(self) -> None:
        """Forget everything: another file is used."""
        self._keys.clear()
        self._up_to = 0


class _HistoryFile:
    """File of a history, locked and opened on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = WriterLock(path)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, ...] | None = None
        self._says_no_locks = True

    def connected(self) -> sqlite3.Connection:
        if self._connection is None:
            database.is_there(self.path)  # raises for anything but a file
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private(self.path)
            self._hold(self._lock.acquire)
            self._say_locks()
            self._connection = database.open_to_write(self.path)
            self._identity = identity(self.path)
        self._hold(self._lock.renew)
        return self._connection

    def _hold(self, lock: Callable[[], None]) -> None:
        try:
            lock()
        except HeldError:
            raise SinkError(
                f"another Earshot writes the history {self.path}: set history to another file, or to off"
            ) from None

    def note_state(self) -> None:
        """Note the present state of the file, unless it was replaced: nobody else changes it."""
        state = identity(self.path)
        if state is not None and self._identity is not None and state[:2] == self._identity[:2]:
            self._identity = state

    def was_replaced(self) -> bool:
        """Return True if the file was deleted, or changed by others, since `note_state`."""
        return self._connection is not None and identity(self.path) != self._identity

    def let_go(self, acknowledged: _Acknowledged) -> Sequence[Event]:
        """Close a file that was replaced; return the events that waited in it, as far as they can be read."""
        waiting: Sequence[Event] = ()
        if self._connection is not None:
            with suppress(sqlite3.Error, UnicodeDecodeError):
                waiting = acknowledged.waiting(self._connection, _MAX_UNSAVED)
        self._disconnect()
        self._lock.release()
        return waiting

    def _say_locks(self) -> None:
        if self._says_no_locks and not has_locks(self.path):
            _log.warning(
                "history %s: its file system has no locks, so two machines could write it at the same time; set history to a "
                "file on a local disk",
                self.path,
            )
        self._says_no_locks = False

    def replace_damaged(self) -> None:
        """Rename the file, so that the next connection creates a new one."""
        self._disconnect()
        aside = database.move_aside(self.path)
        _log.warning("history %s: damaged; renamed to %s, starting a new one", self.path, aside)

    def release(self) -> None:
        """Close and unlock the file."""
        self._disconnect()
        self._lock.release()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


class _Counts:
    """Events that were not delivered, or will never be stored."""

    def __init__(self, lines: "_LogLines") -> None:
        self._lines = lines
        self.undelivered = 0
        self.lost = 0

    def add(self, undelivered: int, lost: int = 0) -> None:
        self.lost += lost
        self.undelivered += undelivered
        if undelivered:
            self._lines.undelivered(self.undelivered)

    def losses(self, unsaved: int) -> Losses:
        return Losses(undelivered_events=self.undelivered, unsaved_events=unsaved, lost_events=self.lost)


class _LogLines:
    """Lines of the log about a history, the frequent ones at most one a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self._failure_due = Every(_QUIET_SECONDS)
        self._loss_due = Every(_QUIET_SECONDS)

    def failure(self, error: Exception, *, unsaved: int, lost: int) -> None:
        self._failed = True
        if self._failure_due.due():
            _log.warning(
                "history %s: can't be written (%s); %d events in memory, %d lost; listening goes on. %s, or set history to "
                "another file",
                self._path,
                database.explain(error),
                unsaved,
                lost,
                "End the other program that uses it" if database.is_in_use(error) else "Make room",
            )

    def success(self) -> None:
        if self._failed:
            _log.info("history %s: writing again", self._path)
            self._failed = False

    def replaced(self, waiting: int) -> None:
        _log.warning(
            "history %s: it was deleted, replaced or changed by another program; continuing with a file in its place, and %d "
            "events that wait for the broker",
            self._path,
            waiting,
        )

    def undelivered(self, count: int) -> None:
        if self._loss_due.due():
            _log.warning(
                "history %s: %d events so far were deleted before the broker acknowledged them; raise history_days or "
                "history_events",
                self._path,
                count,
            )


class _Pruning:
    """Deletion of old events, now and then."""

    def __init__(self) -> None:
        self.hurry()

    def hurry(self) -> None:
        """Be due at once."""
        self._events_left = 0
        self._time_due = Every(_SECONDS_BETWEEN_PRUNINGS)

    def is_due_by_time(self) -> bool:
        """Return True once an hour."""
        return self._time_due.due()

    def is_due(self, added: int) -> bool:
        """Count events that were added; return True if it is time to prune."""
        self._events_left -= added
        return self._events_left <= 0

    def begin(self) -> None:
        """Be due after some more events."""
        self._events_left = _EVENTS_BETWEEN_PRUNINGS


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Do all of a work, or nothing."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        return work(connection)


class History:
    """Writes events to a SQLite file, and keeps them until the broker has acknowledged them.

    `accept` returns when the event is on the disk, which takes milliseconds. Other sinks get the event after that.

    If the disk is full or read-only, the newest 1,000 events stay in memory, are published from there, and are written as soon
    as possible. A damaged file is renamed, and a new one is created. If the file is deleted or replaced while it is used,
    events go to the new one, with those that waited in the old one. All this is logged, and listening goes on.

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
        self.existed = path.exists()  # as an earlier run has left it
        self.keep_seconds = days * _DAY_SECONDS
        self._keep_events = events
        self.outgoing = outgoing
        self._pruning = _Pruning()
        self._lock = threading.RLock()  # guards the attributes below
        self._memory = _Memory()
        self._check_due = Every(_CHECK_SECONDS)
        self._acknowledged = _Acknowledged()
        self._taken_over = False
        self._restored = False  # True if events are unsaved again
        self._retry_due = Every(_RETRY_SECONDS)
        self._log_lines = _LogLines(path)
        self._counts = _Counts(self._log_lines)
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
        return self._counts.losses(unsaved=len(self._memory.unsaved))

    def accept(self, message: Message) -> None:
        """Write an event; use any other message as an occasion to retry what could not be written."""
        if not isinstance(message, Event):
            if (self._memory.unsaved and self._retry_due.due()) or self._check_due.due():
                with self._lock:
                    self._attempt(self._save if self._memory.unsaved else self._look)
            return
        with self._lock:
            oldest = self._memory.put(message)
            if oldest is not None:
                self._counts.add(int(self.outgoing and oldest.published is False), lost=1)
            self._attempt(self._save)

    def keep(self, *, days: float, events: int) -> None:
        """Set the maximum age and number of events."""
        with self._lock:
            self.keep_seconds = days * _DAY_SECONDS
            self._keep_events = events
            self._pruning.hurry()

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait for the broker, at most `limit`."""
        if not self.outgoing:
            return []
        with self._lock:
            waiting = self._attempt(partial(self._acknowledged.waiting, limit=limit)) or []
            return (waiting + self._memory.waiting)[:limit]

    def mark_published(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged events."""
        with self._lock:
            self._memory.mark_published(events)
            self._acknowledged.add(events)
            self._attempt(self._acknowledged.write)

    def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Change what is stored, in a transaction; from any thread.

        Raises
        ------
        SinkError
            The file can't be written at present.
        """
        with self._lock:
            done = self._attempt(lambda connection: (_in_transaction(connection, work),))
        if done is None:
            raise SinkError("the history can't be written at present; the log says why")
        return done[0]

    def close(self) -> None:
        """Write unsaved events if possible, and close the file."""
        with self._lock:
            if self._memory.unsaved:
                self._attempt(self._save)
            self._closed = True
            self._file.release()

    def _attempt(self, work: Callable[[sqlite3.Connection], T], *, refuse: bool = False) -> T | None:
        """Use the database; log a failure and return None."""
        if self._closed:
            return None
        try:
            if self._file.was_replaced():
                self._begin_again(self._file.let_go(self._acknowledged))
                self._log_lines.replaced(len(self._memory.unsaved))
            try:
                result = self._use(work)
            except (sqlite3.Error, OSError) as error:
                if not database.is_damaged(error):
                    raise
                self._file.replace_damaged()
                self._begin_again()
                result = self._use(work)
        except (sqlite3.Error, OSError, SinkError) as error:
            if refuse and isinstance(error, SinkError):
                self._file.release()
                raise
            self._log_lines.failure(error, unsaved=len(self._memory.unsaved), lost=self._counts.lost)
            return None
        finally:
            self._file.note_state()
        if not self._memory.unsaved:
            self._log_lines.success()
        return result

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._file.connected()
        if self._restored:
            self._save(connection)
        return work(connection)

    def _begin_again(self, waiting: Sequence[Event] = ()) -> None:
        """Continue with another file, in which the events that wait are saved once more."""
        self._acknowledged.begin_again()
        if self.outgoing:
            self._memory.restore(waiting)
            self._restored = True

    def _save(self, connection: sqlite3.Connection) -> None:
        undelivered = 0
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if not self._taken_over:
                database.end_active_events(connection, outgoing=self.outgoing)
            for unsaved in self._memory.unsaved.values():
                published = unsaved.published if self.outgoing else None
                database.insert(connection, unsaved.event, published=published)
            if self._pruning.is_due(len(self._memory.unsaved)):
                undelivered, _ = self._prune(connection)
        self._taken_over = True
        self._restored = False
        self._memory.unsaved.clear()
        self._counts.add(undelivered)

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """End the sounds that an earlier run left on, and prune."""
        _in_transaction(connection, partial(database.end_active_events, outgoing=self.outgoing))
        self._taken_over = True
        more = True
        while more:
            undelivered, more = _in_transaction(connection, self._prune)
            self._counts.add(undelivered)

    def _look(self, connection: sqlite3.Connection) -> None:
        """Find out whether the file is there, and prune it if it is time."""
        if self._pruning.is_due_by_time():
            undelivered, more = _in_transaction(connection, self._prune)
            self._counts.add(undelivered)
            if more:
                self._pruning.hurry()

    def _prune(self, connection: sqlite3.Connection) -> tuple[int, bool]:
        self._pruning.begin()
        self._acknowledged.mark(connection)  # or they would count as undelivered
        return database.prune(connection, keep_events=self._keep_events, keep_seconds=self.keep_seconds)
