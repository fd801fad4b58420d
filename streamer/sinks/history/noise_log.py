"""The history as a sink for the noise of each minute."""

import sqlite3
import threading
from collections import deque

from ...errors import SinkError
from ...messages import Message, NoiseLevels
from . import noise_table
from .store import History

_MOST_UNSAVED = 1440


class NoiseLog:
    """Writes the noise of each minute to the history, which deletes what is too old.

    Minutes that can't be written wait in memory for the next one, the newest 1,440.

    Parameters
    ----------
    history : History
        The history, which logs why it can't be written.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()  # guards the attributes below
        self._unsaved: deque[NoiseLevels] = deque(maxlen=_MOST_UNSAVED)

    def accept(self, message: Message) -> None:
        """Ignore other messages."""

    def accept_noise(self, levels: NoiseLevels) -> None:
        """Write the noise of a minute."""
        with self._lock:
            self._unsaved.append(levels)
            try:
                self._history.change(self._save)
            except SinkError:
                return
            self._unsaved.clear()

    def _save(self, connection: sqlite3.Connection) -> None:
        noise_table.insert(connection, self._unsaved)
