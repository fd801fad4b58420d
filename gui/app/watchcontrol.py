"""Watches sounds and moves their thresholds, with a preview in the timeline."""

from collections.abc import Callable

from ..data.heatrows import ThresholdPreview
from ..data.viewstate import ViewState
from ..data.watching import Watching
from .panels import Panels

_PREVIEW_SECONDS = 4.0
"""Time for which the preview stays after a key has moved a threshold."""


class WatchControl:
    """Changes to the watched sounds of the source on screen.

    Parameters
    ----------
    state : ViewState
        Taggings for the preview.
    panels : Panels
        Panels that show the result.
    watching : Watching
        Watched sounds.
    """

    def __init__(self, state: ViewState, panels: Panels, watching: Watching) -> None:
        self._state = state
        self._panels = panels
        self._watching = watching
        self._preview_seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Hide the preview once its time is over."""
        if self._preview_seconds > 0:
            self._preview_seconds -= seconds
            if self._preview_seconds <= 0:
                self._panels.timeline.heat.show_preview(None)

    def toggle(self, label: int) -> None:
        """Start or stop watching a label."""
        self._panels.report(lambda: self._watching.toggle(label))

    def toggle_name(self, name: str) -> None:
        """Start or stop watching the sound or label of a name."""
        self._panels.report(lambda: self._watching.toggle_name(name))

    def toggle_selected(self) -> None:
        """Start or stop watching the selected tag."""
        self._with_selected(self.toggle)

    def nudge_selected(self, steps: int) -> None:
        """Move the threshold of the selected tag by some hundredths."""
        self._with_selected(
            lambda label: self.set_threshold(label, self._watching.stepped_threshold(label, steps))
        )

    def preview(self, label: int, threshold: float) -> None:
        """Show the events that another threshold would have given."""
        self._preview_seconds = 0.0

        def show() -> str | None:
            found = self._watching.preview(self._state.view.taggings, label, threshold)
            if found is None:
                return None
            row, spans = found
            self._panels.timeline.heat.show_preview(ThresholdPreview(row, threshold, spans))
            events = "1 event" if len(spans) == 1 else f"{len(spans)} events"
            return f"threshold {threshold:.2f} would have given {events} of {row.name}"

        self._panels.report(show)

    def set_threshold(self, label: int, threshold: float) -> None:
        """Set the threshold of a label's sound, and show the preview for a while."""
        self.preview(label, threshold)
        self._panels.report(lambda: self._watching.set_threshold(label, threshold))
        self._preview_seconds = _PREVIEW_SECONDS

    def _with_selected(self, act: Callable[[int], None]) -> None:
        label = self._panels.tags.selected
        if label is None:
            self._panels.status.show_message("select a tag first, with Up and Down")
        else:
            act(label)
