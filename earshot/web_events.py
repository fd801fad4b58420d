"""Events of the history for the page in a browser: reading, clips, and notes of people."""

import logging
import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.runtime.files import is_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamer.live.changes import LiveSettings
    from streamer.messages import Event, EventQuery, Mark, Samples
    from streamer.settings.schema import Settings
    from streamer.sinks.history.store import History
    from web.actions import Export, Place

_log = logging.getLogger(__name__)


class EventAccess:
    """Events of the history, and their clips.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force.
    history : History, optional
        The open history, for changes.
    on_mark : callable, optional
        Takes the id of an event and its new mark.
    """

    def __init__(
        self,
        settings: "LiveSettings",
        history: "History | None",
        on_mark: "Callable[[str, Mark | None], None]" = lambda _identifier, _mark: None,
    ) -> None:
        self._settings = settings
        self._history = history
        self._on_mark = on_mark

    @property
    def _file(self) -> Path | None:
        """File of the history; None if there is none."""
        file = self._settings.current.history_file
        return file if file is not None and is_file(file) else None

    def read(self, query: "EventQuery", after: "Place | None" = None) -> "Sequence[Event]":
        """Return events, newest first, from a place of the history on; none before the first. Clips that were deleted are left out."""
        from streamer.sinks.history import page

        file = self._file
        if file is None:
            return []
        return [_with_clip_if_there(event) for event in page.read_newest(file, query, after)]

    def find_clip(self, identifier: str) -> Path | None:
        """Return the clip of an event, if it is a file in the folder of clips."""
        from streamer.sinks.history import page

        event = None if (file := self._file) is None else page.read_one(file, identifier)
        if event is None or event.clip is None:
            return None
        folder = os.path.realpath(self._settings.current.clips_path)
        clip = Path(os.path.realpath(event.clip))  # the history is a file that others may have written
        return clip if clip.suffix == ".flac" and clip.is_relative_to(folder) and is_file(clip) else None

    def read_clip(self, identifier: str) -> "Samples | None":
        """Return the samples of an event's clip, 16 kHz mono; None without a clip.

        Raises
        ------
        SoundError
            It can't be read.
        """
        from .recordings import read_recording

        clip = self.find_clip(identifier)
        return None if clip is None else read_recording(clip)

    def mark_of(self, identifier: str) -> "Mark | None":
        """Return the mark of an event; None if it has none, or there is no such event."""
        from streamer.sinks.history import page

        event = None if (file := self._file) is None else page.read_one(file, identifier)
        return None if event is None else event.mark

    def mark(self, identifier: str, mark: "Mark | None") -> None:
        """Mark an event as right or wrong; None removes the mark.

        Raises
        ------
        SinkError
            There is no such event, or it can't be written.
        """
        from streamer.sinks.history.notes import Notes

        Notes(self._open()).mark(identifier, mark)
        self._on_mark(identifier, mark)

    def keep_clip(self, identifier: str, keep: bool) -> None:
        """Keep an event and its clip, or no longer.

        Raises
        ------
        SinkError
            There is no such event, it has no clip, or it can't be written.
        """
        from streamer.errors import SinkError
        from streamer.sinks.clips import folder
        from streamer.sinks.history.notes import Notes

        clip = self.find_clip(identifier)
        if clip is not None:
            folder.keep_clip(clip, keep)  # first: an event that is kept has its clip
        elif keep:
            raise SinkError("this event has no clip, or it has been deleted")
        Notes(self._open()).keep_clip(identifier, keep)

    def delete(self, identifier: str) -> None:
        """Delete an event and its clip.

        Raises
        ------
        SinkError
            There is no such event, it goes on or waits for the broker, or it can't be deleted.
        """
        from streamer.sinks.clips import folder
        from streamer.sinks.history.notes import Notes

        clip = self.find_clip(identifier)
        Notes(self._open()).delete(identifier)
        if clip is not None:
            folder.delete_clip(clip)

    def _open(self) -> "History":
        from streamer.errors import SinkError

        if self._history is None:
            raise SinkError("events are not stored; set history to a file")
        return self._history


def past_events(settings: "Settings", history: "History | None", count: int) -> "Sequence[Event]":
    """Return the newest events of the history, in the order in which they began; none without a history."""
    from streamer.errors import SinkError
    from streamer.messages import EventQuery
    from streamer.sinks.history import page

    if history is None or settings.history_file is None:
        return ()
    try:
        newest = page.read_newest(settings.history_file, EventQuery(limit=count))
    except SinkError as error:
        _log.warning("the list of events begins empty: %s", error)
        return ()
    return [_with_clip_if_there(event) for event in reversed(newest)]


def _with_clip_if_there(event: "Event") -> "Event":
    """Return an event without its clip if that has been deleted, for its age or by a person, or if its disk is away."""
    return event if event.clip is None or is_file(event.clip) else replace(event, clip=None)


def exports() -> "dict[str, Export]":
    """Return the forms in which events are saved."""
    from streamer.sinks.history import exports as tables
    from web.actions import Export

    return {
        "csv": Export("text/csv", "earshot-events.csv", _csv),
        "json": Export("application/json", "earshot-events.json", _json),
        "audacity": Export("text/plain", "earshot-labels.txt", tables.audacity_labels),
        "raven": Export("text/plain", "earshot.selections.txt", tables.raven_table),
    }


def _csv(events: "Sequence[Event]", _zero: float | None) -> str:
    """Return a table. A cell that begins like a formula gets an apostrophe: names come from outside."""
    from streamer.sinks.history import occurrences

    stream = StringIO()
    safe = (replace(event, label=_harmless(event.label), source=_harmless(event.source)) for event in events)
    occurrences.write_csv(safe, stream)
    return stream.getvalue()


def _json(events: "Sequence[Event]", _zero: float | None) -> str:
    """Return a JSON list."""
    from streamer.sinks.payloads import occurrence_payload, to_json

    return f"[{','.join(to_json(occurrence_payload(event)) for event in events)}]"


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
