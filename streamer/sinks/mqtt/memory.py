"""Names that were announced, kept for the next start: an identity never passes from one source to another."""

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.files import read_text, replace_text
from ...text import numbered_slugs, slugs

_log = logging.getLogger(__name__)

_MAX_SOURCES = 1000
_MAX_PLACES = 20
_MAX_BYTES = 4 * 1024 * 1024
"""Size of the largest file that is read, above that of 1,000 names of 64 characters, each written as two escapes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Topics under which a node announces itself.

    Attributes
    ----------
    node : str
        Name of the node.
    base_topic : str
        Prefix of its topics.
    discovery_prefix : str
        Prefix of the discovery topics; empty if it announces nothing.
    """

    node: str
    base_topic: str
    discovery_prefix: str = ""


class AnnouncedNames:
    """Part of each source in topics and identifiers, and the places where this program announced itself.

    A part depends on the source's name alone. Where two names have the same part, the one that had it first keeps it.

    Parameters
    ----------
    file : Path or None
        File that keeps the names for the next start; only in memory if None.
    earlier_sources : iterable of str
        Names of sources that an older version announced, in order, if there is no file yet: they keep their parts.
    """

    def __init__(self, file: Path | None = None, earlier_sources: Iterable[str] = ()) -> None:
        self._file = file
        self._lock = threading.Lock()  # guards the attributes below
        found = None if file is None else _read(file)
        self._parts = numbered_slugs(earlier_sources) if found is None else _parts_in(found)
        self._places: list[Place] = [] if found is None else _places_in(found)
        self._fails = False
        if self._parts and found is None:
            self._write()

    def parts(self, sources: Iterable[str]) -> dict[str, str]:
        """Return the part of each source, and keep it."""
        with self._lock:
            parts = slugs(sources, self._parts)
            if parts.items() - self._parts.items():
                others = {name: part for name, part in self._parts.items() if name not in parts}
                self._parts = dict([*others.items(), *parts.items()][-_MAX_SOURCES:])
                self._write()
            return parts

    def part(self, source: str) -> str:
        """Return the part of any source, without keeping it; it differs from those of all others."""
        with self._lock:
            return slugs([source], self._parts)[source]

    def move_to(self, place: Place) -> Place | None:
        """Note the present place; return the one before if that is another one."""
        with self._lock:
            before = self._places[-1] if self._places else None
            if before == place:
                return None
            self._places = [*(other for other in self._places if other != place), place][-_MAX_PLACES:]
            self._write()
            return before

    def leave(self, node: str, base_topic: str) -> None:
        """Note that nothing is announced any more in a place."""
        with self._lock:
            self._places = [
                place for place in self._places if (place.node, place.base_topic) != (node, base_topic)
            ]
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        places = [[place.node, place.base_topic, place.discovery_prefix] for place in self._places]
        try:
            replace_text(self._file, json.dumps({"sources": self._parts, "places": places}, indent=1) + "\n")
        except OSError as error:
            if not self._fails:
                _log.warning("%s can't be written (%s): make room there", self._file, error.strerror)
            self._fails = True


def _read(file: Path) -> Mapping[str, Any] | None:
    """Return the content of the file; empty if it can't be read, None if it is missing."""
    try:
        found = json.loads(read_text(file, _MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        _log.warning("%s can't be read, so two sources with similar names may change places; delete it", file)
        return {}
    return found if isinstance(found, dict) else {}


def _parts_in(found: Mapping[str, Any]) -> dict[str, str]:
    parts = found.get("sources")
    if not isinstance(parts, dict):
        return {}
    kept = {
        name: part for name, part in parts.items() if isinstance(part, str) and slugs([part]) == {part: part}
    }
    return kept if len(set(kept.values())) == len(kept) else {}


def _places_in(found: Mapping[str, Any]) -> list[Place]:
    places = found.get("places")
    texts = [place for place in places if isinstance(place, list)] if isinstance(places, list) else []
    return [
        Place(*place) for place in texts if len(place) == 3 and all(isinstance(text, str) for text in place)
    ]
