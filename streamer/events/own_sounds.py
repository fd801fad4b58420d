"""Sounds of the user's own: those that `earshot teach` has saved, by name, and sounds that it has corrected."""

import json
from functools import lru_cache
from pathlib import Path

from platformdirs import user_data_path

from ..runtime.files import read_text

_LONGEST_NAME = 60
_MOST_BYTES = 32 * 2**20
"""Largest file; corrections keep embeddings for each model."""
_LOWERS = "lowers"
"""Key of the classes that a correction lowers."""


def own_sounds_folder() -> Path:
    """Return the folder of their files."""
    return user_data_path("earshot") / "taught"


def own_sound_names() -> tuple[str, ...]:
    """Return their names, sorted; a file that is not one of theirs is left out."""
    return tuple(name for name, is_correction in _saved() if not is_correction)


def corrected_sound_names() -> tuple[str, ...]:
    """Return the names of the sounds that the program knows and the user has corrected, sorted."""
    return tuple(name for name, is_correction in _saved() if is_correction)


def own_sounds_version() -> int:
    """Return a number that changes whenever a sound is taught, corrected, imported or removed."""
    try:
        # files are replaced as a whole, which changes their folder
        return own_sounds_folder().stat().st_mtime_ns
    except OSError:
        return 0


def _saved() -> tuple[tuple[str, bool], ...]:
    version = own_sounds_version()
    return _read(own_sounds_folder(), version) if version else ()


@lru_cache(maxsize=1)
def _read(folder: Path, _changed: int) -> tuple[tuple[str, bool], ...]:
    found = {entry for entry in map(_name, folder.glob("*.json")) if entry}
    return tuple(sorted(found, key=lambda entry: entry[0].casefold()))


def _name(path: Path) -> tuple[str, bool] | None:
    """Return the name of the sound in a file, and True for a correction; None if it has none."""
    try:
        content = json.loads(read_text(path, _MOST_BYTES))
        name, is_correction = content["name"], bool(content.get(_LOWERS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(name, str) or not name.strip():
        return None
    is_name = is_correction or (name.isprintable() and len(name) <= _LONGEST_NAME)
    return (name, is_correction) if is_name else None
