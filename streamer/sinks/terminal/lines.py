"""Taggings and events as lines: JSON for programs, text for people."""

from typing import IO

from ...messages import SAMPLE_RATE_HZ, Event, Message, Tagging
from ...text import printable
from ..payloads import LabelSet, event_line_payload, line_payload, to_json, top_tags
from .output import LineWriter

_MIN_SCORE = 0.05  # of all but the first tag on a plain line


class JsonLines:
    """Writes one JSON object per tagging, and per event if wanted, each on its own line and flushed.

    Parameters
    ----------
    stream : text stream
        Destination, such as ``sys.stdout``.
    label_set : LabelSet
        Labels of the scores.
    top : int
        Number of tags per line.
    events : bool
        True to write events too; each object then begins with its type.
    """

    def __init__(self, stream: IO[str], label_set: LabelSet, top: int = 10, *, events: bool = False) -> None:
        self._writer = LineWriter(stream)
        self._label_set = label_set
        self._events = events
        self.top = top

    def accept(self, message: Message) -> None:
        """Write a tagging or an event; ignore other messages.

        A slow reader blocks the caller, as with any program in a pipe.

        Raises
        ------
        OutputClosed
            The reader has gone.
        SinkError
            The line can't be written, as on a full disk.
        """
        if isinstance(message, Tagging):
            payload = line_payload(message, self._label_set, self.top)
            self._writer.write(to_json({"type": "tagging", **payload} if self._events else payload))
        elif isinstance(message, Event) and self._events:
            self._writer.write(to_json({"type": "event", **event_line_payload(message)}))


class RecordingLines:
    """Writes one line per tagging for people: position in the recording and tags.

    Parameters
    ----------
    stream : text stream
        Destination, such as ``sys.stdout``.
    label_set : LabelSet
        Labels of the scores.
    top : int
        Maximum number of tags per line.
    """

    def __init__(self, stream: IO[str], label_set: LabelSet, top: int = 5) -> None:
        self._writer = LineWriter(stream)
        self._label_set = label_set
        self._top = top
        self._source: str | None = None

    def accept(self, message: Message) -> None:
        """Write a tagging, below the name of its recording; ignore other messages.

        Raises
        ------
        OutputClosed
            The reader has gone.
        SinkError
            The line can't be written, as on a full disk.
        """
        if not isinstance(message, Tagging):
            return
        if message.source != self._source:
            self._source = message.source
            self._writer.write(printable(message.source))
        start, end = message.start_sample / SAMPLE_RATE_HZ, message.end_sample / SAMPLE_RATE_HZ
        tags = format_tags(message, self._label_set, self._top)
        self._writer.write(f"{start:9.2f} - {end:8.2f} s  {tags}")


class RecordingEvents:
    """Writes one line for each event of a recording when it has ended: start, end and score.

    Parameters
    ----------
    stream : text stream
        Destination, such as ``sys.stdout``.
    as_json : bool
        True for JSON objects, False for text.
    """

    def __init__(self, stream: IO[str], *, as_json: bool) -> None:
        self._writer = LineWriter(stream)
        self._as_json = as_json
        self._source: str | None = None

    def accept(self, message: Message) -> None:
        """Write the end of an event; ignore other messages.

        Raises
        ------
        OutputClosed
            The reader has gone.
        SinkError
            The line can't be written, as on a full disk.
        """
        if not isinstance(message, Event) or message.start_sample is None or message.end_sample is None:
            return
        start, end = message.start_sample / SAMPLE_RATE_HZ, message.end_sample / SAMPLE_RATE_HZ
        if self._as_json:
            self._writer.write(
                to_json(
                    {
                        "source": message.source,
                        "label": message.label,
                        "score": round(message.score, 4),
                        "start_seconds": round(start, 3),
                        "end_seconds": round(end, 3),
                        **_fast_word(message),
                    }
                )
            )
            return
        if message.source != self._source:
            self._source = message.source
            self._writer.write(printable(message.source))
        fast = "" if message.fast_score is None else f" (fast {message.fast_score:.2f})"
        back = " taken back" if message.withdrawn else ""
        self._writer.write(
            f"{start:9.2f} - {end:8.2f} s  {printable(message.label)} {message.score:.2f}{fast}{back}"
        )


def _fast_word(event: Event) -> dict[str, float | bool]:
    """Return the figures of an event that the fast window adds, if there is one."""
    if event.fast_score is None:
        return {}
    return {"confirmed": event.confirmed, "fast_score": round(event.fast_score, 4)}


def format_tags(tagging: Tagging, label_set: LabelSet, top: int) -> str:
    """Return the highest tag, and others with a score of at least 0.05, as text for people."""
    return " · ".join(
        f"{printable(tag.label)} {tag.score or 0:.2f}"
        for place, tag in enumerate(top_tags(tagging.scores, label_set, top))
        if place == 0 or (tag.score or 0) >= _MIN_SCORE
    )
