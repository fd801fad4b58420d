"""What lies over the window for a while: the search for labels, and the page of keys."""

from collections.abc import Iterable, Sequence

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

from ..style.theme import Look


class Overlay(QFrame):
    """A card in the middle of its window, gone with Escape or a click beside it."""

    shown = Signal(bool)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._beside = _Beside(window)
        self._beside.clicked.connect(self.close_again)
        self.setObjectName("card")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.hide()
        window.installEventFilter(self)

    def open(self) -> None:
        """Show it."""
        self._beside.show()
        self._beside.raise_()
        self.show()
        self.place()
        self.raise_()
        self.setFocus()
        self.shown.emit(True)

    def close_again(self) -> None:
        """Hide it, if it is there."""
        if self.isVisible():
            self.hide()
            self._beside.hide()
            self.shown.emit(False)

    def place(self) -> None:
        """Lie in the middle."""
        self._beside.resize(self._window.size())
        self.resize(self.sizeHint().boundedTo(self._window.size()))
        free = self._window.size() - self.size()
        self.move(free.width() // 2, free.height() // 2)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Go away with Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.close_again()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in the middle."""
        if self.isVisible() and watched is self._window and event.type() == QEvent.Type.Resize:
            self.place()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let no click through to the window."""
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Let no turn of the wheel through to the window."""
        event.accept()


class _Beside(QWidget):
    """What covers the window around a card, without being seen: clicks end there."""

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
    """All labels, less those that don't hold what is typed; Enter or a click watches one."""

    chosen = Signal(str)

    def __init__(self, window: QWidget, labels: Sequence[str]) -> None:
        super().__init__(window)
        self._labels = labels
        self._watched: frozenset[str] = frozenset()
        self.field = QLineEdit()
        self.field.setPlaceholderText(f"Search {len(labels)} sounds")
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._choose)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(self._choose)
        self._hint = QLabel("Enter watches a sound, or watches it no longer · Esc closes")
        self._layout = QVBoxLayout(self)
        for widget in (self.field, self.list, self._hint):
            self._layout.addWidget(widget)
        self.setFocusProxy(self.field)

    def open(self) -> None:
        """Show it, with nothing typed."""
        self.field.clear()
        self._filter("")
        super().open()

    def mark(self, watched: Iterable[str]) -> None:
        """Tick the labels that are watched."""
        ticked = frozenset(watched)
        if ticked != self._watched:
            self._watched = ticked
            self._filter(self.field.text())

    def found(self) -> list[str]:
        """Return the labels that are listed."""
        return [str(self.list.item(row).data(Qt.ItemDataRole.UserRole)) for row in range(self.list.count())]

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        edge = look.px(14)
        self._layout.setContentsMargins(edge, edge, edge, edge)
        self._layout.setSpacing(look.px(8))
        self.setMinimumWidth(look.px(440))
        self.list.setMinimumHeight(look.px(300))
        self._hint.setStyleSheet(f"color: {look.colours.soft.name()};")
        self.place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Move through the list with the arrows while typing."""
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
        for label in self._labels:
            if all(word in label.casefold() for word in words):
                self.list.addItem(f"{'✓' if label in self._watched else '   '}  {label}")
                self.list.item(self.list.count() - 1).setData(Qt.ItemDataRole.UserRole, label)
        self.list.setCurrentRow(min(max(0, row), self.list.count() - 1))

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.chosen.emit(str(item.data(Qt.ItemDataRole.UserRole)))


class Help(Overlay):
    """The page of keys: in two columns, or in a single one that scrolls where two do not fit."""

    def __init__(self, window: QWidget, lines: Iterable[tuple[str, str]]) -> None:
        super().__init__(window)
        self._look = Look()
        self._lines = [(QLabel(keys), QLabel(description)) for keys, description in lines]
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

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        edge = look.px(18)
        self._layout.setContentsMargins(edge, edge, edge, edge)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(look.px(12))
        self._grid.setVerticalSpacing(look.px(7))
        self._grid.setColumnMinimumWidth(1, look.px(230))
        for keys, _ in self._lines:
            keys.setStyleSheet(f"color: {look.colours.accent.name()};")
        self.place()

    def place(self) -> None:
        """Lie in the middle, in as many columns as fit."""
        for columns in (2, 1):
            self._fill(columns)
            if self.sizeHint().width() <= self._window.width():
                break
        super().place()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size in which all can be read without scrolling."""
        bar = QSize(self.area.verticalScrollBar().sizeHint().width(), 0)
        page = self._grid.sizeHint().grownBy(self._layout.contentsMargins()) + bar
        return page.grownBy(self.contentsMargins())

    def _fill(self, columns: int) -> None:
        lines = -(-len(self._lines) // columns)
        for place, (keys, does) in enumerate(self._lines):
            column = 2 * (place // lines)
            self._grid.addWidget(keys, place % lines, column, Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(does, place % lines, column + 1)
