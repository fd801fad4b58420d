"""Keyboard shortcuts, buttons, menus and clicks of the live window."""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QMenu, QWidget

from ..actions import Actions
from ..data.viewstate import ViewState
from ..data.watching import Watching
from ..style.theme import Style
from ..widgets import texts
from ..widgets.figures import Figures
from ..widgets.overlay import Help, Search
from .eventcontrol import EventControl
from .export import save_events, save_picture
from .navigation import Navigation
from .panels import Panels
from .shortcuts import ShortcutSet
from .sourcecontrol import SourceControl
from .teachcontrol import TeachControl
from .watchcontrol import WatchControl

_MORE = (
    "pause",
    "teach",
    "remember",
    "picture",
    "table",
    "save",
    "theme",
    "screen",
    "figures",
    "help",
    "quit",
)
"""Commands in the menu "More"."""


class Control:
    """Shortcuts, buttons, menus and clicks of the window, connected to their functions.

    Parameters
    ----------
    window : QWidget
        Window that receives the keys.
    state : ViewState
        State of the view.
    panels : Panels
        Panels of the window.
    actions : Actions
        Functions of the program.
    watching : Watching
        Watched sounds.
    labels : sequence of str
        Name of each score.
    restyle : callable
        Redraws the window after a change of theme.

    Attributes
    ----------
    navigation : Navigation
        Source, time and event on screen.
    watch : WatchControl
        Watched sounds.
    source : SourceControl
        Input of the source on screen.
    events : EventControl
        Actions on an event.
    teach : TeachControl
        Teaching of sounds.
    shortcuts : ShortcutSet
        Keyboard shortcuts.
    search, help, figures : Overlay
        Cards over the window.
    """

    def __init__(
        self,
        window: QWidget,
        state: ViewState,
        panels: Panels,
        *,
        actions: Actions,
        watching: Watching,
        labels: Sequence[str],
        restyle: Callable[[], None],
    ) -> None:
        self._window = window
        self._state = state
        self._panels = panels
        self._actions = actions
        self._watching = watching
        self._restyle = restyle
        self.navigation = Navigation(state, panels)
        self.watch = WatchControl(state, panels, watching)
        self.source = SourceControl(window, state, panels, actions)
        self.teach = TeachControl(window, state, panels, self.navigation, actions.teach)
        self.events = EventControl(window, panels, actions, self.teach.correct)
        self.search = Search(window, labels, actions.name_of)
        self.shortcuts = ShortcutSet(window, self._slots())
        self.help = Help(
            window,
            [("  ".join(shortcut.keys), shortcut.description) for shortcut in self.shortcuts.available()],
            texts.LEGEND,
        )
        self.figures = Figures(window)
        self._overlays = (self.search, self.help, self.figures, self.teach.card)
        self._fill_header()
        self._connect()

    def update(self) -> None:
        """Update the buttons and the ticks in the search."""
        self.shortcuts["freeze"].setChecked(self._state.frozen_at is not None)
        if "pause" in self.shortcuts:
            self.shortcuts["pause"].setChecked(self.source.paused)
        if self._actions.teach is not None:
            self.shortcuts["remember"].setChecked(self._actions.teach.remembers())
        if self.search.isVisible():
            self.search.set_watched(self._watching.labels())

    def advance(self, seconds: float) -> None:
        """Advance by some seconds."""
        self.watch.advance(seconds)
        self.teach.update()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        for overlay in self._overlays:
            overlay.apply_style(style)

    def _slots(self) -> dict[str, Callable[[], object]]:
        """Return the function of each shortcut that is offered."""
        window, panels, navigation, watch = self._window, self._panels, self.navigation, self.watch
        actions = self._actions
        slots: dict[str, Callable[[], object]] = {
            "freeze": navigation.toggle_freeze,
            "back": lambda: navigation.scroll(-1),
            "forward": lambda: navigation.scroll(1),
            "oldest": lambda: navigation.freeze(0.0),
            "newest": navigation.go_live,
            "earlier": lambda: navigation.step_event(-1),
            "later": lambda: navigation.step_event(1),
            "up": lambda: panels.tags.select(-1),
            "down": lambda: panels.tags.select(1),
            "theme": self._toggle_theme,
            "screen": lambda: window.showNormal() if window.isFullScreen() else window.showFullScreen(),
            "figures": self._open_figures,
            "help": self._open_help,
            "next": panels.header.select_next,
            "quit": window.close,
        }
        if actions.watch is not None:
            slots |= {
                "watch": watch.toggle_selected,
                "lower": lambda: watch.nudge_selected(-1),
                "raise": lambda: watch.nudge_selected(1),
                "find": self.search.open,
            }
        if actions.list_inputs is not None:
            slots["source"] = self._open_source_menu
        if actions.set_listening is not None:
            slots["pause"] = self.source.toggle_pause
        slots |= self.events.slots() | self.teach.slots()
        if actions.export_folder is not None:
            slots |= {"picture": self._save_picture, "table": self._save_events}
        if actions.save_settings is not None:
            slots["save"] = self._save
        return slots

    def _fill_header(self) -> None:
        header = self._panels.header
        for name in ("freeze", "find"):
            if name in self.shortcuts:
                header.add_button(self.shortcuts[name])
        if self._actions.list_inputs is not None:
            header.add_menu("Source", self.source.menu)
        more = QMenu(self._window)
        for name in _MORE:
            if name in self.shortcuts:
                more.addAction(self.shortcuts[name])
        header.add_menu("More", more)

    def _connect(self) -> None:
        panels = self._panels
        panels.header.source_chosen.connect(self.navigation.show_source)
        panels.tags.label_chosen.connect(self.watch.toggle)
        panels.tags.threshold_moved.connect(self.watch.preview)
        panels.tags.threshold_chosen.connect(self.watch.set_threshold)
        panels.timeline.time_chosen.connect(self.navigation.freeze)
        panels.timeline.name_chosen.connect(self.watch.toggle_name)
        panels.events.event_chosen.connect(self.navigation.show_event)
        panels.events.clip_chosen.connect(self.events.play_clip)
        self.search.chosen.connect(self.watch.toggle_name)
        self.search.chosen.connect(self.update)
        self.search.shown.connect(self.update)
        panels.status.clicked.connect(self._open_figures)
        panels.status.changed.connect(self._update_figures)
        for frame in panels.frames:
            frame.what.clicked.connect(self._open_help)
        for overlay in self._overlays:
            overlay.shown.connect(self.shortcuts.suspend)

    def _open_help(self) -> None:
        self.help.open()

    def _open_figures(self) -> None:
        self.figures.open()
        self._update_figures()

    def _update_figures(self) -> None:
        if self.figures.isVisible():
            status = self._panels.status
            self.figures.show_figures((*status.condition.figures, *status.details))

    def _open_source_menu(self) -> None:
        self._panels.header.buttons["Source"].showMenu()

    def _toggle_theme(self) -> None:
        self._state.theme = "light" if self._state.theme == "dark" else "dark"
        self._restyle()

    def _save_picture(self) -> None:
        folder = self._actions.export_folder
        if folder is not None:
            self._panels.report(lambda: f"picture saved as {save_picture(self._window, folder)}")

    def _save_events(self) -> None:
        folder = self._actions.export_folder
        if folder is not None:
            self._panels.report(lambda: f"events saved as {save_events(self._state.snapshot.events, folder)}")

    def _save(self) -> None:
        save = self._actions.save_settings
        if save is not None:
            self._panels.report(lambda: f"settings saved in {save(self._state.theme)}")
