"""Level meter: RMS level as a bar, the held peak as a line, the level as a number."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Samples

from ..data.levelmeter import FLOOR_DBFS, LevelMeter
from ..style.theme import Palette, Style, blend

_MIN_DBFS = -60.0
_TICKS_DBFS = (0, -6, -12, -24, -36, -48, -60)
_READING_SECONDS = 0.2


class LevelView(QWidget):
    """Vertical meter from -60 to 0 dBFS.

    Attributes
    ----------
    meter : LevelMeter
        Level and peak.
    reading : str
        Number below the bar, updated five times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sound level")
        self._style = Style()
        self._lit, self._unlit = QPixmap(), QPixmap()
        self._shown = (0, 0)
        self._clipping = False
        self._reading_age_seconds = 0.0
        self.clear()

    def clear(self) -> None:
        """Clear the meter for another source."""
        self.meter = LevelMeter()
        self.reading = _reading(FLOOR_DBFS)
        self.update()

    def advance(self, samples: Samples, seconds: float) -> None:
        """Add new samples, advance the meter by some seconds, and repaint what has moved."""
        self.meter.advance(samples, seconds)
        bar = self._bar_rect()
        before, self._shown = self._shown, self._heights()
        thickness = self._style.px(2)
        if before[0] != self._shown[0]:
            high, low = max(before[0], self._shown[0]), min(before[0], self._shown[0])
            self.update(QRect(bar.left(), bar.bottom() + 1 - high, bar.width(), high - low))
        if before[1] != self._shown[1]:
            for peak in (before[1], self._shown[1]):
                self.update(QRect(bar.left(), bar.bottom() + 1 - peak, bar.width(), thickness))
        if self._clipping != self.meter.clipping:
            self._clipping = self.meter.clipping
            self.update(self._clip_rect())
            self.update(self._reading_rect())
        self._reading_age_seconds += seconds
        if self._reading_age_seconds >= _READING_SECONDS:
            self._reading_age_seconds = 0.0
            reading = _reading(self.meter.level_dbfs)
            if reading != self.reading:
                self.reading = reading
                self.update(self._reading_rect())

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedWidth(style.px(62))
        self._prepare()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Prepare the bar in its new size."""
        super().resizeEvent(event)
        self._prepare()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the parts that have changed, mostly the bar."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.panel)
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
            line = QRect(bar.left(), bar.bottom() + 1 - peak, bar.width(), self._style.px(2))
            painter.fillRect(line, self._style.colours.text)
        if self._clipping:
            painter.fillRect(self._clip_rect(), self._style.colours.bad)
        if event.region().intersects(QRect(0, 0, bar.left(), bar.bottom())):
            self._paint_ticks(painter, bar)
        painter.setFont(self._style.font(13))
        painter.setPen(self._style.colours.bad if self._clipping else self._style.colours.text)
        if event.region().intersects(self._reading_rect()):
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(self._reading_rect(), right, "CLIP" if self._clipping else self.reading)
        painter.end()

    def _paint_ticks(self, painter: QPainter, bar: QRect) -> None:
        style = self._style
        painter.setFont(style.font(12))
        painter.setPen(self._style.colours.soft)
        height = style.px(16)
        for tick in _TICKS_DBFS:
            middle = bar.bottom() + 1 - self._height_of(tick)
            top = min(max(0, middle - height // 2), bar.bottom() + 1 - height)
            box = QRect(0, top, bar.left() - style.px(7), height)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{tick}")

    def _bar_rect(self) -> QRect:
        style = self._style
        left = style.px(36)
        top = style.px(7)
        return QRect(left, top, self.width() - left, max(1, self.height() - top - style.px(26)))

    def _clip_rect(self) -> QRect:
        """Return the rectangle of the lamp above the bar, which is lit while the sound clips."""
        bar = self._bar_rect()
        return QRect(bar.left(), 0, bar.width(), self._style.px(5))

    def _reading_rect(self) -> QRect:
        height = self._style.px(22)
        return QRect(0, self.height() - height, self.width(), height)

    def _heights(self) -> tuple[int, int]:
        """Return the heights of level and peak in pixels."""
        return self._height_of(self.meter.level_dbfs), self._height_of(self.meter.peak_dbfs)

    def _height_of(self, level_dbfs: float) -> int:
        share = min(1.0, max(0.0, 1 - level_dbfs / _MIN_DBFS))
        return round(share * self._bar_rect().height())

    def _prepare(self) -> None:
        """Paint the whole bar once, lit and unlit, in segments."""
        bar = self._bar_rect()
        colours = self._style.colours
        pixmaps = []
        for strength in (1.0, 0.14):
            pixmap = QPixmap(bar.size() * self.devicePixelRatioF())
            pixmap.setDevicePixelRatio(self.devicePixelRatioF())
            pixmap.fill(colours.panel)
            painter = QPainter(pixmap)
            segment = self._style.px(4)
            for y in range(0, bar.height(), segment):
                level_dbfs = (y + segment / 2) / bar.height() * _MIN_DBFS
                colour = blend(_colour_at(level_dbfs, colours), colours.panel, strength)
                painter.fillRect(0, y, bar.width(), max(1, segment - self._style.px(1)), colour)
            painter.end()
            pixmaps.append(pixmap)
        self._lit, self._unlit = pixmaps
        self._shown = self._heights()


def _colour_at(level_dbfs: float, colours: Palette) -> QColor:
    if level_dbfs > -3:
        return colours.bad
    if level_dbfs > -12:
        return blend(colours.warning, colours.good, min(1.0, (level_dbfs + 12) / 4))
    return colours.good


def _reading(level_dbfs: float) -> str:
    return "silent" if level_dbfs <= -100 else f"{level_dbfs:.0f} dB"
