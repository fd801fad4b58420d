"""Switches of the sources, and the file that keeps them over a restart."""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import SettingsError
from ..runtime.files import read_text, replace_text

_log = logging.getLogger(__name__)


def read_switched_off(path: Path) -> set[str]:
    """Return the names of the sources that are switched off; none without a file.

    Raises
    ------
    SettingsError
        The file can't be read.
    """
    try:
        content = json.loads(read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except (OSError, ValueError, RecursionError):
        content = None
    names = content.get("off") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(
            f"{path}, which lists the sources that are switched off, can't be read; delete it to listen to all of them"
        )
    return set(names)


def remember_switch(path: Path, source: str, on: bool) -> None:
    """Store that a source is switched on or off, without a change for the others; log a failure."""
    try:
        before = read_switched_off(path)
        after = before - {source} if on else before | {source}
        if after != before:
            replace_text(path, json.dumps({"off": sorted(after)}) + "\n")
    except (OSError, SettingsError) as error:
        _log.warning(
            "%s is switched %s, which will be forgotten at the next start: %s can't be written (%s); make room there, and "
            "switch again",
            source,
            "on" if on else "off",
            path,
            (isinstance(error, OSError) and error.strerror) or error,
        )


class Switches:
    """On and off switches of the sources; all are on at first. Any thread may use them.

    Parameters
    ----------
    file : Path, optional
        File that keeps the switches for the next start.

    Attributes
    ----------
    on_turn : callable
        Called after each turn, on the thread that turned; it returns at once.

    Raises
    ------
    SettingsError
        The file can't be read.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._off = set() if file is None else read_switched_off(file)
        self._lock = threading.Lock()
        self.on_turn: Callable[[], None] = lambda: None

    def turn(self, source: str, on: bool) -> None:
        """Switch a source on or off."""
        with self._lock:
            if on:
                self._off.discard(source)
            else:
                self._off.add(source)
            if self._file is not None:
                remember_switch(self._file, source, on)
        self.on_turn()

    def is_on(self, source: str) -> bool:
        """Return True if a source is switched on."""
        return source not in self._off

    def log(self, sources: Iterable[str]) -> None:
        """Log which of these sources are switched off: their silence would surprise."""
        for source in sources:
            if not self.is_on(source):
                _log.warning(
                    "%s is still switched off; to listen to it, press P in the window, send ON to …/listen/set over MQTT, or "
                    "delete %s and restart",
                    source,
                    self._file,
                )
