"""Geometry and painting of the rows of tags."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QFont, QFontMetrics, QLinearGradient, QPainter, QPen, QRegion

from ..style.theme import Style, blend

_ROW_HEIGHT = 48
_MIN_ROWS, _MAX_ROWS = 3, 10
_FONT_SIZE = 21.0
_MIN_FONT_SHARE = 0.72
_DIMMED = 0.4
_LOWEST_COLOUR = 0.1
"""Score whose colour the left end of a bar has: those of lower ones can't be told from the empty part."""


class Row(NamedTuple):
    """Row of one label on screen.

    Attributes
    ----------
    label : str
        Name of the label.
    top : int
        Upper edge in pixels.
    score : str
        Score as a text.
    strength, opacity : int
        Strength of the text and opacity of the row in percent.
    mark : int or None
        Position of the threshold in pixels; None if the label is not watched.
    selected : bool
        True for the label that keys act on.
    bar : int
        Length of the bar in pixels.
    """

    label: str
    top: int
    score: str
    strength: int
    opacity: int
    mark: int | None
    selected: bool
    bar: int


def strength_of(score: float) -> int:
    """Return the strength of the text of a score in percent."""
    certainty = min(1.0, max(0.0, (score - 0.02) / 0.28))
    return 10 * round(10 * (0.45 + 0.55 * certainty))


class RowGeometry:
    """Sizes and positions in the rows of tags.

    Parameters
    ----------
    style : Style
        Scale of the window.
    width, height : int
        Size of the widget in pixels.

    Attributes
    ----------
    count : int
        Number of rows that fit.
    row_height : int
        Height of a row; rows share the height that is left over.
    bar_length : int
        Length of a bar at score 1.
    bar_offset : int
        Distance from the top of a row's content to its bar.
    """

    def __init__(self, style: Style, width: int, height: int) -> None:
        self.width = width
        self.score_font = style.font(_FONT_SIZE, QFont.Weight.Medium)
        digits = QFontMetrics(self.score_font).horizontalAdvance("0.00")
        self.count = max(_MIN_ROWS, min(_MAX_ROWS, height // style.px(_ROW_HEIGHT)))
        self.row_height = min(height // self.count, round(1.25 * style.px(_ROW_HEIGHT)))
        self.bar_length = max(1, width - digits - style.px(14))
        self.bar_height = style.px(7)
        self.text_height = style.px(28)
        self.bar_offset = self.text_height + style.px(4)
        self.reach = style.px(9)

    def row_rect(self, top: int) -> QRect:
        """Return the rectangle of a row with its upper edge at ``top``."""
        return QRect(0, top, self.width, self.row_height)

    def content_top(self, top: int) -> int:
        """Return the upper edge of a row's content."""
        return top + (self.row_height - self.bar_offset - self.bar_height) // 2

    def name_rect(self, top: int) -> QRect:
        """Return the rectangle of a row's name."""
        return QRect(0, self.content_top(top), self.bar_length, self.text_height)

    def bar_rect(self, top: int) -> QRect:
        """Return the rectangle of a row's bar at score 1."""
        return QRect(0, self.content_top(top) + self.bar_offset, self.bar_length, self.bar_height)

    def bar_change(self, top: int, before: int, after: int) -> QRect:
        """Return the area to repaint when a bar changes its length: between both rounded ends."""
        bar = self.bar_rect(top)
        left = max(0, min(before, after) - self.bar_height)
        return QRect(left, bar.top(), max(before, after, self.bar_height) + 1 - left, bar.height())

    def changes(self, before: Sequence[Row], after: Sequence[Row]) -> Iterator[QRect]:
        """Yield the areas to repaint: mostly bars, rarely text."""
        for old, new in zip_longest(before, after):
            if old is None or new is None or old[:-1] != new[:-1]:
                yield from (self.row_rect(row.top) for row in (old, new) if row is not None)
            elif old.bar != new.bar:
                yield self.bar_change(new.top, old.bar, new.bar)

    def near_mark(self, row: Row, at: QPoint) -> bool:
        """Return True if a point is near the threshold of a row."""
        if row.mark is None:
            return False
        bar = self.bar_rect(row.top)
        beside, above, below = abs(at.x() - row.mark), bar.top() - at.y(), at.y() - bar.bottom()
        return max(beside, above, below) <= self.reach


class RowPainter:
    """Painter of the rows of tags.

    Parameters
    ----------
    style : Style
        Scale and colours of the window.
    geometry : RowGeometry
        Sizes and positions.
    """

    def __init__(self, style: Style, geometry: RowGeometry) -> None:
        self._style = style
        self._geometry = geometry
        self._gradients = {dimmed: self._gradient(dimmed=dimmed) for dimmed in (False, True)}

    def paint(self, painter: QPainter, row: Row, region: QRegion, *, dimmed: bool) -> None:
        """Paint the parts of a row that lie in a region."""
        geometry = self._geometry
        painter.setOpacity(row.opacity / 100)
        if row.selected and region.intersects(geometry.row_rect(row.top)):
            self._paint_selection(painter, row)
        bar = geometry.bar_rect(row.top)
        if region.intersects(bar):
            self._paint_bar(painter, bar, row.bar, dimmed=dimmed)
            self._paint_mark(painter, bar, row.mark)
        if region.intersects(geometry.name_rect(row.top)):
            self._paint_text(painter, row, dimmed=dimmed)

    def _gradient(self, *, dimmed: bool) -> QBrush:
        """Return the brush of bars: their right end has the colour of their score."""
        gradient = QLinearGradient(0, 0, self._geometry.bar_length, 0)
        for score in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0):
            colour = self._style.score_colour(max(score, _LOWEST_COLOUR))
            gradient.setColorAt(score, blend(colour, self._style.colours.panel, _DIMMED if dimmed else 1.0))
        return QBrush(gradient)

    def _paint_selection(self, painter: QPainter, row: Row) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._style.colours.track)
        box = self._geometry.row_rect(row.top).adjusted(0, 1, 0, -1)
        painter.drawRoundedRect(box, self._style.px(6), self._style.px(6))

    def _paint_bar(self, painter: QPainter, track: QRect, length: int, *, dimmed: bool) -> None:
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._style.colours.track)
        painter.drawRoundedRect(track, radius, radius)
        if length > 0:
            painter.setBrush(self._gradients[dimmed])
            painter.drawRoundedRect(
                0, track.top(), max(length, track.height()), track.height(), radius, radius
            )

    def _paint_mark(self, painter: QPainter, bar: QRect, mark: int | None) -> None:
        if mark is None:
            return
        width, reach = self._style.px(3), self._style.px(4)
        line = QRectF(mark - width / 2, bar.top() - reach, width, bar.height() + 2 * reach)
        painter.setPen(QPen(self._style.colours.panel, self._style.px(1)))
        painter.setBrush(self._style.colours.text)
        painter.drawRoundedRect(line, width / 2, width / 2)

    def _paint_text(self, painter: QPainter, row: Row, *, dimmed: bool) -> None:
        """Draw name and score, which are always repainted together."""
        colours, geometry = self._style.colours, self._geometry
        name = geometry.name_rect(row.top)
        painter.setPen(blend(colours.text, colours.panel, row.strength / 100 * (_DIMMED if dimmed else 1.0)))
        font, text = self._fitted(row.label, name.width())
        painter.setFont(font)
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, text)
        painter.setFont(geometry.score_font)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        height = geometry.bar_offset + geometry.bar_height
        painter.drawText(QRect(0, name.top(), geometry.width, height), right, row.score)

    def _fitted(self, label: str, width: int) -> tuple[QFont, str]:
        """Return a font and a text that fit: a long name gets a smaller font before it is cut off."""
        font = self._style.font(_FONT_SIZE, QFont.Weight.Medium)
        needed = QFontMetrics(font).horizontalAdvance(label)
        if needed > width:
            size = _FONT_SIZE * max(_MIN_FONT_SHARE, 0.98 * width / needed)
            font = self._style.font(size, QFont.Weight.Medium)
        return font, QFontMetrics(font).elidedText(label, Qt.TextElideMode.ElideRight, width)
