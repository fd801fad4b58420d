"""A line of a wall: whose it is, what is wrong, and the time."""

import time

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ..style import theme
from ..style.theme import Look

_LONGEST_TITLE = 0.5
"""How much of the line a title may take."""


class Banner(QWidget):
    """A line with a title, or with the program's mark and the time; and with what is wrong, which can't be overlooked.

    Parameters
    ----------
    title : str
        Whose line it is; empty for the program's own.

    Attributes
    ----------
    title : str
        Whose line it is.
    text : str
        What is wrong; empty if nothing is.
    tone : Tone
        How that is meant; the title has its colour too.
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._look = Look()
        self._clock = ""
        self.title = title
        self.text = ""
        self.tone = theme.Tone.PLAIN

    def say(self, text: str, tone: theme.Tone) -> None:
        """Say something else from now on, and keep the time."""
        clock = "" if self.title else time.strftime("%H:%M")
        if (text, tone, clock) != (self.text, self.tone, self._clock):
            self.text, self.tone, self._clock = text, tone, clock
            self.setAccessibleName(f"{self.title} {text}".strip())
            self.update()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(52))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the title or the mark, the sentence and the clock."""
        look = self._look
        colours = look.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = look.font(26)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        left = self._paint_title(painter, metrics) if self.title else self._paint_mark(painter)
        clock = metrics.horizontalAdvance(self._clock)
        right = QRect(self.width() - clock - 2, 0, clock + 2, self.height())
        painter.setPen(colours.soft)
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter, self._clock)
        if self.text:
            end = right.left() - look.px(30) if self._clock else self.width()
            room = QRect(left + look.px(18), 0, end - left - look.px(18), self.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.blended(colours.of(self.tone), colours.background, 0.25))
            painter.drawRoundedRect(room, look.px(10), look.px(10))
            painter.setPen(colours.of(self.tone))
            inside = room.adjusted(look.px(16), 0, -look.px(16), 0)
            text = metrics.elidedText(self.text, Qt.TextElideMode.ElideRight, inside.width())
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()

    def _paint_title(self, painter: QPainter, metrics: QFontMetrics) -> int:
        """Draw the title; returns where it ends."""
        longest = round((_LONGEST_TITLE if self.text else 1.0) * self.width())
        title = metrics.elidedText(self.title, Qt.TextElideMode.ElideRight, longest)
        painter.setPen(self._look.colours.of(self.tone))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, title)
        return metrics.horizontalAdvance(title)

    def _paint_mark(self, painter: QPainter) -> int:
        """Draw the program's mark; returns where it ends."""
        side = self._look.px(34)
        theme.paint_mark(painter, QRectF(0, (self.height() - side) / 2, side, side), self._look)
        return side
