"""The sink that tells people of events: it decides at once, and a thread of its own delivers."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ...messages import Event, Message
from ...runtime.timing import Every
from .outbox import NotifyOutbox
from .rules import Rules, fill, values_of
from .targets import NotDelivered, Note, Target

_log = logging.getLogger(__name__)

_MOST_NEW = 200
_LONGEST_PAUSE_SECONDS = 300.0
_QUIET_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Wording:
    """Words of notifications.

    Attributes
    ----------
    title, text : str
        Templates.
    attaches_clip : bool
        True to send the clip too, where there is one.
    """

    title: str = "{sound}"
    text: str = "{sound} at {source}, {time} ({percent})"
    attaches_clip: bool = False

    def note(self, event: Event) -> Note:
        """Return the notification about an event."""
        values = values_of(event)
        return Note(
            fill(self.title, values),
            fill(self.text, values),
            values,
            event.clip if self.attaches_clip else None,
        )


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


class Notifier:
    """Tells people of events through targets; one that fails is tried again, and never holds up the others or listening.

    `accept` may be called from any thread and returns at once. One thread is in `run` until `close` is called. What waits then is
    delivered after the next start.

    Parameters
    ----------
    targets : sequence of Target
        Receivers.
    rules : Rules
        Decides which events people are notified of.
    wording : Wording
        Words of the notifications.
    outbox : NotifyOutbox
        Keeps what waits.
    first_pause_seconds : float
        Pause after the first failure of a target; it doubles with each further one.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        rules: Rules,
        wording: Wording,
        outbox: NotifyOutbox,
        first_pause_seconds: float = 5.0,
    ) -> None:
        self._targets = {target.key: target for target in targets}
        self._rules = rules
        self._wording = wording
        self._outbox = outbox
        self._attempts = {
            key: _Attempts(target.name, first_pause_seconds) for key, target in self._targets.items()
        }
        self._lock = threading.Lock()
        self._new: deque[Event] = deque(maxlen=_MOST_NEW)
        self._changed = threading.Event()
        self._closing = False

    def accept(self, message: Message) -> None:
        """Take an event that people should hear of; ignore other messages."""
        if not isinstance(message, Event):
            return
        with self._lock:
            if not (message.announced and self._rules.tells(message)):
                return
            self._new.append(message)
        self._changed.set()

    def close(self) -> None:
        """Make `run` return soon; from any thread, any number of times."""
        self._closing = True
        self._changed.set()

    def run(self) -> None:
        """Deliver until `close` is called."""
        while not self._closing:
            self._take_new()
            pause_seconds = min((self._serve(key) for key in self._targets), default=_LONGEST_PAUSE_SECONDS)
            self._changed.wait(pause_seconds)
            self._changed.clear()
        self._take_new()

    def _take_new(self) -> None:
        with self._lock:
            new, self._new = list(self._new), deque(maxlen=_MOST_NEW)
        if new:
            self._outbox.put(new)

    def _serve(self, key: str) -> float:
        """Deliver what waits for a target; return the time until the next attempt."""
        target, attempts = self._targets[key], self._attempts[key]
        waiting = self._outbox.waiting(key)
        for number, event in enumerate(waiting):
            if self._closing or attempts.due_at > time.monotonic():
                break
            try:
                target.send(self._wording.note(event))
            except NotDelivered as reason:
                self._outbox.postpone(key, event)  # one that is never taken does not hold up the others
                attempts.fail(reason, len(waiting) - number)
                break
            self._outbox.remove(key, event)
            attempts.succeed()
        if not self._outbox.waiting(key):
            return _LONGEST_PAUSE_SECONDS
        return max(0.0, attempts.due_at - time.monotonic())
