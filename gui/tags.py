"""The sounds that are heard, most certain first, with bars that move calmly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import NamedTuple

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QRegion, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Tagging

from . import theme
from .ranking import Ranking

_ROW_HEIGHT = 54
_FEWEST_ROWS, _MOST_ROWS = 3, 10
_GLIDE_SECONDS = 0.16
_SMALLEST_FONT = 0.72


@dataclass(frozen=True, slots=True)
class Row:
    """What one label's row looks like on screen: all lengths in pixels."""

    label: str
    top: int
    bar: int
    score: str
    strength: int
    """How bright the text is, in percent."""


class _Parts(NamedTuple):
    """Where the parts of a row are."""

    name: QRect
    bar: QRect
    score: QRect


class TagsView(QWidget):
    """A row for each of the top labels: name, bar and score.

    Parameters
    ----------
    labels : sequence of str
        The name of each score.

    Attributes
    ----------
    shown : tuple of Row
        What is on screen, from top to bottom.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sounds heard, most certain first")
        self._labels = labels
        self._scale = theme.Scale(1.0)
        self._measure()
        self._ranking = Ranking(len(labels), self._fitting_rows())
        self._places: dict[int, float] = {}
        self._presence: dict[int, float] = {}
        self._tagging: Tagging | None = None
        self._hint = ""
        self._dimmed = False
        self.shown: tuple[Row, ...] = ()

    def clear(self, hint: str) -> None:
        """Forget everything, for another source; the hint stands there until the first tagging."""
        self._ranking = Ranking(len(self._labels), self._fitting_rows())
        self._places, self._presence = {}, {}
        self._tagging = None
        self._hint = hint
        self.shown = ()
        self.update()

    def show_tagging(self, tagging: Tagging | None, *, dimmed: bool) -> None:
        """Move towards a tagging from now on; dim it where its source has gone silent."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()
        if tagging is not None and tagging is not self._tagging:
            if self._tagging is None:
                self.update()
            self._tagging = tagging
            self._ranking.aim(tagging.scores)

    def advance(self, seconds: float) -> None:
        """Let time pass, and repaint what has moved: mostly bars, seldom text."""
        if self._tagging is None:
            return
        self._ranking.rows = self._fitting_rows()
        self._ranking.advance(seconds)
        self._glide(seconds)
        before, self.shown = self.shown, self._rows()
        if self.shown == before:
            return
        if bool(before) != bool(self.shown):
            self.update()
        for old, new in zip_longest(before, self.shown):
            if old is None or new is None or old != replace(new, bar=old.bar):
                for row in filter(None, (old, new)):
                    self.update(self._row_rect(row))
            elif old.bar != new.bar:
                self.update(self._parts(self._row_rect(new)).bar)

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        self._scale = scale
        self._measure()
        self.update()

    def _fitting_rows(self) -> int:
        return max(_FEWEST_ROWS, min(_MOST_ROWS, self.height() // self._scale.px(_ROW_HEIGHT)))

    def _row_height(self) -> int:
        """Return the height of a row: rows share what little is left over."""
        return min(self.height() // self._ranking.rows, round(1.25 * self._scale.px(_ROW_HEIGHT)))

    def _row_rect(self, row: Row) -> QRect:
        return QRect(0, row.top, self.width(), self._row_height())

    def _glide(self, seconds: float) -> None:
        """Move each label towards its place, and let newcomers appear in theirs."""
        step = -math.expm1(-seconds / _GLIDE_SECONDS)
        self._places = {
            label: (place + (self._places.get(label, place) - place) * (1 - step))
            for place, label in enumerate(self._ranking.order)
        }
        self._presence = {
            label: min(1.0, self._presence.get(label, 0.0) + seconds / 0.4) for label in self._places
        }

    def _rows(self) -> tuple[Row, ...]:
        height, length = self._row_height(), self._bar_length
        rows = []
        for label, place in self._places.items():
            score = float(self._ranking.newest[label])
            certainty = min(1.0, max(0.0, (score - 0.02) / 0.28))
            rows.append(
                Row(
                    self._labels[label],
                    round(place * height),
                    round(float(self._ranking.scores[label]) * length),
                    f"{score:.2f}",
                    10 * round(10 * self._presence[label] * (0.45 + 0.55 * certainty)),
                )
            )
        return tuple(rows)

    def _parts(self, row: QRect) -> _Parts:
        """Return where name, bar and score of a row are."""
        scale = self._scale
        text_height, bar_height, gap = scale.px(28), scale.px(7), scale.px(4)
        top = row.top() + (row.height() - text_height - gap - bar_height) // 2
        length = self._bar_length
        return _Parts(
            QRect(0, top, length, text_height),
            QRect(0, top + text_height + gap, length, bar_height),
            QRect(length, top, self.width() - length, text_height + gap + bar_height),
        )

    def _measure(self) -> None:
        """Settle what depends on the size alone."""
        self._score_font = self._scale.font(21, QFont.Weight.Medium)
        digits = QFontMetrics(self._score_font).horizontalAdvance("0.00")
        self._bar_length = max(1, self.width() - digits - self._scale.px(14))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self._measure()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the parts that need it."""
        region = event.region()
        painter = QPainter(self)
        painter.fillRect(event.rect(), theme.PANEL)
        if not self.shown:
            painter.setFont(self._scale.font(20))
            painter.setPen(theme.FAINT)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._hint)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row in reversed(self.shown):
            rect = self._row_rect(row)
            if region.intersects(rect):
                self._paint_row(painter, row, self._parts(rect), region)
        painter.end()

    def _paint_row(self, painter: QPainter, row: Row, parts: _Parts, region: QRegion) -> None:
        light = 0.4 if self._dimmed else 1.0
        ink = theme.blended(theme.TEXT, theme.PANEL, row.strength / 100 * light)
        if region.intersects(parts.name):
            font, text = self._fitted(row.label, parts.name.width())
            painter.setFont(font)
            painter.setPen(ink)
            painter.drawText(parts.name, Qt.AlignmentFlag.AlignVCenter, text)
        if region.intersects(parts.score):
            painter.setFont(self._score_font)
            painter.setPen(ink)
            painter.drawText(
                parts.score, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, row.score
            )
        if region.intersects(parts.bar):
            colour = theme.score_colour(row.bar / parts.bar.width())
            self._paint_bar(painter, parts.bar, row.bar, theme.blended(colour, theme.PANEL, light))

    def _paint_bar(self, painter: QPainter, track: QRect, length: int, colour: QColor) -> None:
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.TRACK)
        painter.drawRoundedRect(QRectF(track), radius, radius)
        if length > 0:
            bar = QRectF(track)
            bar.setWidth(max(length, track.height()))
            painter.setBrush(colour)
            painter.drawRoundedRect(bar, radius, radius)

    def _fitted(self, label: str, width: int) -> tuple[QFont, str]:
        """Return a font and a text that fit: a long name is set smaller, and only then cut."""
        size = 21.0
        font = self._scale.font(size, QFont.Weight.Medium)
        needed = QFontMetrics(font).horizontalAdvance(label)
        if needed > width:
            font = self._scale.font(size * max(_SMALLEST_FONT, 0.98 * width / needed), QFont.Weight.Medium)
        return font, QFontMetrics(font).elidedText(label, Qt.TextElideMode.ElideRight, width)
