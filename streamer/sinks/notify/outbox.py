"""Notifications that wait until their target takes them, in a file, so that a restart loses none."""

import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...messages import Event
from ...runtime.files import read_text, replace_text
from ...runtime.timing import Every, elapsed_seconds

_log = logging.getLogger(__name__)

_MOST = 200
_LONGEST_SECONDS = 24 * 3600.0
_QUIET_SECONDS = 600.0
_MAX_BYTES = 16 * 1024 * 1024
"""Size of the largest file that is read, more than 200 events for each of a hundred targets."""
_FIELDS = {field.name for field in fields(Event)}


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """Event, and the time since which it waits, by `elapsed_seconds`: a clock that is set late, as after a power cut, makes nothing old."""

    since: float
    event: Event


class NotifyOutbox:
    """Events that wait for targets: at most 200 for each, for a day. Used on one thread at a time.

    Parameters
    ----------
    file : Path
        File that keeps them over a restart; only its owner can read it.
    targets : sequence of str
        Keys of the targets.

    Attributes
    ----------
    dropped : int
        Number of events that were dropped.
    """

    def __init__(self, file: Path, targets: Sequence[str]) -> None:
        self._file = file
        self._failure_line_due = Every(_QUIET_SECONDS)
        self._drop_line_due = Every(_QUIET_SECONDS)
        stored = _read(file)
        self._waiting: dict[str, list[_Entry]] = {key: stored.get(key, [])[-_MOST:] for key in targets}
        self.dropped = 0

    def set_targets(self, targets: Sequence[str]) -> None:
        """Keep only what waits for these targets."""
        if self._waiting.keys() != set(targets):
            self._waiting = {key: self._waiting.get(key, []) for key in targets}
            self._write()

    def waiting(self, target: str) -> list[Event]:
        """Return the events that wait for a target, in order; those that waited for more than a day are dropped."""
        entries = self._waiting[target]
        earliest = elapsed_seconds() - _LONGEST_SECONDS
        young = [entry for entry in entries if entry.since > earliest]
        if len(young) < len(entries):
            self._drop(len(entries) - len(young))
            self._waiting[target] = young
        return [entry.event for entry in young]

    def put(self, events: Iterable[Event]) -> None:
        """Add events for all targets."""
        entries = [_Entry(elapsed_seconds(), event) for event in events]
        for waiting in self._waiting.values():
            waiting.extend(entries)
            self._drop(max(0, len(waiting) - _MOST))
            del waiting[:-_MOST]
        self._write()

    def remove(self, target: str, event: Event) -> None:
        """Remove an event that a target has taken."""
        self._waiting[target] = [one for one in self._waiting[target] if one.event is not event]
        self._write()

    def postpone(self, target: str, event: Event) -> None:
        """Move an event that a target did not take behind the others."""
        self._waiting[target].sort(key=lambda entry: entry.event is event)  # stable
        self._write()  # with the times by a clock that may have been set since

    def _drop(self, count: int) -> None:
        self.dropped += count
        if count and self._drop_line_due.due():
            _log.warning(
                "notifications dropped so far: %d (undelivered for a day, or more than %d waiting); check the targets of notify",
                self.dropped,
                _MOST,
            )

    def _write(self) -> None:
        started_at = time.time() - elapsed_seconds()
        content = {
            key: [{"queued_at": started_at + entry.since, **asdict(entry.event)} for entry in entries]
            for key, entries in self._waiting.items()
            if entries
        }
        try:
            if content:
                replace_text(self._file, json.dumps(content))
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            if self._failure_line_due.due():
                _log.warning(
                    "%s can't be written (%s): a restart loses the notifications that wait",
                    self._file,
                    error.strerror or error,
                )


def _read(file: Path) -> dict[str, list[_Entry]]:
    """Return what an earlier run has left; nothing of a file that is damaged or can't be read."""
    try:
        content = json.loads(read_text(file, _MAX_BYTES))
        return {str(key): [_entry(values) for values in entries] for key, entries in content.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        _log.warning("%s can't be read (%s): the notifications in it are lost", file, error.strerror or error)
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        _log.warning("%s is damaged: the notifications in it are lost", file)
        return {}


def _entry(values: dict[str, Any]) -> _Entry:
    queued_at = float(values["queued_at"])
    event = Event(**{name: value for name, value in values.items() if name in _FIELDS})
    texts = (event.id, event.kind, event.label, event.source)
    numbers = (event.score, event.started_at, *([] if event.ended_at is None else [event.ended_at]))
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(number, (int, float)) for number in numbers
    ):
        raise TypeError
    waited_seconds = max(0.0, time.time() - queued_at)
    return _Entry(elapsed_seconds() - waited_seconds, event)
