"""Selected stretch of the spectrogram: drawn over the picture, made with the mouse or by keys."""

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ..data.columns import COLUMNS
from ..style.theme import Style

if TYPE_CHECKING:
    from ..data.columns import Columns

_FEWEST_COLUMNS = 10
"""A shorter drag is a click: 0.1 s."""
_FIRST_COLUMNS = 200
_STEP_COLUMNS = 25
_SHADE = 70


class _Picture(Protocol):
    """The picture below, as the selection needs it."""

    @property
    def end(self) -> int: ...
    @property
    def columns(self) -> "Columns": ...


class Selection(QWidget):
    """Stretch of the picture, as columns. It stays on its sound when the picture scrolls.

    Parameters
    ----------
    picture : Picture
        Picture to cover; its parent.

    Attributes
    ----------
    span : tuple of int or None
        First column, and the one after the last.
    """

    begun = Signal()
    chosen = Signal()

    def __init__(self, picture: "QWidget") -> None:
        super().__init__(picture)
        self.setAccessibleName("Selected stretch of the spectrogram")
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._picture = picture
        self._style = Style()
        self._anchor: int | None = None
        self.span: tuple[int, int] | None = None
        self.setEnabled(False)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def offer(self) -> None:
        """Let the mouse select."""
        self.setEnabled(True)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, False)

    def clear(self) -> None:
        """Select nothing."""
        self._anchor = None
        self._set(None)

    def select_newest(self) -> None:
        """Select the last two seconds on screen."""
        end = self._seen().end
        self._set(self._within(end - _FIRST_COLUMNS, end))

    def move_by(self, steps: int) -> None:
        """Move the selection by quarters of a second."""
        if self.span is not None:
            first, last = self.span
            seen = self._seen()
            step = min(max(steps * _STEP_COLUMNS, seen.end - COLUMNS - first), seen.end - last)
            self._set((first + step, last + step))

    def grow(self, steps: int) -> None:
        """Make the selection longer or shorter by quarters of a second; it begins where it did, if there is room behind it."""
        if self.span is not None:
            first, last = self.span
            last = max(last + steps * _STEP_COLUMNS, first + _STEP_COLUMNS)
            over = max(0, last - self._seen().end)
            self._set(self._within(first - over, last - over))

    def apply_style(self, style: Style) -> None:
        """Apply colours."""
        self._style = style
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Begin to select, at the place of the mouse."""
        if event.button() != Qt.MouseButton.LeftButton or not self._seen().columns.started:
            return
        self.begun.emit()
        self._anchor = self._column(event.position().x())
        self._set(None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Select from where the mouse was pressed."""
        if self._anchor is not None:
            here = self._column(event.position().x())
            self._set(self._within(min(here, self._anchor), max(here, self._anchor)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Choose what is selected; a click chooses nothing."""
        if self._anchor is None:
            return
        self.mouseMoveEvent(event)
        self._anchor = None
        if self.span is not None and self.span[1] - self.span[0] < _FEWEST_COLUMNS:
            self._set(None)
        self.chosen.emit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the stretch."""
        del event
        if self.span is None:
            return
        end = self._seen().end
        left, right = ((column - end + COLUMNS) * self.width() / COLUMNS for column in self.span)
        box = QRect(round(left), 0, max(1, round(right) - round(left)), self.height())
        if not box.intersects(self.rect()):
            return
        painter = QPainter(self)
        shade = QColor(self._style.colours.accent)
        shade.setAlpha(_SHADE)
        painter.fillRect(box, shade)
        for x in (box.left(), box.right()):
            painter.fillRect(x, 0, self._style.px(2), self.height(), self._style.colours.accent)
        painter.end()

    def _column(self, x: float) -> int:
        return (
            self._seen().end
            - COLUMNS
            + round(min(max(0.0, x), self.width()) * COLUMNS / max(1, self.width()))
        )

    def _within(self, first: int, last: int) -> tuple[int, int]:
        """Return a span cut to the sound that is kept."""
        columns = self._seen().columns
        return max(first, columns.oldest), max(last, columns.oldest)

    def _seen(self) -> _Picture:
        picture: _Picture = self._picture  # type: ignore[assignment]  # a widget with these
        return picture

    def _set(self, span: tuple[int, int] | None) -> None:
        if span != self.span:
            self.span = span
            self.update()
