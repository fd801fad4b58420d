"""Cards over the window: the search for sounds, and the page of signs and keys."""

from collections.abc import Callable, Iterable, Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..style.theme import Style


class Overlay(QFrame):
    """Card in the middle of its window; Escape or a click beside it closes it.

    Parameters
    ----------
    window : QWidget
        Window to cover.
    """

    shown = Signal(bool)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._backdrop = _Backdrop(window)
        self._backdrop.clicked.connect(self.dismiss)
        self.setObjectName("card")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.hide()
        window.installEventFilter(self)

    def open(self) -> None:
        """Show the card."""
        self._backdrop.show()
        self._backdrop.raise_()
        self.show()
        self.centre()
        self.raise_()
        self.setFocus()
        self.shown.emit(True)

    def dismiss(self) -> None:
        """Hide the card."""
        if self.isVisible():
            self.hide()
            self._backdrop.hide()
            self.shown.emit(False)

    def centre(self) -> None:
        """Move the card to the middle of the window."""
        self._backdrop.resize(self._window.size())
        self.resize(self.sizeHint().boundedTo(self._window.size()))
        free = self._window.size() - self.size()
        self.move(free.width() // 2, free.height() // 2)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Close with Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle when the window changes its size."""
        if self.isVisible() and watched is self._window and event.type() == QEvent.Type.Resize:
            self.centre()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Keep clicks from the window."""
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the wheel from the window."""
        event.accept()


class _Backdrop(QWidget):
    """Transparent cover of the window around a card; it catches clicks."""

    clicked = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.hide()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        event.accept()
        self.clicked.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        event.accept()


class Search(Overlay):
    """List of the labels that contain the typed words, or whose names on screen do; Enter or a click watches one or stops watching it.

    Parameters
    ----------
    window : QWidget
        Window to cover.
    labels : sequence of str
        Names of all labels.
    name_of : callable
        Returns the name of a label on screen.
    """

    chosen = Signal(str)

    def __init__(self, window: QWidget, labels: Sequence[str], name_of: Callable[[str], str]) -> None:
        super().__init__(window)
        self._labels = labels
        self._name_of = name_of
        self._watched: frozenset[str] = frozenset()
        self.field = QLineEdit()
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._choose)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(self._choose)
        self._hint = QLabel("Enter: watch for a sound, or stop watching for it · Esc: close")
        self._layout = QVBoxLayout(self)
        for widget in (self.field, self.list, self._hint):
            self._layout.addWidget(widget)
        self.setFocusProxy(self.field)

    def open(self) -> None:
        """Show the card with an empty search field."""
        self.field.setPlaceholderText(f"Search {sum(map(bool, self._labels))} sounds")
        self.field.clear()
        self._filter("")
        super().open()

    def set_watched(self, labels: Iterable[str]) -> None:
        """Tick the watched labels."""
        watched = frozenset(labels)
        if watched != self._watched:
            self._watched = watched
            self._filter(self.field.text())

    def results(self) -> list[str]:
        """Return the labels in the list."""
        return [str(self.list.item(row).data(Qt.ItemDataRole.UserRole)) for row in range(self.list.count())]

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        edge = style.px(14)
        self._layout.setContentsMargins(edge, edge, edge, edge)
        self._layout.setSpacing(style.px(8))
        self.setMinimumWidth(style.px(440))
        self.list.setMinimumHeight(style.px(300))
        self._hint.setStyleSheet(f"color: {style.colours.soft.name()};")
        self.centre()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Move through the list with the arrow keys while typing."""
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                self.list.setCurrentRow(min(max(0, self.list.currentRow() + step), self.list.count() - 1))
                return True
        return super().eventFilter(watched, event)

    def _filter(self, typed: str) -> None:
        words = typed.casefold().split()
        row = self.list.currentRow()
        self.list.clear()
        for label in filter(None, self._labels):
            name = self._name_of(label)
            written = label if name == label else f"{name} ({label})"
            if all(word in written.casefold() for word in words):
                self.list.addItem(f"{'✓' if label in self._watched else '   '}  {written}")
                self.list.item(self.list.count() - 1).setData(Qt.ItemDataRole.UserRole, label)
        self.list.setCurrentRow(min(max(0, row), self.list.count() - 1))

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.chosen.emit(str(item.data(Qt.ItemDataRole.UserRole)))


class Help(Overlay):
    """Page of the signs in the window and of its keys, in two columns if they fit, else in one that scrolls.

    Parameters
    ----------
    window : QWidget
        Window to cover.
    lines : iterable of (str, str)
        Keys and description of each shortcut.
    legend : iterable of (str, str)
        Signs in the window with their meaning.
    """

    def __init__(
        self, window: QWidget, lines: Iterable[tuple[str, str]], legend: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(window)
        self._style = Style()
        self._lines = [(QLabel(keys), QLabel(description)) for keys, description in lines]
        self._legend = [(QLabel(sign), QLabel(meaning)) for sign, meaning in legend]
        self._page = QWidget()
        self._page.setObjectName("page")
        self._grid = QGridLayout(self._page)
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidgetResizable(True)
        self.area.setWidget(self._page)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(self.area)
        self.setFocusProxy(self.area)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        edge = style.px(18)
        self._layout.setContentsMargins(edge, edge, edge, edge)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(style.px(12))
        self._grid.setVerticalSpacing(style.px(7))
        self._grid.setColumnMinimumWidth(1, style.px(230))
        for keys, _ in (*self._lines, *self._legend):
            keys.setStyleSheet(f"color: {style.colours.accent.name()};")
        self.centre()

    def centre(self) -> None:
        """Move the card to the middle of the window, in as many columns as fit."""
        for columns in (2, 1):
            self._fill(columns)
            if self.sizeHint().width() <= self._window.width():
                break
        super().centre()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size that shows everything without scrolling."""
        bar = QSize(self.area.verticalScrollBar().sizeHint().width(), 0)
        page = self._grid.sizeHint().grownBy(self._layout.contentsMargins()) + bar
        return page.grownBy(self.contentsMargins())

    def _fill(self, columns: int) -> None:
        for row, (sign, meaning) in enumerate(self._legend):
            self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(meaning, row, 1, 1, 3 if columns == 2 else 1)
        top = len(self._legend) + 1
        self._grid.setRowMinimumHeight(top - 1, self._style.px(8))
        lines = -(-len(self._lines) // columns)
        for index, (keys, description) in enumerate(self._lines):
            column = 2 * (index // lines)
            self._grid.addWidget(keys, top + index % lines, column, Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(description, top + index % lines, column + 1)
