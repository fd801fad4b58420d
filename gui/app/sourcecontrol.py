"""Switches the source on screen off and on, and offers other inputs for it in a menu."""

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMenu, QMessageBox, QWidget

from ..actions import Actions
from ..data.viewstate import ViewState
from ..errors import ActionError
from .panels import Panels


class SourceControl:
    """Pause and input of the source on screen.

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
        return not self._actions.is_listening(self._state.source)

    def toggle_pause(self) -> None:
        """Switch the source on screen on; or off, if the user confirms it."""
        source = self._state.source
        if self.paused:
            self._switch(source, on=True)
            return
        question = QMessageBox(
            QMessageBox.Icon.NoIcon,
            "Stop listening?",
            f"Stop listening to {source}? It stays off, after a restart too, until you switch it on again.",
            QMessageBox.StandardButton.Cancel,
            self._window,
        )
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        stop = question.addButton("Stop listening", QMessageBox.ButtonRole.AcceptRole)
        question.setDefaultButton(stop)
        stop.clicked.connect(lambda: self._switch(source, on=False))
        question.open()

    def _switch(self, source: str, *, on: bool) -> None:
        set_listening = self._actions.set_listening
        if set_listening is not None:
            self._panels.report(lambda: set_listening(source, on))

    def _fill_menu(self) -> None:
        """List the available inputs, the current one ticked; the choice applies to the source that is on screen now."""
        self.menu.clear()
        list_inputs, source = self._actions.list_inputs, self._state.source
        try:
            inputs = list_inputs(source) if list_inputs is not None else ()
        except ActionError as error:
            inputs = ()
            self._panels.status.show_message(str(error))
        for audio_input in inputs:
            action = self.menu.addAction(
                audio_input.title.replace("&", "&&"), partial(self._set_input, source, audio_input.address)
            )
            action.setCheckable(True)
            action.setChecked(audio_input.current)
        self.menu.addSeparator()
        self.menu.addAction("Camera or stream address…", partial(self._ask_for_address, source))
        self.menu.addAction("A recording…", partial(self._choose_recording, source))

    def _set_input(self, source: str, address: str) -> None:
        set_input = self._actions.set_input
        if set_input is None:
            return

        def act() -> str:
            if source not in self._state.sources:
                raise ActionError(f"{source} was removed; choose again for another source")
            return f"{source} now listens to {set_input(source, address)}"

        self._panels.report(act)

    def _ask_for_address(self, source: str) -> None:
        question = QInputDialog(self._window)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.setWindowTitle("Camera or stream")
        question.setLabelText(f"Address that {source} listens to, such as rtsp://camera.local/live:")
        question.textValueSelected.connect(lambda text: self._set_input(source, text.strip()))
        question.open()

    def _choose_recording(self, source: str) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Listen to a recording")
        if path:
            self._set_input(source, path)
