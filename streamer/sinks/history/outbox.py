"""Events that wait, in order, until the broker has acknowledged them."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from ...messages import Event


class Outbox(Protocol):
    """Storage of events in order. Methods are called from any thread and return quickly, because the network waits."""

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait, at most `limit`."""
        ...

    def mark_published(self, events: Sequence[Event]) -> None:
        """Note that the broker has acknowledged events that `pending` returned."""
        ...


class MemoryOutbox:
    """Outbox in memory, for a sink without a history.

    Parameters
    ----------
    capacity : int
        Maximum number of events; a further one replaces the oldest.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._waiting: deque[Event] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Number of events that were replaced so far."""
        return self._dropped

    def put(self, event: Event) -> None:
        """Append an event."""
        with self._lock:
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(event)

    def pending(self, limit: int) -> Sequence[Event]:
        """Return the oldest events that wait, at most `limit`."""
        with self._lock:
            return list(islice(self._waiting, limit))

    def mark_published(self, events: Sequence[Event]) -> None:
        """Remove these events."""
        with self._lock:
            for event in events:
                if self._waiting and self._waiting[0] == event:  # unless it was replaced meanwhile
                    self._waiting.popleft()
