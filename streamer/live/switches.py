"""The file of sources that are switched off: what somebody did not want to be heard is not heard after a restart either."""

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from ..errors import SettingsError
from ..runtime.files import read_text, replace_text

_log = logging.getLogger(__name__)


def read_switched_off(path: Path) -> set[str]:
    """Read the names of sources that are switched off; none where there is no file.

    Raises
    ------
    SettingsError
        There is a file, and nobody can tell what is in it.
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
            f"which sources are switched off can't be read from {path}: delete it, and all are listened to"
        )
    return set(names)


def remember_switch(path: Path, source: str, on: bool) -> None:
    """Write down that a source is switched on or off, and keep what is said of others. Failure is said, and no more."""
    try:
        before = read_switched_off(path)
        after = before - {source} if on else before | {source}
        if after != before:
            replace_text(path, json.dumps({"off": sorted(after)}) + "\n")
    except (OSError, SettingsError) as error:
        _log.warning(
            "That %s is switched %s will be forgotten at the next start: %s can't be written (%s). Make room there, and "
            "switch once more.",
            source,
            "on" if on else "off",
            path,
            (isinstance(error, OSError) and error.strerror) or error,
        )


class Switches:
    """Which sources are listened to: all, until somebody says otherwise. Any thread may ask, or change it.

    Parameters
    ----------
    file : Path, optional
        Where what is switched off is remembered for the next start; nowhere if None.

    Raises
    ------
    SettingsError
        Nobody can tell what is in the file.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._off = set() if file is None else read_switched_off(file)
        self._lock = threading.Lock()

    def turn(self, source: str, on: bool) -> None:
        """Listen to a source, or don't."""
        with self._lock:
            if on:
                self._off.discard(source)
            else:
                self._off.add(source)
            if self._file is not None:
                remember_switch(self._file, source, on)

    def is_on(self, source: str) -> bool:
        """Whether a source is listened to."""
        return source not in self._off

    def log(self, sources: Iterable[str]) -> None:
        """Log which of these sources are switched off: their silence would surprise."""
        for source in sources:
            if not self.is_on(source):
                _log.warning(
                    "%s is still switched off, and is not heard: press P in the window, send ON to …/listen/set over MQTT, or "
                    "delete %s and start again.",
                    source,
                    self._file,
                )
