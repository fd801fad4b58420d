"""Card with the figures behind the health light."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from ..data.condition import Figure, Light
from ..style.theme import Style, Tone
from .overlay import Overlay


class Figures(Overlay):
    """Figures about source and program, a line each, above the lower left corner of the window.

    Parameters
    ----------
    window : QWidget
        Window to cover.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAccessibleName("Figures")
        self._style = Style()
        self._lines: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout(self)

    def show_figures(self, figures: Sequence[Figure]) -> None:
        """Show these figures."""
        while len(self._lines) < len(figures):
            self._add_line()
        for number, (caption, value) in enumerate(self._lines):
            for label in (caption, value):
                label.setVisible(number < len(figures))
            if number < len(figures):
                figure = figures[number]
                caption.setText(figure.caption)
                value.setText(figure.value)
                tone = Tone.PLAIN if figure.light is Light.OK else Tone.WARNING
                value.setStyleSheet(f"color: {self._style.colours.of(tone).name()};")
        if self.isVisible():
            self.centre()

    def text(self) -> str:
        """Return the lines on screen."""
        return "\n".join(
            f"{caption.text()}: {value.text()}" for caption, value in self._lines if not caption.isHidden()
        )

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        edge = style.px(16)
        self._grid.setContentsMargins(edge, edge, edge, edge)
        self._grid.setHorizontalSpacing(style.px(14))
        self._grid.setVerticalSpacing(style.px(5))
        for caption, _ in self._lines:
            caption.setStyleSheet(f"color: {style.colours.soft.name()};")
        self.centre()

    def centre(self) -> None:
        """Move the card above the status line."""
        super().centre()
        edge = self._style.px(16)
        self.move(
            min(edge, self._window.width() - self.width()),
            max(0, self._window.height() - self.height() - self._style.px(38)),
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Close with the key that opened it, too."""
        if event.key() == Qt.Key.Key_I:
            self.dismiss()
        else:
            super().keyPressEvent(event)

    def _add_line(self) -> None:
        caption, value = QLabel(), QLabel()
        caption.setStyleSheet(f"color: {self._style.colours.soft.name()};")
        row = len(self._lines)
        self._grid.addWidget(caption, row, 0, Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(value, row, 1)
        self._lines.append((caption, value))
