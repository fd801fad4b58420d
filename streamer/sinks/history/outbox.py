"""What waits to be published, in order, until the broker has acknowledged it."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from ...messages import Event


class Outbox(Protocol):
    """Keeps events in order. Called from any thread, and quick: the network waits meanwhile."""

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait, at most `limit`."""
        ...

    def mark_published(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged the oldest of the events that `pending` returned."""
        ...


class MemoryOutbox:
    """An outbox that lasts as long as the program does: for a sink that is given no other.

    Parameters
    ----------
    capacity : int
        How many events may wait; beyond, the oldest is given up.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._waiting: deque[Event] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._given_up = 0

    @property
    def given_up(self) -> int:
        """Events so far that found no room."""
        return self._given_up

    def put(self, event: Event) -> None:
        """Let an event wait."""
        with self._lock:
            self._given_up += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(event)

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait, at most `limit`."""
        with self._lock:
            return list(islice(self._waiting, limit))

    def mark_published(self, events: Sequence[Event]) -> None:
        """Forget these events."""
        with self._lock:
            for event in events:
                if self._waiting and self._waiting[0] == event:  # unless it was given up meanwhile
                    self._waiting.popleft()
