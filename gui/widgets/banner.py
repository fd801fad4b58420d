"""Banner of the kiosk: a title or the time, and a message if something is wrong."""

import time

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ..style import theme
from ..style.fitting import paint_fitted
from ..style.logo import Logo
from ..style.theme import Style

_SIZE, _LEAST_SIZE = 26, 13
"""Sizes of letters: invitation and message are as small as they must be."""
_MAX_TITLE_SHARE = 0.5
"""Share of the width that a title may take beside a message."""


class Banner(QWidget):
    """Line with a title, or with a logo, an invitation and the time; and with a message that stands out.

    Parameters
    ----------
    title : str
        Name of the source; empty for logo and time.
    logo : Logo
        Logo to draw where there is no title.
    invitation : str
        Words between logo and time, while there is no message.

    Attributes
    ----------
    title : str
        Name of the source; empty for logo and time.
    text : str
        Message; empty for none.
    tone : Tone
        Colour of title and message.
    """

    def __init__(self, title: str = "", *, logo: Logo, invitation: str = "") -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._style = Style()
        self._clock = ""
        self._logo = logo
        self._invitation = invitation
        self.title = title
        self.text = ""
        self.tone = theme.Tone.PLAIN

    def invite(self, words: str) -> None:
        """Show other words between logo and time."""
        if words != self._invitation:
            self._invitation = words
            self.update()

    def show_message(self, text: str, tone: theme.Tone) -> None:
        """Show a message, or none if it is empty, and the time of this minute."""
        clock = "" if self.title else time.strftime("%H:%M")
        if (text, tone, clock) != (self.text, self.tone, self._clock):
            self.text, self.tone, self._clock = text, tone, clock
            self.setAccessibleName(f"{self.title} {text}".strip())
            self.update()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(52))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the title or the logo, the message and the time."""
        style = self._style
        colours = style.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = style.font(_SIZE)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        sizes = (style.px(_SIZE), style.px(_LEAST_SIZE))
        left = self._paint_title(painter, metrics) if self.title else self._paint_logo(painter)
        clock = metrics.horizontalAdvance(self._clock)
        right = QRect(self.width() - clock - 2, 0, clock + 2, self.height())
        painter.setPen(colours.soft)
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter, self._clock)
        if not self.text and not self.title:
            painter.setPen(colours.soft)
            between = QRect(left, 0, right.left() - left, self.height()).adjusted(
                style.px(30), 0, -style.px(30), 0
            )
            paint_fitted(painter, between, self._invitation, sizes)
        if self.text:
            end = right.left() - style.px(30) if self._clock else self.width()
            area = QRect(left + style.px(18), 0, end - left - style.px(18), self.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.blend(colours.of(self.tone), colours.background, 0.25))
            painter.drawRoundedRect(area, style.px(10), style.px(10))
            painter.setPen(colours.of(self.tone))
            inside = area.adjusted(style.px(16), style.px(3), -style.px(16), -style.px(3))
            left_middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            paint_fitted(painter, inside, self.text, sizes, align=left_middle)
        painter.end()

    def _paint_title(self, painter: QPainter, metrics: QFontMetrics) -> int:
        """Draw the title; return its right edge."""
        max_width = round((_MAX_TITLE_SHARE if self.text else 1.0) * self.width())
        title = metrics.elidedText(self.title, Qt.TextElideMode.ElideRight, max_width)
        painter.setPen(self._style.colours.of(self.tone))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, title)
        return metrics.horizontalAdvance(title)

    def _paint_logo(self, painter: QPainter) -> int:
        """Draw the logo; return its right edge."""
        return round(self._logo.paint(painter, QRectF(self.rect()), self._style))
