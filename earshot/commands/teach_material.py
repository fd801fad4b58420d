"""Recordings that the command ``teach`` learns from: files, and clips of events in the history."""

import logging
from collections.abc import Iterable, Sequence
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

_log = logging.getLogger(__name__)


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


def find_events(
    chosen: "Settings", identifiers: Sequence[str], *, taught: Iterable[str] = ()
) -> "list[Occurrence]":
    """Return events of the history; ``marked`` stands for those that were marked as wrong and have a clip.

    Parameters
    ----------
    chosen : Settings
        Settings of the program.
    identifiers : sequence of str
        Ids of events, or ``marked``.
    taught : iterable of str
        Names of sounds whose events ``marked`` does not stand for.

    Raises
    ------
    UsageError
        There is no such event.
    SinkError, SettingsError
        The history can't be read, or is off.
    """
    from streamer.errors import SettingsError
    from streamer.sinks.history.page import read_one

    file = chosen.history_file
    if file is None:
        raise SettingsError("the history is off, so there are no events: give recordings with --clips")
    found: dict[str, Occurrence] = {}
    for identifier in identifiers:
        if identifier == MARKED:
            found.update((event.id, event) for event in _marked_events(file, taught))
        elif (event := read_one(file, identifier)) is None:
            raise UsageError(
                f"the history has no event '{identifier}': list them with their ids with `earshot events --json`"
            )
        else:
            found[event.id] = event
    return list(found.values())


def _marked_events(file: Path, taught: Iterable[str]) -> "list[Occurrence]":
    """Return the events that were marked as wrong and can be learned from, the oldest first; log how many can't.

    Raises
    ------
    UsageError
        There is none.
    """
    from streamer.events.catalogue import sounds_by_level
    from streamer.messages import EventQuery
    from streamer.sinks.history.page import read_newest

    marked = [event for event in read_newest(file, EventQuery(limit=_MOST_MARKED)) if event.mark == "wrong"]
    if not marked:
        raise UsageError("no event is marked as wrong: mark one on the page, or give its id")
    names = {name.casefold() for name in taught}
    by_level = sounds_by_level()
    usable: list[Occurrence] = []
    own = silent = loud = 0
    for event in reversed(marked):
        if event.label.casefold() in names:
            own += 1
        elif event.label in by_level:
            loud += 1
        elif _has_clip(event):
            usable.append(event)
        else:
            silent += 1
    left_out = {
        f"{silent} without a clip": silent,
        f"{own} of sounds that you have taught (teach these again, with --not ID)": own,
        f"{loud} by the level alone": loud,
    }
    reasons = ", ".join(reason for reason, count in left_out.items() if count)
    if not usable:
        raise UsageError(f"no event that is marked as wrong can be learned from: {reasons}")
    if reasons:
        _log.warning("left out of the events that are marked as wrong: %s", reasons)
    return usable


def _has_clip(event: "Occurrence") -> bool:
    from streamer.runtime.files import is_file

    return event.clip is not None and is_file(event.clip)


def read_clip(event: "Occurrence") -> "Samples":
    """Read the clip of an event.

    Raises
    ------
    UsageError
        It has none.
    SoundError
        It can't be read.
    """
    if event.clip is None or not _has_clip(event):
        raise UsageError(
            f"the event {event.id} has no clip: turn clips on (earshot --clips) to keep the sound of events"
        )
    return read_recording(Path(event.clip))
