"""What was measured on this machine, remembered for a while."""

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
    """Values by conditions in a JSON file, which may be missing, damaged or unwritable: then all is measured again.

    Parameters
    ----------
    file : Path
        Where they are kept.
    seconds : float
        How long a value counts: a measurement may have been disturbed.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self._path = file
        self._seconds = seconds

    @classmethod
    def in_user_cache(cls, name: str, seconds: float) -> Self:
        """One in the user's cache."""
        return cls(Path(platformdirs.user_cache_dir("earshot")) / name, seconds)

    def get(self, conditions: str) -> Any:
        """What was put under these conditions; None if nothing was, or long ago."""
        return self._valid_entries().get(conditions, (None, 0.0))[0]

    def put(self, conditions: str, value: Any) -> None:
        """Remember a value that JSON can hold."""
        content = self._valid_entries() | {conditions: (value, time.time())}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _valid_entries(self) -> dict[str, tuple[Any, float]]:
        """What was put lately, and when."""
        now = time.time()
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            kept = {str(key): (value, float(when)) for key, (value, when) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return {key: entry for key, entry in kept.items() if 0 <= now - entry[1] < self._seconds}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What runs a model here.

    Attributes
    ----------
    engine : str
        And its precision.
    seconds : float
        Of a window.
    """

    engine: str
    seconds: float


def cached_choice(model: str) -> EngineChoice | None:
    """What has run a model of that name here lately."""
    chosen = _choices().get(model)
    try:
        return EngineChoice(str(chosen["engine"]), float(chosen["seconds"]))
    except (TypeError, KeyError, ValueError):
        return None


def save_choice(model: str, engine: str, seconds: float) -> None:
    """Remember what runs a model now."""
    if cached_choice(model) != EngineChoice(engine, seconds):
        _choices().put(model, asdict(EngineChoice(engine, seconds)))


def _choices() -> JsonCache:
    return JsonCache.in_user_cache("models.json", _CHOICE_LIFETIME_SECONDS)
