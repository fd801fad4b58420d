"""A queue of messages between the tagger's thread and a caller's loop."""

import threading
from collections import deque

from streamer.messages import Event, Message, Tagging


class MessageQueue:
    """A sink that keeps taggings and events until they are taken; the oldest taggings are dropped if too many wait.

    Parameters
    ----------
    waiting_taggings : int
        Most taggings that wait.
    """

    def __init__(self, waiting_taggings: int) -> None:
        self._most = waiting_taggings
        self._messages: deque[Tagging | Event] = deque()
        self._changed = threading.Condition()

    def accept(self, message: Message) -> None:
        """Keep a tagging or an event."""
        if not isinstance(message, Tagging | Event):
            return
        with self._changed:
            taggings = [waiting for waiting in self._messages if isinstance(waiting, Tagging)]
            if isinstance(message, Tagging) and len(taggings) >= self._most:
                self._messages.remove(taggings[0])
            self._messages.append(message)
            self._changed.notify()

    def take(self, timeout_seconds: float) -> list[Tagging | Event]:
        """Wait for a message and return all that wait, the oldest first."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages, timeout_seconds)
            messages = list(self._messages)
            self._messages.clear()
            return messages
