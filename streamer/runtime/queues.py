"""How work goes from thread to thread: a bounded box with a stated policy, a drop counter and room for an error."""

import threading
from collections import Counter
from collections.abc import Hashable
from typing import Generic, Literal, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """A bounded box between one or more senders and one receiver.

    An item put under a key replaces the item that waits under the same key: late work is dropped, not
    queued, and the drop is counted. Items without a key are kept apart, in order.

    The lock is held only while an item is placed or the box is emptied, never while anyone works.

    Parameters
    ----------
    capacity : int
        How many items may wait.
    when_full : {"refuse", "wait"}
        What becomes of an item that finds the box full: it is refused and counted, or its sender waits.
    """

    def __init__(self, capacity: int, when_full: Literal["refuse", "wait"] = "refuse") -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._changed = threading.Condition()
        self._items: dict[Hashable, T] = {}
        self._serial = 0
        self._dropped = 0
        self._replaced: Counter[Hashable] = Counter()
        self._closed = False
        self._error: BaseException | None = None

    @property
    def dropped(self) -> int:
        """Items replaced or refused so far."""
        return self._dropped

    def replaced(self, key: Hashable) -> int:
        """Items under a key that made room for a newer one so far."""
        return self._replaced[key]

    def forget(self, key: Hashable) -> None:
        """Count from nothing again what is replaced under a key."""
        with self._changed:
            self._replaced.pop(key, None)

    @property
    def closed(self) -> bool:
        """Whether nothing more can be put."""
        return self._closed

    def resize(self, capacity: int) -> None:
        """Let so many items wait from now on; those that wait already stay."""
        with self._changed:
            self._capacity = capacity
            self._changed.notify_all()

    def put(self, item: T, key: Hashable | None = None) -> bool:
        """Place an item; False if it was refused (the box is full or closed)."""
        with self._changed:
            if self._when_full == "wait":
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            if key is not None and self._items.pop(key, None) is not None:
                self._dropped += 1
                self._replaced[key] += 1
            elif len(self._items) >= self._capacity:
                self._dropped += 1
                return False
            self._serial += 1
            self._items[self._serial if key is None else key] = item
            self._changed.notify_all()
            return True

    def take(self, timeout_seconds: float | None = None) -> list[T]:
        """Wait for something and take all that waits, oldest first.

        Returns an empty list when the box is closed and empty, or when the time is over.

        Raises
        ------
        BaseException
            What `fail` stored, once the items put before it are taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_seconds)
            items = list(self._items.values())
            self._items.clear()
            self._changed.notify_all()
            if not items and self._error is not None:
                raise self._error
            return items

    def close(self) -> None:
        """Accept nothing more; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close with an error, which the receiver meets in `take`; the first one stays."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._changed.notify_all()
