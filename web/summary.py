"""Counts of events by sound and hour of the day."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from streamer.messages import Event

_HOURS = 24
_MOST_SOUNDS = 50


def summarise(events: Iterable[Event]) -> dict[str, Any]:
    """Return how often each sound began in each hour of the day, in local time, the most frequent sound first."""
    hours: dict[str, list[int]] = {}
    totals: Counter[str] = Counter()
    first: float | None = None
    for event in events:
        try:
            hour = datetime.fromtimestamp(event.started_at).astimezone().hour
        except (ValueError, OverflowError, OSError):
            continue
        hours.setdefault(event.label, [0] * _HOURS)[hour] += 1
        totals[event.label] += 1
        first = event.started_at if first is None else min(first, event.started_at)
    return {
        "since": first,
        "events": totals.total(),
        "sounds": [
            {"label": label, "count": count, "hours": hours[label]}
            for label, count in totals.most_common(_MOST_SOUNDS)
        ],
    }
