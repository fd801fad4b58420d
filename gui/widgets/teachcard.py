"""Card over the window that names a selected sound, and shows how learning goes."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..style.theme import Style
from .overlay import Overlay


class TeachCard(Overlay):
    """Name of a sound, the names that are taught already, buttons, and what is being learned.

    Parameters
    ----------
    window : QWidget
        Window to cover.

    Attributes
    ----------
    field : QLineEdit
        Name of the sound.
    buttons : dict of str to QToolButton
        Buttons: "Add example", "Play", "Learn now", "Close".
    text : QLabel
        Present state, in sentences.
    """

    named = Signal(str)
    play_wanted = Signal()
    learning_wanted = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._names: Sequence[str] = ()
        self._title = QLabel("This is…")
        self.field = QLineEdit()
        self.field.setPlaceholderText("Name, such as Our doorbell")
        self.field.setAccessibleName("Name of the sound")
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._name)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(lambda item: self.named.emit(item.text()))
        self.text = QLabel("", wordWrap=True)
        self.progress = QProgressBar(textVisible=False, maximum=1000)
        self.buttons: dict[str, QToolButton] = {}
        row = QHBoxLayout()
        for title, act in (
            ("Add example", self._name),
            ("Play", self.play_wanted.emit),
            ("Learn now", self.learning_wanted.emit),
            ("Close", self.dismiss),
        ):
            button = self.buttons[title] = QToolButton()
            button.setText(title)
            button.setObjectName("tool")
            button.clicked.connect(lambda *_, act=act: act())
            row.addWidget(button)
        row.addStretch(1)
        self._layout = QVBoxLayout(self)
        for widget in (self._title, self.field, self.list, self.text, self.progress):
            self._layout.addWidget(widget)
        self._layout.addLayout(row)
        self.setFocusProxy(self.field)

    @property
    def title(self) -> str:
        """Present title."""
        return self._title.text()

    def ask(self, title: str, names: Sequence[str], name: str, text: str) -> None:
        """Ask for the name of what is selected.

        Parameters
        ----------
        title : str
            Description of the selection.
        names : sequence of str
            Names to choose from.
        name : str
            Name to begin with.
        text : str
            Advice.
        """
        self._title.setText(title)
        self._names = names
        self.field.setText(name)
        self.field.selectAll()
        self._filter(name)
        self._show(naming=True)
        self.text.setText(text)
        self.open()

    def show_count(self, title: str, text: str, *, can_learn: bool) -> None:
        """Say how many examples there are, after one was added."""
        self._title.setText(title)
        self._show(naming=False)
        self.buttons["Learn now"].setVisible(can_learn)
        self.text.setText(text)
        self._settle()

    def show_progress(self, title: str, text: str, share: float) -> None:
        """Show how learning goes."""
        self._title.setText(title)
        if not self.progress.isVisible():
            self._show(naming=False)
            self.progress.show()
            self.text.setText(text)
            self._settle()
        self.text.setText(text)
        self.progress.setValue(round(1000 * share))

    def show_verdict(self, title: str, sentences: Sequence[str]) -> None:
        """Show what was learned."""
        self._title.setText(title)
        self._show(naming=False)
        self.text.setText("\n\n".join(sentences))
        self._settle()

    def show_text(self, text: str) -> None:
        """Say what is wrong."""
        self.text.setText(text)
        self._settle()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        edge = style.px(14)
        self._layout.setContentsMargins(edge, edge, edge, edge)
        self._layout.setSpacing(style.px(8))
        self.setFixedWidth(style.px(460))
        self.list.setMaximumHeight(style.px(120))
        self.progress.setFixedHeight(style.px(8))
        self.progress.setStyleSheet(
            f"QProgressBar {{ background: {style.colours.track.name()}; border: none; border-radius: {style.px(4)}px; }}"
            f"QProgressBar::chunk {{ background: {style.colours.accent.name()}; border-radius: {style.px(4)}px; }}"
        )
        self._title.setStyleSheet(f"font-size: {style.px(16)}px; font-weight: 600;")
        self.centre()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size at which all sentences can be read."""
        return QSize(self.width(), self._layout.totalHeightForWidth(self.width()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Move through the names with the arrow keys while typing."""
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None and self.list.count():
                row = min(max(0, self.list.currentRow() + step), self.list.count() - 1)
                self.list.setCurrentRow(row)
                self.field.blockSignals(True)
                self.field.setText(self.list.item(row).text())
                self.field.blockSignals(False)
                return True
        return super().eventFilter(watched, event)

    def _filter(self, typed: str) -> None:
        words = typed.casefold().split()
        found = [name for name in self._names if all(word in name.casefold() for word in words)]
        self.list.clear()
        self.list.addItems(found or list(self._names))

    def _name(self) -> None:
        self.named.emit(self.field.text())

    def _show(self, *, naming: bool) -> None:
        for widget in (self.field, self.buttons["Add example"], self.buttons["Play"]):
            widget.setVisible(naming)
        self.list.setVisible(naming and bool(self._names))
        self.buttons["Learn now"].hide()
        self.progress.hide()

    def _settle(self) -> None:
        """Fit the card to its content; keys go to the card where there is no field."""
        self.centre()
        if self.isVisible() and not self.field.isVisible():
            self.buttons["Close"].setFocus()
