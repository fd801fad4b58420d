"""Counts of events by hour, sound, day and weekday."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

from streamer.messages import Event

_HOURS = 24
_MOST_SOUNDS = 50
_MOST_DAYS = 35


def summarise(events: Iterable[Event], zone: tzinfo | None = None) -> dict[str, Any]:
    """Return how often each sound began in each hour of the day, and how often any sound did on each weekday and day.

    Events that were taken back do not count.

    The most frequent sound, Monday and the newest day come first.

    Parameters
    ----------
    events : iterable of Event
        Events.
    zone : tzinfo, optional
        Time zone of hours and days; by default that of this machine.
    """
    sounds: dict[str, list[int]] = {}
    days: dict[str, list[int]] = {}
    weekdays = [[0] * _HOURS for _ in range(7)]
    totals: Counter[str] = Counter()
    first: float | None = None
    for event in events:
        if event.withdrawn:
            continue
        try:
            began = datetime.fromtimestamp(event.started_at, zone)
        except (ValueError, OverflowError, OSError):
            continue
        sounds.setdefault(event.label, [0] * _HOURS)[began.hour] += 1
        days.setdefault(f"{began:%Y-%m-%d}", [0] * _HOURS)[began.hour] += 1
        weekdays[began.weekday()][began.hour] += 1
        totals[event.label] += 1
        first = event.started_at if first is None else min(first, event.started_at)
    return {
        "since": first,
        "events": totals.total(),
        "sounds": [
            {"label": label, "count": count, "hours": sounds[label]}
            for label, count in totals.most_common(_MOST_SOUNDS)
        ],
        "weekdays": weekdays,
        "days": [
            {"date": date, "count": sum(days[date]), "hours": days[date]}
            for date in sorted(days, reverse=True)[:_MOST_DAYS]
        ],
    }
