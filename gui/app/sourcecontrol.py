"""Pauses a source, and gives it another input from a menu."""

from functools import partial

from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from ..actions import Actions
from ..data.viewstate import ViewState
from ..errors import ActionError
from .panels import Panels


class SourceControl:
    """Changes the source on screen.

    Parameters
    ----------
    window : QWidget
        Parent of menu and dialog.
    state : ViewState
        Source on screen.
    panels : Panels
        Panels that show the result.
    actions : Actions
        Functions of the program.

    Attributes
    ----------
    menu : QMenu
        Inputs to choose from.
    """

    def __init__(self, window: QWidget, state: ViewState, panels: Panels, actions: Actions) -> None:
        self._window = window
        self._state = state
        self._panels = panels
        self._actions = actions
        self.menu = QMenu(window)
        self.menu.aboutToShow.connect(self._fill_menu)

    @property
    def paused(self) -> bool:
        """True if the source on screen is paused."""
        return not self._actions.listens(self._state.source)

    def toggle_pause(self) -> None:
        """Pause the source on screen, or resume it."""
        listen = self._actions.listen
        if listen is not None:
            self._panels.report(lambda: listen(self._state.source, self.paused))

    def _fill_menu(self) -> None:
        """List the inputs that are there now; a choice is for the source that is on screen now."""
        self.menu.clear()
        places, source = self._actions.places, self._state.source
        try:
            found = places() if places is not None else ()
        except ActionError as error:
            found = ()
            self._panels.status.say(str(error))
        for place in found:
            self.menu.addAction(place.title, partial(self._choose, source, place.spec))
        self.menu.addSeparator()
        self.menu.addAction("A recording…", partial(self._choose_recording, source))

    def _choose(self, source: str, spec: str) -> None:
        choose = self._actions.choose
        if choose is None:
            return

        def act() -> str:
            if source not in self._state.sources:
                raise ActionError(f"{source} was removed; choose again for another source")
            choose(source, spec)
            return f"{source} now listens to {spec}"

        self._panels.report(act)

    def _choose_recording(self, source: str) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Listen to a recording")
        if path:
            self._choose(source, path)
