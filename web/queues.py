"""A bounded mailbox: the newest item of each key waits, and older work is dropped and counted."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Items that wait for one receiver. Any thread may use it.

    An item with a key replaces the one that waits with the same key. Items without a key are kept in order; beyond the capacity, the
    oldest of them is dropped.

    Parameters
    ----------
    capacity : int
        Number of items without a key that may wait.
    wake : callable
        Called when the first item arrives; it must return at once.
    """

    def __init__(self, capacity: int, wake: Callable[[], None]) -> None:
        self._capacity = capacity
        self._wake = wake
        self._lock = threading.Lock()
        self._items: dict[Hashable, T] = {}
        self._numbers: dict[int, None] = {}
        self._number = 0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Number of items that were replaced or dropped."""
        return self._dropped

    def put(self, item: T, key: Hashable | None = None) -> bool:
        """Add an item; return False if an item without a key was dropped for it."""
        has_room = True
        with self._lock:
            was_empty = not self._items
            if key is None:
                self._number += 1
                self._numbers[self._number] = None
                self._items[self._number] = item
                if len(self._numbers) > self._capacity:
                    oldest = next(iter(self._numbers))
                    del self._numbers[oldest], self._items[oldest]
                    self._dropped += 1
                    has_room = False
            else:
                self._dropped += self._items.pop((key,), None) is not None
                self._items[key,] = item
        if was_empty:
            self._wake()
        return has_room

    def take(self) -> list[T]:
        """Return all items, oldest first, and remove them."""
        with self._lock:
            items = list(self._items.values())
            self._items.clear()
            self._numbers.clear()
            return items
