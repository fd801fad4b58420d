"""Settings of single sources: their tables, and how they combine with the settings for all sources."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SourceError
from ..events.catalogue import Watch
from ..sources import split_address

PER_SOURCE = frozenset({"watch", "hop", "clips", "noise_offset_db"})
"""Settings for all sources that the table of a source may override."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Settings of one source; where its table says nothing, the settings for all sources.

    Attributes
    ----------
    name : str
        Name; empty if the source chooses its default name.
    address : str
        Address without the name, as for `streamer.sources.open_source`.
    watch : sequence of Watch or None
        Watch list of its own; None if it shares that of all sources.
    hop_samples : int
        Samples from one window to the next.
    clips : bool
        True if clips of its events are recorded.
    noise_offset_db : float or None
        Level in dB(A) of a sound of 0 dBFS, from a reference meter; None if it is unknown.
    """

    name: str
    address: str
    watch: Sequence[Watch] | None
    hop_samples: int
    clips: bool
    noise_offset_db: float | None = None


def parse_list(value: Any) -> Any:
    """Convert a text, as from the environment, to a list: comma-separated values or JSON. Other values stay unchanged.

    Raises
    ------
    ValueError
        The text begins like a JSON list but is not valid.
    """
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(
            'is not a valid JSON list, although it begins with [; write it as ["Dog", "Chirp, tweet"]'
        ) from None


def name_and_address(text: str) -> tuple[str, str]:
    """Split ``NAME=ADDRESS``; an invalid text has no name."""
    try:
        return split_address(text)
    except SourceError:
        return "", text


def addresses(sources: Any) -> list[str]:
    """Return the addresses in a list of sources, with their names if they are written so. The list need not be valid."""
    try:
        entries = _entries(parse_list(sources))
    except ValueError:
        entries = [sources]
    return [str(entry.get("spec", "") if isinstance(entry, Mapping) else entry) for entry in entries]


def merge_sources(layer: Mapping[str, Any], below: Any) -> Any:
    """Return the sources after a layer of settings is applied over those of the layers below.

    A setting for all sources in the layer also overrides the tables of the sources below, except that a source without
    clips stays without. A source of the layer with the name of one below keeps the settings of that one; an entry that
    is only a name stands for the source below.

    Parameters
    ----------
    layer : mapping
        Settings by name, not validated.
    below : list of (str or mapping) or None
        Sources of the layers below; None if there are none.

    Returns
    -------
    list of (str or mapping) or None
        Sources, not validated; the value of the layer if that is not a list.
    """
    overridden = [_without(entry, PER_SOURCE & layer.keys()) for entry in _entries(below)]
    if "source" not in layer:
        return overridden or below
    try:
        above = parse_list(layer["source"])
    except ValueError:
        return layer["source"]
    known = {_name_of(entry): entry for entry in overridden}
    return [_completed(entry, known) for entry in above] if isinstance(above, (list, tuple)) else above


def _entries(sources: Any) -> list[Any]:
    return list(sources) if isinstance(sources, (list, tuple)) else []


def _without(entry: Any, overridden: frozenset[str]) -> Any:
    """Return a source without the settings that a higher layer overrides for all."""
    if not isinstance(entry, Mapping):
        return entry
    return {
        name: value
        for name, value in entry.items()
        if name not in overridden or (name == "clips" and value is False)
    }


def _name_of(entry: Any) -> str:
    return str(entry.get("name", "")) if isinstance(entry, Mapping) else name_and_address(str(entry))[0]


def _completed(entry: Any, known: Mapping[str, Any]) -> Any:
    """Return a source with the settings of the known source of its name."""
    if not isinstance(entry, str):
        return entry
    name, address = name_and_address(entry)
    if not name:
        return known.get(entry.strip(), entry) if entry.strip() else entry
    table = known.get(name)
    return {**table, "spec": address} if isinstance(table, Mapping) else entry
