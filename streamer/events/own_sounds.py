"""Sounds of the user's own: those that `earshot teach` has saved, by name."""

import json
from functools import lru_cache
from pathlib import Path

from platformdirs import user_data_path

from ..runtime.files import read_text

_LONGEST_NAME = 60


def own_sounds_folder() -> Path:
    """Return the folder of their files."""
    return user_data_path("earshot") / "taught"


def own_sound_names() -> tuple[str, ...]:
    """Return their names, sorted; a file that is not one of theirs is left out."""
    folder = own_sounds_folder()
    try:
        changed = folder.stat().st_mtime_ns  # files are replaced as a whole, which changes their folder
    except OSError:
        return ()
    return _names(folder, changed)


@lru_cache(maxsize=1)
def _names(folder: Path, _changed: int) -> tuple[str, ...]:
    names = (_name(path) for path in folder.glob("*.json"))
    return tuple(sorted({name for name in names if name}, key=str.casefold))


def _name(path: Path) -> str | None:
    """Return the name of the sound in a file; None if it has none."""
    try:
        name = json.loads(read_text(path))["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME else None
