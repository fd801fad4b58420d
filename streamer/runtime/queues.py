"""Queues between threads: bounded, with a stated policy, a drop counter and room for an error."""

import threading
from collections.abc import Hashable
from typing import Generic, Literal, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """A bounded queue between one or more senders and one receiver.

    An item with a key replaces the waiting item with the same key and moves to the end: late work is dropped, not queued. At most
    one item waits for each key, so that an item with a key always has room. Items without a key share the capacity.

    The lock is held only while an item is added or the queue is emptied, never while a thread works on items.

    Parameters
    ----------
    capacity : int
        Number of items without a key that may wait.
    when_full : {"refuse", "wait"}
        Fate of an item without a key when the queue is full: it is refused, or its sender waits.
    """

    def __init__(self, capacity: int, when_full: Literal["refuse", "wait"] = "refuse") -> None:
        self._capacity = capacity
        self._when_full = when_full
        self._changed = threading.Condition()
        self._items: dict[Hashable, T] = {}
        self._without_key = 0
        self._dropped = 0
        self._closed = False
        self._error: BaseException | None = None

    @property
    def dropped(self) -> int:
        """Number of items that were replaced or refused."""
        return self._dropped

    @property
    def closed(self) -> bool:
        """True once the queue accepts no more items."""
        return self._closed

    def resize(self, capacity: int) -> None:
        """Change the capacity; items that wait already stay."""
        with self._changed:
            self._capacity = capacity
            self._changed.notify_all()

    def put(self, item: T, key: Hashable | None = None) -> bool:
        """Add an item; return False if an item is lost: the one that it replaces, or itself if the queue is full or closed."""
        with self._changed:
            if key is None and self._when_full == "wait":
                self._changed.wait_for(lambda: self._closed or self._without_key < self._capacity)
            if self._closed or (key is None and self._without_key >= self._capacity):
                self._dropped += 1
                return False
            replaced = key is not None and self._items.pop(key, None) is not None
            self._dropped += replaced
            self._without_key += key is None
            self._items[object() if key is None else key] = item
            self._changed.notify_all()
            return not replaced

    def take(self, timeout_seconds: float | None = None) -> list[T]:
        """Wait for items and take all of them, oldest first.

        Returns an empty list when the queue is closed and empty, or after the timeout.

        Raises
        ------
        BaseException
            Error given to `fail`, after the items that were put before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_seconds)
            items = list(self._items.values())
            self._items.clear()
            self._without_key = 0
            self._changed.notify_all()
            if not items and self._error is not None:
                raise self._error
            return items

    def close(self) -> None:
        """Accept no more items; items that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close with an error, which `take` raises; the first error stays."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._changed.notify_all()
