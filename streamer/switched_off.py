"""The file of sources that are switched off: what somebody did not want to be heard is not heard after a restart either."""

import json
import logging
from pathlib import Path

from .errors import SettingsError
from .files import read_text
from .whole_file import write_whole

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
            write_whole(path, json.dumps({"off": sorted(after)}) + "\n")
    except (OSError, SettingsError) as error:
        _log.warning(
            "That %s is switched %s will be forgotten at the next start: %s can't be written (%s). Make room there, and "
            "switch once more.",
            source,
            "on" if on else "off",
            path,
            (isinstance(error, OSError) and error.strerror) or error,
        )
