"""Caches of measurements in JSON files."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import platformdirs

_CHOICE_LIFETIME_SECONDS = 90 * 24 * 3600.0


class JsonCache:
    """Cache of values in a JSON file, by key. A missing, damaged or unwritable file is an empty cache.

    Parameters
    ----------
    file : Path
        Path of the file.
    seconds : float
        Lifetime of a value: a measurement may have been disturbed.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self._path = file
        self._seconds = seconds

    @classmethod
    def in_user_cache(cls, name: str, seconds: float) -> Self:
        """Return the cache of this file name in the user's cache folder."""
        return cls(Path(platformdirs.user_cache_dir("earshot")) / name, seconds)

    def get(self, key: str) -> Any:
        """Return the value of a key; None if there is no value, or an expired one."""
        return self._valid_entries().get(key, (None, 0.0))[0]

    def values(self, prefix: str) -> list[Any]:
        """Return the values of the keys with a prefix."""
        return [value for key, (value, _) in self._valid_entries().items() if key.startswith(prefix)]

    def put(self, key: str, value: Any) -> None:
        """Save a value that JSON can represent."""
        content = self._valid_entries() | {key: (value, time.time())}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _valid_entries(self) -> dict[str, tuple[Any, float]]:
        """Return the values that are not expired, with the times of their measurement."""
        now = time.time()
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            entries = {str(key): (value, float(when)) for key, (value, when) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return {key: entry for key, entry in entries.items() if 0 <= now - entry[1] < self._seconds}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Engine that runs a model on this machine.

    Attributes
    ----------
    engine : str
        Name and precision of the engine.
    seconds : float
        Time for a window.
    """

    engine: str
    seconds: float


def cached_choice(model: str) -> EngineChoice | None:
    """Return the engine that last ran a model on this machine; None if it is not cached."""
    chosen = _choices().get(model)
    try:
        return EngineChoice(str(chosen["engine"]), float(chosen["seconds"]))
    except (TypeError, KeyError, ValueError):
        return None


def save_choice(model: str, engine: str, seconds: float) -> None:
    """Save the engine that runs a model."""
    if cached_choice(model) != EngineChoice(engine, seconds):
        _choices().put(model, asdict(EngineChoice(engine, seconds)))


def _choices() -> JsonCache:
    return JsonCache.in_user_cache("models.json", _CHOICE_LIFETIME_SECONDS)
