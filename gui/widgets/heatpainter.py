"""Geometry and painting of the heat map."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPen

from ..data.heatrows import HeatPicture, ThresholdPreview
from ..style.theme import Style

_ROW_HEIGHT = 22
NAMES_WIDTH = 132
"""Width of the names on the left, in pixels at scale 1."""


class HeatGeometry:
    """Places of names, rows and times.

    Parameters
    ----------
    style : Style
        Scale of the window.
    size : QSize
        Size of the widget.

    Attributes
    ----------
    plot : QRect
        Rectangle of the scores.
    max_rows : int
        Number of rows for which there is room.
    row_height : int
        Height of a row in pixels.
    """

    def __init__(self, style: Style, size: QSize) -> None:
        left = style.px(NAMES_WIDTH)
        self.plot = QRect(left, 0, max(1, size.width() - left), size.height())
        self.max_rows = max(1, size.height() // style.px(_ROW_HEIGHT))
        self.row_height = max(1, size.height() // self.max_rows)

    def row_rect(self, index: int) -> QRect:
        """Return the rectangle of a row."""
        return QRect(self.plot.left(), index * self.row_height, self.plot.width(), self.row_height)

    def name_row(self, at: QPoint) -> int | None:
        """Return the number of the row whose name is at a point."""
        return at.y() // self.row_height if at.x() < self.plot.left() else None

    def x_of(self, time_seconds: float, picture: HeatPicture) -> float:
        """Return the position of a Unix time in pixels from the left."""
        share = ((picture.ends_at or 0.0) - time_seconds) / picture.span_seconds
        return self.plot.right() + 1 - share * self.plot.width()

    def time_at(self, at: QPoint, picture: HeatPicture) -> float | None:
        """Return the Unix time at a point; None if there is none."""
        if picture.ends_at is None or at.x() < self.plot.left():
            return None
        share = (self.plot.right() + 1 - min(at.x(), self.plot.right() + 1)) / self.plot.width()
        return picture.ends_at - share * picture.span_seconds


class HeatPainter:
    """Painter of one picture of the heat map.

    Parameters
    ----------
    painter : QPainter
        Painter to draw with.
    style : Style
        Scale and colours.
    geometry : HeatGeometry
        Places.
    picture : HeatPicture
        Content.
    """

    def __init__(self, painter: QPainter, style: Style, geometry: HeatGeometry, picture: HeatPicture) -> None:
        self._painter, self._style = painter, style
        self._geometry, self._picture = geometry, picture

    def scores(self, image: QImage) -> None:
        """Draw the scores, with lines between the rows."""
        painter, plot, height = self._painter, self._geometry.plot, self._geometry.row_height
        painter.fillRect(plot, self._style.colours.plot)
        rows = len(self._picture.rows)
        if rows:
            painter.drawImage(QRect(plot.left(), 0, plot.width(), height * rows), image)
            painter.setPen(self._style.colours.panel)
            for index in range(1, rows):
                painter.drawLine(plot.left(), index * height, plot.right(), index * height)

    def names(self, name_of: Callable[[str], str], preview: ThresholdPreview | None) -> None:
        """Draw the names of the rows; the first one counts the events of a preview."""
        style, height = self._style, self._geometry.row_height
        self._painter.setFont(style.font(13))
        metrics = QFontMetrics(style.font(13))
        width = style.px(NAMES_WIDTH) - style.px(10)
        for index, row in enumerate(self._picture.rows):
            text = name_of(row.name)
            if preview is not None and index == 0:
                text = f"{len(preview.spans)} × {text}"  # noqa: RUF001 - a multiplication sign is meant
            self._painter.setPen(style.colours.text if row.watched else style.colours.soft)
            box = QRect(0, index * height, width, height)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            self._painter.drawText(box, right, metrics.elidedText(text, Qt.TextElideMode.ElideRight, width))

    def events(self, preview: ThresholdPreview | None) -> None:
        """Frame the events, and fill those of a preview."""
        for index, start, end in self._picture.spans:
            self._span(index, (start, end), self._style.colours.text)
        if preview is not None:
            for start, open_end in preview.spans:
                end = open_end or self._picture.ends_at or start
                self._span(0, (start, end), self._style.colours.accent, filled=True)

    def time(self, from_seconds: float, to_seconds: float) -> None:
        """Mark the time that the other panels show."""
        left, right = (self._geometry.x_of(time, self._picture) for time in (from_seconds, to_seconds))
        box = QRectF(left, 0, max(2.0, right - left), self._geometry.plot.height())
        fill = QColor(self._style.colours.text)
        fill.setAlpha(50)
        self._painter.fillRect(box, fill)
        self._painter.setPen(QPen(self._style.colours.accent, self._style.px(2)))
        self._painter.drawLine(box.topRight(), box.bottomRight())

    def _span(self, index: int, times: tuple[float, float], colour: QColor, *, filled: bool = False) -> None:
        row = self._geometry.row_rect(index)
        left, right = (self._geometry.x_of(time, self._picture) for time in times)
        thick = self._style.px(2)
        box = QRectF(left, row.top() + thick, max(thick * 2, right - left), row.height() - 2 * thick)
        fill = QColor(colour)
        fill.setAlpha(110 if filled else 0)
        self._painter.setBrush(fill)
        self._painter.setPen(QPen(colour, thick))
        self._painter.drawRoundedRect(box, thick * 2, thick * 2)
