"""Rules of notifications: which events people hear of, and in which words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from string import Formatter
from typing import Literal

from ...events.quiet import Span
from ...messages import Event
from ...runtime.timing import format_duration
from ..payloads import rfc3339

When = Literal["started", "ended", "both"]
"""Events with a notification: starts, ends, or both."""

FIELDS = (
    "sound",
    "source",
    "score",
    "percent",
    "event",
    "time",
    "started_at",
    "ended_at",
    "length",
    "clip",
    "picture",
    "id",
)
"""Names that a template may contain."""


@dataclass(frozen=True, slots=True)
class SoundSpan:
    """Daily span without notifications of a sound.

    Attributes
    ----------
    sound : str
        Name of the sound, in any case; all sounds if empty.
    begin, end : time
        Local times of day; the end may be on the next day.
    """

    sound: str
    begin: time
    end: time

    def cover(self, event: Event) -> bool:
        """Return True if an event is within this span, by the local time at which it began."""
        if self.sound and self.sound.casefold() != event.label.casefold():
            return False
        return Span(self.begin, self.end).cover(event.started_at)


class Rules:
    """Decides which events people are notified of. Used on one thread at a time.

    Parameters
    ----------
    when : {"started", "ended", "both"}
        Events with a notification.
    sounds : sequence of str
        Names of the sounds, in any case; all if empty.
    cooldown_seconds : float
        Time after a notification without another one of the same sound and source, in the events' own time.
    quiet : sequence of SoundSpan
        Spans without notifications.
    """

    def __init__(
        self,
        *,
        when: When = "started",
        sounds: Sequence[str] = (),
        cooldown_seconds: float = 60.0,
        quiet: Sequence[SoundSpan] = (),
    ) -> None:
        self._when = when
        self._sounds = {name.casefold() for name in sounds}
        self._cooldown_seconds = cooldown_seconds
        self._quiet = quiet
        self._told: dict[tuple[str, str], Event] = {}

    def tells(self, event: Event) -> bool:
        """Return True if people should hear of an event; count it. Of a start that the long window has yet to confirm, they don't."""
        if not event.confirmed or self._when not in {_told_kind(event), "both"}:
            return False
        if self._sounds and event.label.casefold() not in self._sounds:
            return False
        if any(span.cover(event) for span in self._quiet):
            return False
        key = event.source, event.label
        last = self._told.get(key)
        # With "both", the end of a sound follows if its start had a notification.
        follows = last is not None and last.id == event.id and last.kind != event.kind
        if last is not None and not follows:
            passed = event.started_at - last.started_at
            if 0.0 <= passed < self._cooldown_seconds or last.id == event.id:
                return False
        if not follows:
            self._told[key] = event
        return True


def _told_kind(event: Event) -> str:
    """Return the kind of an event for people, who hear of a start when it is confirmed."""
    return "ended" if event.kind == "ended" else "started"


def values_of(event: Event) -> dict[str, str]:
    """Return what a template or a command can say about an event."""
    length = None if event.ended_at is None else event.ended_at - event.started_at
    score = event.score if math.isfinite(event.score) else 0.0
    try:
        clock = datetime.fromtimestamp(event.started_at).astimezone().strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        clock = ""
    return {
        "sound": event.label,
        "source": event.source,
        "score": f"{score:.4f}",
        "percent": f"{score:.0%}",
        "event": _told_kind(event),
        "time": clock,
        "started_at": rfc3339(event.started_at) or "",
        "ended_at": "" if event.ended_at is None else rfc3339(event.ended_at) or "",
        "length": "" if length is None else format_duration(length),
        "clip": event.clip or "",
        "picture": "",
        "id": event.id,
    }


def check_template(template: str) -> str:
    """Return a template that can be filled.

    Raises
    ------
    ValueError
        It contains an unknown field, or braces that don't match.
    """
    try:
        parts = [part[1:] for part in Formatter().parse(template)]
    except ValueError:
        parts = [("", "", None)]
    if not all(
        field is None or (field in FIELDS and not form and not change) for field, form, change in parts
    ):
        raise ValueError(
            f"must contain no fields but {', '.join(f'{{{name}}}' for name in FIELDS)}; write a brace twice for itself"
        )
    return template


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its fields filled."""
    return template.format_map(values)
