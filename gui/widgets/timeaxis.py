"""Clock time along the lower edge of a picture."""

import math
import time

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ..style.theme import Look

_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300)


class TimeAxis(QWidget):
    """Ticks at round times, which move with the picture.

    Attributes
    ----------
    span_seconds : float
        What the axis shows from its left end to its right one.
    """

    def __init__(self, span_seconds: float) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.span_seconds = span_seconds
        self._ends_at: float | None = None
        self._look = Look()

    def show_end(self, ends_at: float | None) -> None:
        """Show another time at the right end from now on; None for no time at all."""
        if ends_at != self._ends_at:
            self._ends_at = ends_at
            self.update()

    def ticks(self) -> list[tuple[float, str]]:
        """Return where ticks are, in pixels from the left, and what they say."""
        if self._ends_at is None or not self.width():
            return []
        began_at = self._ends_at - self.span_seconds
        wanted = self._label_width() * 1.6 / self.width() * self.span_seconds
        step = next((step for step in _STEPS_SECONDS if step >= wanted), _STEPS_SECONDS[-1])
        first = math.ceil(began_at / step) * step
        return [
            (
                (at - began_at) / self.span_seconds * self.width(),
                time.strftime("%H:%M:%S", time.localtime(at)),
            )
            for at in range(first, math.floor(self._ends_at) + 1, step)
        ]

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(24))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the ticks whose labels have room."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._look.colours.panel)
        painter.setFont(self._look.font(12))
        painter.setPen(self._look.colours.soft)
        width, tick = self._label_width(), self._look.px(4)
        for x, label in self.ticks():
            painter.drawLine(round(x), 0, round(x), tick)
            left = min(max(0, round(x) - width // 2), self.width() - width)
            if abs(left + width // 2 - x) <= width // 2 + 1:
                box = QRect(left, tick, width, self.height() - tick)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, label)
        painter.end()

    def _label_width(self) -> int:
        return QFontMetrics(self._look.font(12)).horizontalAdvance("00:00:00") + 4
