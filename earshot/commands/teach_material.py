"""Recordings that the command ``teach`` learns from: files, and clips of events in the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..failures import UsageError
from ..recordings import read_recording

if TYPE_CHECKING:
    from streamer.messages import Occurrence, Samples
    from streamer.settings.schema import Settings

MARKED = "marked"
"""Word for all events that were marked as wrong."""
_MOST_MARKED = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Recordings to learn from.

    Attributes
    ----------
    heard : sequence of (str, float32 (n,))
        Recordings of the sound, with their names.
    unrelated : sequence of float32 (n,)
        Recordings without it.
    keep : bool
        True to keep the examples.
    """

    heard: "Sequence[tuple[str, Samples]]"
    unrelated: "Sequence[Samples]"
    keep: bool = False


def read_clips(paths: Sequence[str]) -> "list[tuple[str, Samples]]":
    """Read recordings.

    Raises
    ------
    SoundError
        One can't be read.
    """
    return [(path, read_recording(Path(path))) for path in paths]


def read_events(chosen: "Settings", identifiers: Sequence[str]) -> "list[tuple[str, Samples]]":
    """Read the clips of events.

    Raises
    ------
    UsageError
        An event is not in the history, or has no clip.
    SoundError, SinkError
        A clip or the history can't be read.
    """
    return [(f"event {event.id}", read_clip(event)) for event in find_events(chosen, identifiers)]


def read_unrelated(chosen: "Settings", names: Sequence[str]) -> "list[Samples]":
    """Read recordings without the sound: files, or events of the history.

    Raises
    ------
    UsageError, SoundError, SinkError
        One can't be read.
    """
    found = []
    for name in names:
        is_event = not Path(name).exists() and not Path(name).suffix and "/" not in name
        found.append(read_events(chosen, [name])[0][1] if is_event else read_recording(Path(name)))
    return found


def find_events(chosen: "Settings", identifiers: Sequence[str]) -> "list[Occurrence]":
    """Return events of the history; ``marked`` stands for those that were marked as wrong.

    Raises
    ------
    UsageError
        There is no such event.
    SinkError, SettingsError
        The history can't be read, or is off.
    """
    from streamer.errors import SettingsError
    from streamer.messages import EventQuery
    from streamer.sinks.history.page import read_newest, read_one

    file = chosen.history_file
    if file is None:
        raise SettingsError("the history is off, so there are no events: give recordings with --clips")
    found: dict[str, Occurrence] = {}
    for identifier in identifiers:
        if identifier == MARKED:
            marked = [
                event for event in read_newest(file, EventQuery(limit=_MOST_MARKED)) if event.mark == "wrong"
            ]
            if not marked:
                raise UsageError("no event is marked as wrong: mark one on the page, or give its id")
            found.update((event.id, event) for event in reversed(marked))
        elif (event := read_one(file, identifier)) is None:
            raise UsageError(
                f"the history has no event '{identifier}': list them with their ids with `earshot events --json`"
            )
        else:
            found[event.id] = event
    return list(found.values())


def read_clip(event: "Occurrence") -> "Samples":
    """Read the clip of an event.

    Raises
    ------
    UsageError
        It has none.
    SoundError
        It can't be read.
    """
    if event.clip is None or not Path(event.clip).is_file():
        raise UsageError(
            f"the event {event.id} has no clip: turn clips on (earshot --clips) to keep the sound of events"
        )
    return read_recording(Path(event.clip))
