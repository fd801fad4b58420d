"""Axis with clock times below a picture."""

import math
import time

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ..style.theme import Style

_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300)


class TimeAxis(QWidget):
    """Ticks at round times, which move with the picture.

    Parameters
    ----------
    span_seconds : float
        Time between the left and the right end.

    Attributes
    ----------
    span_seconds : float
        Time between the left and the right end.
    """

    def __init__(self, span_seconds: float) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.span_seconds = span_seconds
        self._ends_at: float | None = None
        self._style = Style()

    def show_end(self, ends_at: float | None) -> None:
        """Set the Unix time at the right end; None for no ticks."""
        if ends_at != self._ends_at:
            self._ends_at = ends_at
            self.update()

    def ticks(self) -> list[tuple[float, str]]:
        """Return the position in pixels from the left and the text of each tick."""
        if self._ends_at is None or not self.width():
            return []
        started_at = self._ends_at - self.span_seconds
        min_step = self._label_width() * 1.6 / self.width() * self.span_seconds
        step = next((step for step in _STEPS_SECONDS if step >= min_step), _STEPS_SECONDS[-1])
        first = math.ceil(started_at / step) * step
        return [
            (
                (at - started_at) / self.span_seconds * self.width(),
                time.strftime("%H:%M:%S", time.localtime(at)),
            )
            for at in range(first, math.floor(self._ends_at) + 1, step)
        ]

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(24))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the ticks whose labels fit."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.panel)
        painter.setFont(self._style.font(12))
        painter.setPen(self._style.colours.soft)
        width, tick = self._label_width(), self._style.px(4)
        for x, label in self.ticks():
            painter.drawLine(round(x), 0, round(x), tick)
            left = min(max(0, round(x) - width // 2), self.width() - width)
            if abs(left + width // 2 - x) <= width // 2 + 1:
                box = QRect(left, tick, width, self.height() - tick)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, label)
        painter.end()

    def _label_width(self) -> int:
        return QFontMetrics(self._style.font(12)).horizontalAdvance("00:00:00") + 4
