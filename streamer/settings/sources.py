"""Settings of single sources: what their tables say beside what holds for all, and which of the two wins."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SourceError
from ..events.catalogue import Watch
from ..sources import split_spec

OF_ITS_OWN = frozenset({"watch", "hop", "clips"})
"""Settings that hold for all sources, but those whose table says otherwise."""


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What the user decides about one source, with what holds for all where its table is silent.

    Attributes
    ----------
    name : str
        What it is called; empty where that is left to the source itself.
    spec : str
        What `streamer.sources.open_source` takes, without the name.
    watch : sequence of Watch or None
        The list of its own; None where it has none, and what holds for all is watched.
    hop_samples : int
        From one window to the next.
    clips : bool
        Whether the sound of its events is kept.
    """

    name: str
    spec: str
    watch: Sequence[Watch] | None
    hop_samples: int
    clips: bool


def listed(value: Any) -> Any:
    """Take a text, as the environment gives it, for a list: separated by commas, or JSON.

    Raises
    ------
    ValueError
        It begins like a list in JSON and is none.
    """
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(
            'a text that begins with [ is a list in JSON, such as ["Dog", "Chirp, tweet"]; mend it'
        ) from None


def named_spec(spec: str) -> tuple[str, str]:
    """Split ``NAME=SPEC``; of what is no specification, nobody knows a name."""
    try:
        return split_spec(spec)
    except SourceError:
        return "", spec


def specs(sources: Any) -> list[str]:
    """Return what each source is, with its name before it or without, from a list that may not be valid."""
    try:
        entries = _entries(listed(sources))
    except ValueError:
        entries = [sources]
    return [str(entry.get("spec", "") if isinstance(entry, Mapping) else entry) for entry in entries]


def laid_over(layer: Mapping[str, Any], sources: Any) -> Any:
    """Say which sources there are once a layer of settings has been laid over those below.

    What the layer says for all sources holds for those below it too, whatever their tables say; but a source that is to have
    no clips has none. A source of the layer that has the name of one below keeps that one's settings; if it is nothing
    but this name, it is that source.

    Parameters
    ----------
    layer : mapping
        Settings by name, not validated.
    sources : list of (str or mapping) or None
        Those below; None if there are none.

    Returns
    -------
    list of (str or mapping) or None
        Not validated; whatever the layer has instead, if that is no list.
    """
    below = [_yielding(entry, OF_ITS_OWN & layer.keys()) for entry in _entries(sources)]
    if "source" not in layer:
        return below or sources
    try:
        above = listed(layer["source"])
    except ValueError:
        return layer["source"]
    known = {_name_of(entry): entry for entry in below}
    return [_taken_up(entry, known) for entry in above] if isinstance(above, (list, tuple)) else above


def _entries(sources: Any) -> list[Any]:
    return list(sources) if isinstance(sources, (list, tuple)) else []


def _yielding(entry: Any, settings: frozenset[str]) -> Any:
    """Return a source without settings of its own that others have decided for all."""
    if not isinstance(entry, Mapping):
        return entry
    return {
        name: value
        for name, value in entry.items()
        if name not in settings or (name == "clips" and value is False)
    }


def _name_of(entry: Any) -> str:
    return str(entry.get("name", "")) if isinstance(entry, Mapping) else named_spec(str(entry))[0]


def _taken_up(entry: Any, known: Mapping[str, Any]) -> Any:
    """Return a source with what is known of the one that has its name."""
    if not isinstance(entry, str):
        return entry
    name, spec = named_spec(entry)
    if not name:
        return known.get(entry.strip(), entry) if entry.strip() else entry
    table = known.get(name)
    return {**table, "spec": spec} if isinstance(table, Mapping) else entry
