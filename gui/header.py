"""The strip on top: whose window this is, which source it shows, and whether that one is live."""

import time
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QTabBar, QWidget

from . import theme


class Header(QWidget):
    """Title, a tab for each source where there are several, and the state of the one on show.

    Parameters
    ----------
    title : str
        The program's name.
    sources : sequence of str
        What can be chosen.
    """

    source_chosen = Signal(str)

    def __init__(self, title: str, sources: Sequence[str]) -> None:
        super().__init__()
        self._title = _Title(title)
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self.tabs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for source in sources:
            self.tabs.addTab(source.replace("&", "&&"))
        self.tabs.setVisible(len(sources) > 1)
        self.tabs.currentChanged.connect(lambda place: self.source_chosen.emit(sources[place]))
        self.state = StateBadge()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self._title)
        if len(sources) > 1:
            self._row.addWidget(self.tabs, stretch=1)
        else:
            self._row.addStretch(1)
        self._row.addWidget(self.state)

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        self.setFixedHeight(scale.px(32))
        self._row.setSpacing(scale.px(20))
        self._title.rescale(scale)
        self.state.rescale(scale)


class _Title(QWidget):
    """The mark and the name."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._text = title
        self._scale = theme.Scale(1.0)

    def rescale(self, scale: theme.Scale) -> None:
        self._scale = scale
        width = QFontMetrics(self._font()).horizontalAdvance(self._text)
        self.setFixedSize(QSize(scale.px(36) + width + 2, scale.px(32)))

    def _font(self) -> QFont:
        return self._scale.font(18, QFont.Weight.DemiBold)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = self._scale.px(24)
        theme.paint_mark(painter, QRectF(0, (self.height() - side) / 2, side, side))
        painter.setFont(self._font())
        painter.setPen(theme.TEXT)
        painter.drawText(
            self.rect().adjusted(self._scale.px(34), 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text
        )
        painter.end()


class StateBadge(QWidget):
    """A coloured dot, a word, and the time at which the newest sound on show was captured."""

    def __init__(self) -> None:
        super().__init__()
        self._scale = theme.Scale(1.0)
        self._showing: tuple[str, int | None] = ("", None)
        self._shown: tuple[str, QColor, str] = ("", theme.FAINT, "")

    def text(self) -> str:
        """Return what it says."""
        return " ".join(self._shown[::2]).strip()

    def show_state(self, word: str, colour: QColor, captured_at: float | None) -> None:
        """Say something else from now on; ``captured_at`` is a Unix time in seconds."""
        second = None if captured_at is None else int(captured_at)
        if (word, second) == self._showing:
            return
        self._showing = word, second
        clock = "" if second is None else time.strftime("%H:%M:%S", time.localtime(second))
        self._shown = (word, colour, clock)
        self.update()

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        self._scale = scale
        width = QFontMetrics(scale.font(14)).horizontalAdvance("OFFLINE00:00:00")
        self.setFixedSize(QSize(width + scale.px(34), scale.px(32)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw dot, word and clock, flush right."""
        del event
        word, colour, clock = self._shown
        scale = self._scale
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = scale.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        right, vertical = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignVCenter
        painter.setPen(theme.SOFT)
        painter.drawText(self.rect(), right | vertical, clock)
        painter.setPen(colour)
        room = self.rect().adjusted(0, 0, -metrics.horizontalAdvance(clock) - scale.px(14 if clock else 0), 0)
        painter.drawText(room, right | vertical, word)
        if word:
            side = scale.px(9)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            left = room.right() + 1 - metrics.horizontalAdvance(word) - scale.px(8) - side
            painter.drawEllipse(QRectF(left, (self.height() - side) / 2, side, side))
        painter.end()
