"""Moves the view through sources, time and events."""

import math
from bisect import bisect_left, bisect_right

from streamer.messages import Event

from ..data.viewstate import ViewState
from .panels import Panels

_SCROLL_SECONDS = 2.0
_MAX_LOOK_BACK_SECONDS = 6.0
_SAME_SECONDS = 0.05


class Navigation:
    """Choice of the source, the time and the event on screen.

    Parameters
    ----------
    state : ViewState
        State to change.
    panels : Panels
        Panels to keep in step with it.
    """

    def __init__(self, state: ViewState, panels: Panels) -> None:
        self._state = state
        self._panels = panels
        self._shown_id = ""  # of the event shown last, until the view moves on
        self._newest_id = ""  # of the newest event then

    def show_source(self, source: str) -> None:
        """Show another source, with all sound kept of it."""
        self._shown_id = ""
        self._state.source = source
        self._panels.show_columns(self._state.history.columns)

    def freeze(self, time_seconds: float) -> None:
        """Freeze the view at a Unix time."""
        self._shown_id = ""
        if not self._state.freeze(time_seconds):
            self._panels.status.show_message("no audio yet")
            self.go_live()

    def go_live(self) -> None:
        """Show the newest data again."""
        self._shown_id = ""
        self._state.frozen_at = None

    def toggle_freeze(self) -> None:
        """Freeze the view where it is, or go live."""
        if self._state.frozen_at is None:
            self.freeze(self._state.shown_until)
        else:
            self.go_live()

    def scroll(self, steps: float) -> None:
        """Move through time; a live view can't move forward."""
        if self._state.frozen_at is not None or steps < 0:
            self.freeze(self._state.shown_until + steps * _SCROLL_SECONDS)

    def step_event(self, step: int) -> None:
        """Go to the event before (-1) or after (1) the one shown last; once the view has moved, or a live view has another event, the time on screen."""
        events = sorted(self._state.events, key=_time_of)
        place = next((place for place, event in enumerate(events) if event.id == self._shown_id), None)
        has_news = self._state.frozen_at is None and bool(events) and events[-1].id != self._newest_id
        if place is not None and not has_news:
            place += step
        elif step < 0:
            place = bisect_left(events, self._now - _SAME_SECONDS, key=_time_of) - 1
        else:
            place = bisect_right(events, self._now + _SAME_SECONDS, key=_time_of)
        if 0 <= place < len(events):
            self.show_event(events[place])

    def show_event(self, event: Event) -> None:
        """Select an event and show its source at its time."""
        self._panels.events.select(event)
        if event.source not in self._state.sources:
            self._panels.status.show_message(f"{event.source} was removed, and its sound with it")
            return
        self._panels.header.select(event.source)
        if self._state.keeps_sound_of(_time_of(event)):
            self.freeze(_time_of(event))
        else:
            self._panels.status.show_message(
                "the sound of that time is no longer kept; ▶ plays a clip, if there is one"
            )
        self._shown_id = event.id
        self._newest_id = max(self._state.events, key=_time_of, default=event).id

    @property
    def _now(self) -> float:
        """Time on screen; before there is any sound, a time after all events."""
        return self._state.shown_until if self._state.history.columns.started else math.inf


def _time_of(event: Event) -> float:
    """Return the Unix time to show for an event: its end, or a few seconds after its start."""
    latest = event.started_at + _MAX_LOOK_BACK_SECONDS
    return latest if event.ended_at is None else min(latest, event.ended_at + 1.0)
