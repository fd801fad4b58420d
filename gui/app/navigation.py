"""Moves the view through sources, time and events."""

from streamer.messages import Event

from ..data.viewstate import ViewState
from .panels import Panels

_SCROLL_SECONDS = 2.0
_MAX_LOOK_BACK_SECONDS = 6.0


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

    def show_source(self, source: str) -> None:
        """Show another source, with all sound kept of it."""
        self._state.source = source
        self._panels.show_columns(self._state.history.columns)

    def freeze(self, time_seconds: float) -> None:
        """Freeze the view at a Unix time."""
        if not self._state.freeze(time_seconds):
            self._panels.status.show_message("no audio yet")
            self.go_live()

    def go_live(self) -> None:
        """Show the newest data again."""
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
        """Go to the nearest event before (-1) or after (1) the time on screen."""
        now = self._state.shown_until
        found = [event for event in self._state.events if (_time_of(event) - now) * step > 0.05]
        if found:
            self.show_event(min(found, key=lambda event: abs(_time_of(event) - now)))

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


def _time_of(event: Event) -> float:
    """Return the Unix time to show for an event: its end, or a few seconds after its start."""
    latest = event.started_at + _MAX_LOOK_BACK_SECONDS
    return latest if event.ended_at is None else min(latest, event.ended_at + 1.0)
