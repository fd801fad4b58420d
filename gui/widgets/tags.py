"""The sounds that are heard, most certain first, with bars that move calmly."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QFont,
    QFontMetrics,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from streamer.messages import Tagging

from ..data.ranking import Ranking
from ..style.theme import Look, blended

_ROW_HEIGHT = 54
_FEWEST_ROWS, _MOST_ROWS = 3, 10
_GLIDE_SECONDS = 0.16
_SMALLEST_FONT = 0.72
_DIMMED = 0.4


class Row(NamedTuple):
    """What one label's row looks like on screen: lengths in pixels, opacity and strength of text in percent.

    The mark is where its threshold is, if it is watched.
    """

    label: str
    top: int
    score: str
    strength: int
    opacity: int
    mark: int | None
    selected: bool
    bar: int


@dataclass(slots=True)
class _Grip:
    """A threshold that is held: where it was taken, how far beside its mark, and whether it has moved since."""

    label: int
    taken_at: QPoint
    beside: int
    moved: bool = False


class TagsView(QWidget):
    """A row for each of the top labels: name, bar and score; a mark on the bar is the threshold of a watched one.

    Parameters
    ----------
    labels : sequence of str
        The name of each score.

    Attributes
    ----------
    shown : tuple of Row
        What is on screen, from top to bottom.
    selected : int or None
        The label that keys act on.
    """

    label_chosen = Signal(int)
    threshold_moved = Signal(int, float)
    threshold_chosen = Signal(int, float)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sounds heard, most certain first")
        self.setMouseTracking(True)
        self._labels = labels
        self._thresholds: Mapping[int, float] = {}
        self._marked: Mapping[int, float] | None = None
        self._grip: _Grip | None = None
        self.selected: int | None = None
        self._look = Look()
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
        self._grip = self.selected = None
        self.shown = ()
        self.update()

    def mark(self, thresholds: Mapping[int, float]) -> None:
        """Mark the thresholds of labels from now on, except the one that is being moved."""
        if thresholds is not self._marked:
            self._marked = thresholds
            self._thresholds = {**thresholds, **self._moving()}
            self.advance(0.0)

    def select(self, step: int) -> None:
        """Select the label so many rows further down."""
        order = self._ranking.order
        if order:
            place = order.index(self.selected) + step if self.selected in order else 0
            self.selected = order[min(max(place, 0), len(order) - 1)]
            self.advance(0.0)

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

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self._measure()
        self.advance(0.0)
        self.update()

    def _fitting_rows(self) -> int:
        return max(_FEWEST_ROWS, min(_MOST_ROWS, self.height() // self._look.px(_ROW_HEIGHT)))

    def _row_height(self) -> int:
        """Return the height of a row: rows share what little is left over."""
        return min(self.height() // self._ranking.rows, round(1.25 * self._look.px(_ROW_HEIGHT)))

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
                    mark=round(self._thresholds[label] * length) if label in self._thresholds else None,
                    selected=label == self.selected,
                    bar=round(float(scores[label]) * length),
                )
            )
        return tuple(rows)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take hold of a threshold, or choose a label."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position().toPoint()
        self._grip = self._grip_at(at)
        if self._grip is None and (label := self._label_at(at)) is not None:
            self.label_chosen.emit(label)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move the threshold that is held."""
        at = event.position().toPoint()
        if self._grip is not None:
            self._drag(self._grip, at)
            return
        over = Qt.CursorShape.SizeHorCursor if self._grip_at(at) is not None else None
        self.setCursor(
            over
            or (
                Qt.CursorShape.PointingHandCursor
                if self._label_at(at) is not None
                else Qt.CursorShape.ArrowCursor
            )
        )

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go of the threshold."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        grip, self._grip = self._grip, None
        if grip is not None and grip.moved:
            self.threshold_chosen.emit(grip.label, self._thresholds[grip.label])

    def _drag(self, grip: _Grip, at: QPoint) -> None:
        """Move a threshold, once the pointer has gone too far for a click."""
        way = (at - grip.taken_at).manhattanLength()
        grip.moved = grip.moved or way >= QApplication.startDragDistance()
        if grip.moved:
            score = round(min(0.99, max(0.01, (at.x() - grip.beside) / self._bar_length)), 2)
            self._thresholds = {**self._thresholds, grip.label: score}
            self.advance(0.0)
            self.threshold_moved.emit(grip.label, score)

    def _moving(self) -> Mapping[int, float]:
        grip = self._grip
        return {grip.label: self._thresholds[grip.label]} if grip is not None and grip.moved else {}

    def _row_at(self, at: QPoint) -> tuple[int, Row] | None:
        rows = zip(self._places, self.shown, strict=True)
        return next(((label, row) for label, row in rows if self._row_rect(row).contains(at)), None)

    def _label_at(self, at: QPoint) -> int | None:
        found = self._row_at(at)
        return None if found is None else found[0]

    def _grip_at(self, at: QPoint) -> _Grip | None:
        """Return the hold of the threshold that is near, if one is."""
        found = self._row_at(at)
        if found is None or found[1].mark is None:
            return None
        bar = self._bar_rect(found[1].top)
        reach = self._look.px(9)
        beside = at.x() - found[1].mark
        near = abs(beside) <= reach and bar.top() - reach <= at.y() <= bar.bottom() + reach
        return _Grip(found[0], at, beside) if near else None

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self._measure()
        self.advance(0.0)

    def _measure(self) -> None:
        """Settle what depends on the size alone."""
        look = self._look
        self._score_font = look.font(21, QFont.Weight.Medium)
        digits = QFontMetrics(self._score_font).horizontalAdvance("0.00")
        self._bar_length = max(1, self.width() - digits - look.px(14))
        self._bar_height = look.px(7)
        self._text_height = look.px(28)
        self._bar_offset = self._text_height + look.px(4)
        self._lights = {dimmed: self._light(dimmed=dimmed) for dimmed in (False, True)}

    def _light(self, *, dimmed: bool) -> QBrush:
        """Return what bars are filled with: the further they reach, the brighter they end."""
        gradient = QLinearGradient(0, 0, self._bar_length, 0)
        for score in (0.0, 0.25, 0.5, 0.75, 1.0):
            colour = blended(self._look.score(score), self._look.colours.panel, _DIMMED if dimmed else 1.0)
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
        painter.fillRect(event.rect(), self._look.colours.panel)
        if not self.shown:
            painter.setFont(self._look.font(20))
            painter.setPen(self._look.colours.faint)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._hint)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row in reversed(self.shown):
            painter.setOpacity(row.opacity / 100)
            bar = self._bar_rect(row.top)
            top = self._content_top(row.top)
            name = QRect(0, top, self._bar_length, self._text_height)
            if row.selected and region.intersects(self._row_rect(row)):
                self._paint_selection(painter, row)
            if region.intersects(bar):
                self._paint_bar(painter, bar, row.bar)
                self._paint_mark(painter, bar, row.mark)
            if region.intersects(name):
                self._paint_text(painter, row, name)
        painter.end()

    def _paint_bar(self, painter: QPainter, track: QRect, length: int) -> None:
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._look.colours.track)
        painter.drawRoundedRect(track, radius, radius)
        if length > 0:
            painter.setBrush(self._lights[self._dimmed])
            painter.drawRoundedRect(
                0, track.top(), max(length, track.height()), track.height(), radius, radius
            )

    def _paint_mark(self, painter: QPainter, bar: QRect, mark: int | None) -> None:
        if mark is None:
            return
        width, reach = self._look.px(3), self._look.px(4)
        line = QRectF(mark - width / 2, bar.top() - reach, width, bar.height() + 2 * reach)
        painter.setPen(QPen(self._look.colours.panel, self._look.px(1)))
        painter.setBrush(self._look.colours.text)
        painter.drawRoundedRect(line, width / 2, width / 2)

    def _paint_selection(self, painter: QPainter, row: Row) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._look.colours.track)
        box = self._row_rect(row).adjusted(0, 1, 0, -1)
        painter.drawRoundedRect(box, self._look.px(6), self._look.px(6))

    def _paint_text(self, painter: QPainter, row: Row, name: QRect) -> None:
        """Draw name and score, which are always repainted together."""
        painter.setPen(
            blended(
                self._look.colours.text,
                self._look.colours.panel,
                row.strength / 100 * (_DIMMED if self._dimmed else 1.0),
            )
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
        font = self._look.font(size, QFont.Weight.Medium)
        needed = QFontMetrics(font).horizontalAdvance(label)
        if needed > width:
            font = self._look.font(size * max(_SMALLEST_FONT, 0.98 * width / needed), QFont.Weight.Medium)
        return font, QFontMetrics(font).elidedText(label, Qt.TextElideMode.ElideRight, width)
