"""Rows of the list of events: those that a filter covers, newest first, under the day on which they began."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streamer.messages import Event


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Choice of events.

    Attributes
    ----------
    words : str
        Words that all must be in the name of the sound or of the source; empty for all events.
    sound : str or None
        Label of the only sound; None for all.
    source : str or None
        Name of the only source; None for all.
    """

    words: str = ""
    sound: str | None = None
    source: str | None = None

    def choose(self, events: Iterable[Event], name_of: Callable[[str], str]) -> list[Event]:
        """Return the events that the filter covers; `name_of` returns the name of a label on screen."""
        words = self.words.casefold().split()
        return [
            event
            for event in events
            if self.sound in {None, event.label}
            and self.source in {None, event.source}
            and (not words or _contains(f"{name_of(event.label)} {event.label} {event.source}", words))
        ]


EventRow: TypeAlias = Event | dt.date
"""Event, or the day of the events below."""


def rows_of(events: Sequence[Event]) -> list[EventRow]:
    """Return events, given in the order in which they began, as rows: newest first, each day above its events."""
    rows: list[EventRow] = []
    day = None
    for event in reversed(events):
        began = time.localtime(event.started_at)
        if (began.tm_year, began.tm_yday) != day:
            day = began.tm_year, began.tm_yday
            rows.append(dt.date(began.tm_year, began.tm_mon, began.tm_mday))
        rows.append(event)
    return rows


def key_of(row: EventRow) -> object:
    """Return what stays the same while an event goes on."""
    return row.id if isinstance(row, Event) else row


def day_name(day: dt.date, today: dt.date) -> str:
    """Return the name of a day for people: "Today", "Yesterday", or weekday and date."""
    days = (today - day).days
    if days in {0, 1}:
        return ("Today", "Yesterday")[days]
    return f"{day:%A} {day.day} {day:%B}{f' {day.year}' if day.year != today.year else ''}"


def duration_text(event: Event) -> str:
    """Return the duration of an event as a text; of one on the word of the fast window alone, what became of it."""
    if event.withdrawn:
        return "taken back"
    if event.ended_at is None:
        return "now" if event.confirmed else "now?"
    seconds = event.ended_at - event.started_at
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _contains(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)
