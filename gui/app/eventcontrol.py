"""Actions on an event of the list: its menu, and marks."""

from collections.abc import Callable

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QMenu, QWidget

from streamer.messages import Event, Mark

from ..actions import Actions
from ..errors import ActionError
from .panels import Panels


class EventControl:
    """Menu of an event, with what the window offers, and the same by keys for the selected event.

    Parameters
    ----------
    window : QWidget
        Parent of the menu.
    panels : Panels
        Panels of the window.
    actions : Actions
        Functions of the program.
    correct : callable
        Takes an event that was wrong, and begins to learn that.
    """

    def __init__(
        self, window: QWidget, panels: Panels, actions: Actions, correct: Callable[[Event], None]
    ) -> None:
        self._panels, self._actions, self._correct = panels, actions, correct
        self.menu = QMenu(window)
        panels.events.menu_wanted.connect(self.open_menu)

    def slots(self) -> dict[str, Callable[[], object]]:
        """Return the function of each shortcut that is offered."""
        slots: dict[str, Callable[[], object]] = {}
        if self._actions.play_clip is not None:
            slots["play"] = self.play_selected
        if self._actions.mark_event is not None:
            slots["right"] = lambda: self.mark_selected("right")
            slots["wrong"] = lambda: self.mark_selected("wrong")
        return slots

    def open_menu(self, event: Event, place: QPoint) -> None:
        """Show the menu of an event."""
        self.fill_menu(event)
        if not self.menu.isEmpty():
            self.menu.popup(place)

    def fill_menu(self, event: Event) -> None:
        """Put what can be done with an event into the menu."""
        self.menu.clear()
        playable = event.clip is not None and self._panels.events.model.playable(event)
        if playable and self._actions.play_clip is not None:
            self._offer("Play clip", lambda: self.play(event))
        if self._actions.mark_event is not None:
            mark = self._refresh_mark(event)
            self._offer("Right", lambda: self.mark(event, "right"), checked=mark == "right")
            self._offer("Wrong", lambda: self.mark(event, "wrong"), checked=mark == "wrong")
        if playable and self._actions.teach is not None:
            self._offer("Correct this…", lambda: self._correct(event))

    def mark_selected(self, mark: Mark) -> None:
        """Mark the selected event."""
        event = self._panels.events.selected
        if event is None:
            self._panels.status.show_message("select an event first")
        else:
            self.mark(event, mark)

    def play_selected(self) -> None:
        """Play the clip of the selected event."""
        event = self._panels.events.selected
        if event is None or event.clip is None or not self._panels.events.model.playable(event):
            self._panels.status.show_message("select an event with a clip first")
        else:
            self.play(event)

    def play(self, event: Event) -> None:
        """Play the clip of an event."""
        if event.clip is not None:
            self.play_clip(event.clip)

    def play_clip(self, clip: str) -> None:
        """Play a clip."""
        play = self._actions.play_clip
        if play is not None:
            self._panels.report(lambda: play(clip))

    def mark(self, event: Event, mark: Mark) -> None:
        """Mark an event as right or wrong; if it has that mark, remove it."""
        set_mark = self._actions.mark_event
        if set_mark is None:
            return

        def change() -> str:
            new = None if self._actions.mark_of(event.id) == mark else mark
            set_mark(event.id, new)
            self._panels.events.model.set_mark(event, new)
            return f"{event.label} is marked as {new}" if new else f"{event.label} has no mark any more"

        self._panels.report(change)

    def _refresh_mark(self, event: Event) -> Mark | None:
        """Show the mark that an event has in the history, and return it; None if it can't be read."""
        try:
            mark = self._actions.mark_of(event.id)
        except ActionError as error:
            self._panels.status.show_message(str(error))
            return None
        self._panels.events.model.set_mark(event, mark)
        return mark

    def _offer(self, title: str, do: Callable[[], None], *, checked: bool | None = None) -> None:
        action = self.menu.addAction(title)
        if checked is not None:
            action.setCheckable(True)
            action.setChecked(checked)
        action.triggered.connect(lambda *_: do())
