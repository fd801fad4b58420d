"""Filter of the list of events: a field for words, and a menu of sounds and sources."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QToolButton, QWidget

from ..data.eventrows import EventFilter
from ..style.theme import Style


class FilterBar(QWidget):
    """Field for words, and a menu with the watched sounds and the sources.

    Parameters
    ----------
    name_of : callable
        Name on screen of a label or watched sound.

    Attributes
    ----------
    field : QLineEdit
        Words that must be in the name of sound or source.
    menu : QMenu
        Sounds and sources to choose from.
    """

    changed = Signal(object)

    def __init__(self, name_of: Callable[[str], str]) -> None:
        super().__init__()
        self._name_of = name_of
        self._chosen = EventFilter()
        self._sounds: tuple[str, ...] = ()
        self._sources: tuple[str, ...] = ()
        self.field = _Field()
        self.field.textChanged.connect(lambda text: self._choose(replace(self._chosen, words=text)))
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill)
        self._button = QToolButton()
        self._button.setObjectName("choice")
        self._button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._button.setMenu(self.menu)
        self._button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._button.setToolTip("Show only one sound, or one source")
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.field, stretch=1)
        self._layout.addWidget(self._button)
        self._title()

    def set_sounds(self, sounds: Sequence[str]) -> None:
        """Set the watched sounds to choose from."""
        self._sounds = tuple(sounds)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Set the sources to choose from."""
        self._sources = tuple(sources)

    def clear(self) -> None:
        """Show all events."""
        self._choose(EventFilter())
        self.field.clear()

    def apply_style(self, style: Style) -> None:
        """Apply sizes."""
        self._layout.setSpacing(style.px(6))
        self.field.setMaximumWidth(style.px(180))
        self._button.setMaximumWidth(style.px(150))

    def _choose(self, chosen: EventFilter) -> None:
        if chosen != self._chosen:
            self._chosen = chosen
            self._title()
            self.changed.emit(chosen)

    def _title(self) -> None:
        """Name the choice on the button."""
        sound = self._chosen.sound and self._name_of(self._chosen.sound)
        self._button.setText(f"{' · '.join(filter(None, (sound, self._chosen.source))) or 'All'} ▾")

    def _fill(self) -> None:
        """List sounds and sources; the current ones are ticked."""
        self.menu.clear()
        self._add("All sounds", "sound", None)
        for sound in _with_chosen(self._sounds, self._chosen.sound):
            self._add(self._name_of(sound), "sound", sound)
        if len(self._sources) > 1 or self._chosen.source is not None:
            self.menu.addSeparator()
            self._add("All sources", "source", None)
            for source in _with_chosen(self._sources, self._chosen.source):
                self._add(source, "source", source)

    def _add(self, title: str, field: Literal["sound", "source"], value: str | None) -> None:
        action = self.menu.addAction(title.replace("&", "&&"))
        action.setCheckable(True)
        action.setChecked(getattr(self._chosen, field) == value)
        action.triggered.connect(lambda: self._choose(_with(self._chosen, field, value)))


def _with_chosen(names: Sequence[str], chosen: str | None) -> Sequence[str]:
    """Return names, and the chosen one even if it is no longer among them."""
    return names if chosen is None or chosen in names else (*names, chosen)


def _with(chosen: EventFilter, field: Literal["sound", "source"], value: str | None) -> EventFilter:
    return replace(chosen, sound=value) if field == "sound" else replace(chosen, source=value)


_FIELD_KEYS = {
    Qt.Key.Key_Return,
    Qt.Key.Key_Enter,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
}
"""Keys that belong to the field while it has the focus, although Qt's fields leave them to shortcuts."""


class _Field(QLineEdit):
    """Field for words; Escape clears and leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("filter")
        self.setPlaceholderText("Filter")
        self.setAccessibleName("Filter events by the name of sound or source")
        self.setClearButtonEnabled(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def event(self, event: QEvent) -> bool:
        """Keep the keys of the field from the shortcuts of the window."""
        is_shortcut = event.type() == QEvent.Type.ShortcutOverride
        if is_shortcut and isinstance(event, QKeyEvent) and event.key() in _FIELD_KEYS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the field with Escape, and keep its words with Enter."""
        if event.key() == Qt.Key.Key_Escape:
            self.clear()
        if event.key() in {Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.clearFocus()
        else:
            super().keyPressEvent(event)
