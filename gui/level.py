"""The level meter: RMS as a column of light, the held peak as a line, the level as a number."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Samples

from . import theme
from .loudness import FLOOR_DBFS, Loudness

_LOWEST_DBFS = -60.0
_TICKS_DBFS = (0, -6, -12, -24, -36, -48, -60)
_READING_SECONDS = 0.2


class LevelView(QWidget):
    """A vertical meter from -60 to 0 dBFS.

    Attributes
    ----------
    loudness : Loudness
        What it shows.
    reading : str
        The number under it, renewed five times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sound level")
        self._scale = theme.Scale(1.0)
        self._lit, self._unlit = QPixmap(), QPixmap()
        self._shown = (0, 0)
        self._reading_age_seconds = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget everything, for another source."""
        self.loudness = Loudness()
        self.reading = _reading(FLOOR_DBFS)
        self.update()

    def advance(self, samples: Samples, seconds: float) -> None:
        """Take new samples, let time pass, and repaint what has moved."""
        self.loudness.advance(samples, seconds)
        bar = self._bar_rect()
        before, self._shown = (
            self._shown,
            (self._height_of(self.loudness.level_dbfs), self._height_of(self.loudness.peak_dbfs)),
        )
        thickness = self._scale.px(2)
        if before[0] != self._shown[0]:
            high, low = max(before[0], self._shown[0]), min(before[0], self._shown[0])
            self.update(QRect(bar.left(), bar.bottom() + 1 - high, bar.width(), high - low))
        if before[1] != self._shown[1]:
            for peak in (before[1], self._shown[1]):
                self.update(QRect(bar.left(), bar.bottom() + 1 - peak, bar.width(), thickness))
        self._reading_age_seconds += seconds
        if self._reading_age_seconds >= _READING_SECONDS:
            self._reading_age_seconds = 0.0
            reading = _reading(self.loudness.level_dbfs)
            if reading != self.reading:
                self.reading = reading
                self.update(self._reading_rect())

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        self._scale = scale
        self.setFixedWidth(scale.px(62))
        self._prepare()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the column of light in its new size."""
        super().resizeEvent(event)
        self._prepare()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what needs it: the column for the most part."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), theme.PANEL)
        bar = self._bar_rect()
        level, peak = self._shown
        painter.drawPixmap(bar.topLeft(), self._unlit)
        lit = self._lit.devicePixelRatioF()
        painter.drawPixmap(
            QRect(bar.left(), bar.bottom() + 1 - level, bar.width(), level),
            self._lit,
            QRect(0, round((bar.height() - level) * lit), self._lit.width(), round(level * lit)),
        )
        if peak > 0:
            line = QRect(bar.left(), bar.bottom() + 1 - peak, bar.width(), self._scale.px(2))
            painter.fillRect(line, theme.BAD if self.loudness.peak_dbfs > -0.1 else theme.TEXT)
        if event.region().intersects(QRect(0, 0, bar.left(), bar.bottom())):
            self._paint_ticks(painter, bar)
        painter.setFont(self._scale.font(13))
        painter.setPen(theme.TEXT)
        if event.region().intersects(self._reading_rect()):
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(self._reading_rect(), right, self.reading)
        painter.end()

    def _paint_ticks(self, painter: QPainter, bar: QRect) -> None:
        scale = self._scale
        painter.setFont(scale.font(12))
        painter.setPen(theme.SOFT)
        height = scale.px(16)
        for tick in _TICKS_DBFS:
            middle = bar.bottom() + 1 - self._height_of(tick)
            top = min(max(0, middle - height // 2), bar.bottom() + 1 - height)
            box = QRect(0, top, bar.left() - scale.px(7), height)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{tick}")

    def _bar_rect(self) -> QRect:
        scale = self._scale
        left = scale.px(36)
        top = scale.px(2)
        return QRect(left, top, self.width() - left, max(1, self.height() - top - scale.px(26)))

    def _reading_rect(self) -> QRect:
        height = self._scale.px(22)
        return QRect(0, self.height() - height, self.width(), height)

    def _height_of(self, level_dbfs: float) -> int:
        share = min(1.0, max(0.0, 1 - level_dbfs / _LOWEST_DBFS))
        return round(share * self._bar_rect().height())

    def _prepare(self) -> None:
        """Paint the whole column once, lit and unlit, in segments."""
        bar = self._bar_rect()
        pixmaps = []
        for strength in (1.0, 0.14):
            pixmap = QPixmap(bar.size() * self.devicePixelRatioF())
            pixmap.setDevicePixelRatio(self.devicePixelRatioF())
            pixmap.fill(theme.PANEL)
            painter = QPainter(pixmap)
            segment = self._scale.px(4)
            for y in range(0, bar.height(), segment):
                level_dbfs = (y + segment / 2) / bar.height() * _LOWEST_DBFS
                colour = theme.blended(_colour_at(level_dbfs), theme.PANEL, strength)
                painter.fillRect(0, y, bar.width(), max(1, segment - self._scale.px(1)), colour)
            painter.end()
            pixmaps.append(pixmap)
        self._lit, self._unlit = pixmaps
        self._shown = (
            self._height_of(self.loudness.level_dbfs),
            self._height_of(self.loudness.peak_dbfs),
        )


def _colour_at(level_dbfs: float) -> QColor:
    if level_dbfs > -3:
        return theme.BAD
    if level_dbfs > -12:
        return theme.blended(theme.WARNING, theme.GOOD, min(1.0, (level_dbfs + 12) / 4))
    return theme.GOOD


def _reading(level_dbfs: float) -> str:
    return "silent" if level_dbfs <= -100 else f"{level_dbfs:.0f} dB"
