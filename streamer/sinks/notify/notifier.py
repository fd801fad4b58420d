"""The sink that tells people of events: it decides at once, and threads of its own deliver, one for each target."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from ...messages import Event, Message
from ...runtime.files import is_file
from ...runtime.threads import ThreadGroup
from ...runtime.timing import Every
from .delivery import Delivery, SharedOutbox
from .outbox import NotifyOutbox
from .rules import Rules, fill, values_of
from .targets import Note, Target

_log = logging.getLogger(__name__)

Draw: TypeAlias = Callable[[Path], bytes]
"""Draws the picture of a clip: its path -> PNG."""

_MOST_NEW = 200
_QUIET_SECONDS = 60.0
_LAST_ATTEMPT_SECONDS = 60.0
"""Time that the last attempt of each target may take; whoever calls `Notifier.close` may wait less."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Words of notifications.

    Attributes
    ----------
    title, text : str
        Templates.
    attaches_clip, attaches_picture : bool
        True to send the clip, and a picture of it, where there is one.
    """

    title: str = "{sound}"
    text: str = "{sound} at {source}, {time} ({percent})"
    attaches_clip: bool = False
    attaches_picture: bool = False

    def note(self, event: Event, picture: str = "") -> Note:
        """Return the notification about an event, with the path of a picture of its clip."""
        values = values_of(event) | {"picture": picture}
        clip = event.clip if self.attaches_clip else None
        files = tuple(file for file in (clip, picture) if file)
        return Note(fill(self.title, values), fill(self.text, values), values, files)


@dataclass(frozen=True, slots=True)
class Plan:
    """Notifications as the settings want them.

    Attributes
    ----------
    targets : sequence of Target
        Receivers; none if nobody is to be notified.
    rules : Rules
        Decides which events people are notified of.
    wording : Wording
        Words of the notifications.
    """

    targets: Sequence[Target]
    rules: Rules
    wording: Wording


class _Pictures:
    """Pictures of clips, each in a file that is there while it is used.

    Parameters
    ----------
    draw : callable, optional
        As for `Notifier`.
    """

    def __init__(self, draw: Draw | None) -> None:
        self._draw = draw
        self._line_due = Every(_QUIET_SECONDS)

    @contextmanager
    def of(self, event: Event) -> Iterator[str]:
        """Yield the path of a picture of an event's clip; an empty text if there is none."""
        clip = None if event.clip is None else Path(event.clip)
        with ExitStack() as stack:
            yield "" if clip is None or not is_file(clip) else self._drawn(clip, stack)

    def _drawn(self, clip: Path, stack: ExitStack) -> str:
        """Draw a clip into a file for as long as a stack is open; return its path, or an empty text."""
        try:
            content = b"" if self._draw is None else self._draw(clip)
            if not content:
                return ""
            folder = stack.enter_context(TemporaryDirectory(prefix="earshot-", ignore_cleanup_errors=True))
            picture = Path(folder, f"{clip.stem}.png")
            picture.write_bytes(content)
            return str(picture)
        except Exception as error:  # noqa: BLE001 - a notification without a picture is better than none
            if self._line_due.due():
                _log.warning("no picture of %s: %s", clip, error)
            return ""


class Notifier:
    """Tells people of events through targets, each on a thread of its own: one that fails or takes long holds up no other.

    `accept` may be called from any thread and returns at once. One thread is in `run` until `close` is called: it writes
    events to the outbox and never sends. What waits at the end is delivered after the next start.

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
    draw : callable, optional
        Draws the picture of a clip: takes its path, returns a PNG.
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
        draw: Draw | None = None,
        first_pause_seconds: float = 5.0,
    ) -> None:
        self._first_pause_seconds = first_pause_seconds
        self._outbox = SharedOutbox(outbox)
        self._deliveries: dict[str, Delivery] = {}
        self._pictures = _Pictures(draw)
        self._next: Plan | None = None
        self._follow(Plan(targets, rules, wording))
        self._outbox.set_targets(list(self._targets))
        self._lock = threading.Lock()
        self._new: deque[Event] = deque(maxlen=_MOST_NEW)
        self._changed = threading.Event()
        self._closing = self._has_failed = False

    @property
    def targets(self) -> Sequence[str]:
        """Names of the targets."""
        return [target.name for target in self._targets.values()]

    def has_targets_of(self, plan: Plan) -> bool:
        """Return True if a plan has the targets of this notifier; from any thread."""
        with self._lock:
            targets = self._targets.values() if self._next is None else self._next.targets
            return {target.key for target in targets} == {target.key for target in plan.targets}

    def accept(self, message: Message) -> None:
        """Take an event that people should hear of; ignore other messages."""
        if not isinstance(message, Event):
            return
        with self._lock:
            if not (self._targets and message.announced and self._rules.tells(message)):
                return
            self._new.append(message)
        self._changed.set()

    def change(self, plan: Plan) -> None:
        """Notify others, of other events or in other words from now on; from any thread, at once."""
        with self._lock:
            self._next = plan
        self._changed.set()

    def close(self) -> None:
        """Make `run` return soon; from any thread, any number of times."""
        self._closing = True
        self._changed.set()

    def run(self) -> None:
        """Deliver until `close` is called."""
        with ThreadGroup(_LAST_ATTEMPT_SECONDS) as threads:
            while not (self._closing or self._has_failed):
                self._take_new()
                self._take_plan()
                self._match_deliveries(threads)
                self._changed.wait()
                self._changed.clear()
            self._take_new()
            for delivery in self._deliveries.values():
                delivery.close()

    def _take_plan(self) -> None:
        with self._lock:
            plan, self._next = self._next, None
            if plan is None:
                return
            self._follow(plan)
        self._outbox.set_targets(list(self._targets))
        for delivery in self._deliveries.values():
            delivery.try_again()

    def _follow(self, plan: Plan) -> None:
        self._targets = {target.key: target for target in plan.targets}
        self._rules, self._wording = plan.rules, plan.wording

    def _match_deliveries(self, threads: ThreadGroup) -> None:
        """Start a thread for each new target, and end those of targets that are no longer there."""
        for key in self._deliveries.keys() - self._targets.keys():
            self._deliveries.pop(key).close()
        for key, target in self._targets.items():
            if key not in self._deliveries:
                delivery = Delivery(
                    target, self._outbox, self._send, first_pause_seconds=self._first_pause_seconds
                )
                self._deliveries[key] = delivery
                threads.start(f"notify {target.name}", partial(self._deliver, delivery), delivery.close)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            delivery.run()
        except BaseException:  # with which `run` ends
            self._has_failed = True
            self._changed.set()
            raise

    def _take_new(self) -> None:
        with self._lock:
            new, self._new = list(self._new), deque(maxlen=_MOST_NEW)
        if new:
            self._outbox.put(new)
            for delivery in self._deliveries.values():
                delivery.go_on()

    def _send(self, target: Target, event: Event) -> None:
        wording = self._wording
        if not wording.attaches_picture:
            target.send(wording.note(event))
            return
        with self._pictures.of(event) as picture:
            target.send(wording.note(event, picture))
