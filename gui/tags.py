"""The sounds that are heard, most certain first, with bars that move calmly."""

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QBrush, QFont, QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Tagging

from . import theme
from .ranking import Ranking

_ROW_HEIGHT = 54
_FEWEST_ROWS, _MOST_ROWS = 3, 10
_GLIDE_SECONDS = 0.16
_SMALLEST_FONT = 0.72
_DIMMED = 0.4


class Row(NamedTuple):
    """What one label's row looks like on screen: lengths in pixels, opacity and strength of text in percent."""

    label: str
    top: int
    score: str
    strength: int
    opacity: int
    bar: int


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
            if old is None or new is None or old[:-1] != new[:-1]:
                for row in filter(None, (old, new)):
                    self.update(self._row_rect(row))
            elif old.bar != new.bar:
                self.update(self._bar_change(new.top, old.bar, new.bar))

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        self._scale = scale
        self._measure()
        self.advance(0.0)
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
        newest, scores = self._ranking.newest, self._ranking.scores
        rows = []
        for label, place in self._places.items():
            score = float(newest[label])
            certainty = min(1.0, max(0.0, (score - 0.02) / 0.28))
            rows.append(
                Row(
                    label=self._labels[label],
                    top=round(place * height),
                    score=f"{score:.2f}",
                    strength=10 * round(10 * (0.45 + 0.55 * certainty)),
                    opacity=10 * round(10 * self._presence[label]),
                    bar=round(float(scores[label]) * length),
                )
            )
        return tuple(rows)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self._measure()
        self.advance(0.0)

    def _measure(self) -> None:
        """Settle what depends on the size alone."""
        scale = self._scale
        self._score_font = scale.font(21, QFont.Weight.Medium)
        digits = QFontMetrics(self._score_font).horizontalAdvance("0.00")
        self._bar_length = max(1, self.width() - digits - scale.px(14))
        self._bar_height = scale.px(7)
        self._text_height = scale.px(28)
        self._bar_offset = self._text_height + scale.px(4)
        self._lights = {dimmed: self._light(dimmed=dimmed) for dimmed in (False, True)}

    def _light(self, *, dimmed: bool) -> QBrush:
        """Return what bars are filled with: the further they reach, the brighter they end."""
        gradient = QLinearGradient(0, 0, self._bar_length, 0)
        for score in (0.0, 0.25, 0.5, 0.75, 1.0):
            colour = theme.blended(theme.score_colour(score), theme.PANEL, _DIMMED if dimmed else 1.0)
            gradient.setColorAt(score, colour)
        return QBrush(gradient)

    def _content_top(self, row_top: int) -> int:
        return row_top + (self._row_height() - self._bar_offset - self._bar_height) // 2

    def _bar_rect(self, row_top: int) -> QRect:
        return QRect(0, self._content_top(row_top) + self._bar_offset, self._bar_length, self._bar_height)

    def _bar_change(self, row_top: int, before: int, after: int) -> QRect:
        """Return what to repaint when a bar grows or shrinks: its round end, before and after."""
        bar = self._bar_rect(row_top)
        left = max(0, min(before, after) - self._bar_height)
        return QRect(left, bar.top(), max(before, after, self._bar_height) + 1 - left, bar.height())

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
            painter.setOpacity(row.opacity / 100)
            bar = self._bar_rect(row.top)
            top = self._content_top(row.top)
            name = QRect(0, top, self._bar_length, self._text_height)
            if region.intersects(bar):
                self._paint_bar(painter, bar, row.bar)
            if region.intersects(name):
                self._paint_text(painter, row, name)
        painter.end()

    def _paint_bar(self, painter: QPainter, track: QRect, length: int) -> None:
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.TRACK)
        painter.drawRoundedRect(track, radius, radius)
        if length > 0:
            painter.setBrush(self._lights[self._dimmed])
            painter.drawRoundedRect(
                0, track.top(), max(length, track.height()), track.height(), radius, radius
            )

    def _paint_text(self, painter: QPainter, row: Row, name: QRect) -> None:
        """Draw name and score, which are always repainted together."""
        painter.setPen(
            theme.blended(theme.TEXT, theme.PANEL, row.strength / 100 * (_DIMMED if self._dimmed else 1.0))
        )
        font, text = self._fitted(row.label, name.width())
        painter.setFont(font)
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, text)
        painter.setFont(self._score_font)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        height = self._bar_offset + self._bar_height
        painter.drawText(QRect(0, name.top(), self.width(), height), right, row.score)

    def _fitted(self, label: str, width: int) -> tuple[QFont, str]:
        """Return a font and a text that fit: a long name is set smaller, and only then cut."""
        size = 21.0
        font = self._scale.font(size, QFont.Weight.Medium)
        needed = QFontMetrics(font).horizontalAdvance(label)
        if needed > width:
            font = self._scale.font(size * max(_SMALLEST_FONT, 0.98 * width / needed), QFont.Weight.Medium)
        return font, QFontMetrics(font).elidedText(label, Qt.TextElideMode.ElideRight, width)
