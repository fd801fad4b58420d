"""Delivery of notifications to one target, on a thread of its own, from an outbox that all targets share."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from ...messages import Event
from ...runtime.timing import Every
from .outbox import NotifyOutbox
from .targets import NotDelivered, Target

_log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[Target, Event], None]
"""Sends the notification about an event to a target; raises `NotDelivered` if that does not take it."""

_LONGEST_PAUSE_SECONDS = 300.0
_QUIET_SECONDS = 60.0


class SharedOutbox:
    """Outbox that several threads use; nothing waits for a target that is no longer there.

    Parameters
    ----------
    outbox : NotifyOutbox
        Keeps what waits.
    """

    def __init__(self, outbox: NotifyOutbox) -> None:
        self._outbox = outbox
        self._targets: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def set_targets(self, targets: Sequence[str]) -> None:
        """Keep only what waits for these targets."""
        with self._lock:
            self._targets = frozenset(targets)
            self._outbox.set_targets(targets)

    def put(self, events: Iterable[Event]) -> None:
        """Add events for all targets."""
        with self._lock:
            self._outbox.put(events)

    def waiting(self, target: str) -> list[Event]:
        """Return the events that wait for a target, in order."""
        with self._lock:
            return self._outbox.waiting(target) if target in self._targets else []

    def remove(self, target: str, event: Event) -> None:
        """Remove an event that a target has taken."""
        with self._lock:
            if target in self._targets:
                self._outbox.remove(target, event)

    def postpone(self, target: str, event: Event) -> None:
        """Move an event that a target did not take behind the others."""
        with self._lock:
            if target in self._targets:
                self._outbox.postpone(target, event)


class Delivery:
    """Delivers what waits for one target; one thread is in `run` until `close` is called.

    Parameters
    ----------
    target : Target
        The target.
    outbox : SharedOutbox
        Keeps what waits.
    send : callable
        Sends a notification.
    first_pause_seconds : float
        Pause after the first failure; it doubles with each further one.
    """

    def __init__(
        self, target: Target, outbox: SharedOutbox, send: Send, *, first_pause_seconds: float
    ) -> None:
        self._target, self._outbox, self._send = target, outbox, send
        self._first_pause_seconds = first_pause_seconds
        self._attempts = _Attempts(target.name, first_pause_seconds)
        self._changed = threading.Event()
        self._closing = False

    def go_on(self) -> None:
        """Look for new events; from any thread."""
        self._changed.set()

    def try_again(self) -> None:
        """Try at once what has failed; from any thread."""
        self._attempts = _Attempts(self._target.name, self._first_pause_seconds)
        self._changed.set()

    def close(self) -> None:
        """Make `run` return after the present attempt; from any thread, any number of times."""
        self._closing = True
        self._changed.set()

    def run(self) -> None:
        """Deliver until `close` is called."""
        while not self._closing:
            self._changed.wait(self._deliver())
            self._changed.clear()

    def _deliver(self) -> float:
        """Deliver what waits; return the time until the next attempt."""
        attempts, key = self._attempts, self._target.key
        waiting = self._outbox.waiting(key)
        for number, event in enumerate(waiting):
            if self._closing or attempts.due_at > time.monotonic():
                break
            try:
                self._send(self._target, event)
            except NotDelivered as reason:
                self._outbox.postpone(key, event)  # one that is never taken does not hold up the others
                attempts.fail(reason, len(waiting) - number)
                break
            self._outbox.remove(key, event)
            attempts.succeed()
        if not self._outbox.waiting(key):
            return _LONGEST_PAUSE_SECONDS
        return max(0.0, attempts.due_at - time.monotonic())


class _Attempts:
    """Pauses between attempts at a target, and the log of them."""

    def __init__(self, name: str, first_pause_seconds: float) -> None:
        self._name = name
        self._first_pause_seconds = first_pause_seconds
        self._pause_seconds = 0.0
        self.due_at = 0.0
        self._line_due = Every(_QUIET_SECONDS)
        self._is_logged = False

    def fail(self, reason: object, waiting: int) -> None:
        self._pause_seconds = min(
            max(self._first_pause_seconds, 2.0 * self._pause_seconds), _LONGEST_PAUSE_SECONDS
        )
        self.due_at = time.monotonic() + self._pause_seconds
        if self._line_due.due():
            self._is_logged = True
            _log.warning(
                "%s did not get a notification: %s; %d waiting, trying again", self._name, reason, waiting
            )

    def succeed(self) -> None:
        self._pause_seconds = self.due_at = 0.0
        if self._is_logged:
            self._is_logged = False
            _log.info("%s gets notifications again", self._name)
