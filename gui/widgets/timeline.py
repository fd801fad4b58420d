"""The last minutes: labels from top to bottom, clock time from left to right, events as spans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from streamer.messages import Event, Tagging

from ..actions import Span, Watched
from ..data.heatmap import (
    HeatRow,
    cells,
    choose_rows,
    scores_of,
    span_for,
)
from ..style.theme import Look
from .spectrogram import PICTURE_SECONDS
from .timeaxis import TimeAxis

_ROW_HEIGHT = 22
_NAMES_WIDTH = 132


@dataclass(frozen=True, slots=True)
class Trial:
    """What would have been told of a sound with another threshold."""

    row: HeatRow
    threshold: float
    spans: tuple[Span, ...]


class TimelineView(QWidget):
    """A heat map of scores, with a clock below.

    It is drawn anew with each tagging, not with each tick.
    """

    time_chosen = Signal(float)
    name_chosen = Signal(str)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.heat = HeatMap(labels)
        self.times = TimeAxis(self.heat.span_seconds)
        self.heat.time_chosen.connect(self.time_chosen)
        self.heat.name_chosen.connect(self.name_chosen)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self.heat, 0, 0, 1, 2)
        self._grid.addWidget(self.times, 1, 1)

    def show_history(
        self,
        taggings: Sequence[Tagging],
        events: Sequence[Event],
        watched: Sequence[Watched],
        frozen_at: float | None,
    ) -> None:
        """Show what there was; ``frozen_at`` marks the ten seconds that the other views show."""
        self.heat.show_history(taggings, events, watched, frozen_at)
        self.times.span_seconds = self.heat.span_seconds
        self.times.show_end(self.heat.ends_at)

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self.heat.dress(look)
        self.times.dress(look)
        self._grid.setColumnMinimumWidth(0, look.px(_NAMES_WIDTH))


class HeatMap(QWidget):
    """Names, scores and spans.

    Attributes
    ----------
    rows : tuple of HeatRow
        What is shown, from top to bottom.
    spans : tuple
        The events shown: each as (row, begin, end), the times in Unix seconds.
    trial : Trial or None
        What would have been told, while somebody tries a threshold.
    ends_at : float or None
        Unix time of the right edge.
    span_seconds : float
        What is shown from left to right.
    """

    time_chosen = Signal(float)
    name_chosen = Signal(str)

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Scores over the last minutes")
        self.setMouseTracking(True)
        self._labels = labels
        self._look = Look()
        self._known: tuple[object, ...] = ()
        self._taggings: Sequence[Tagging] = ()
        self._events: Sequence[Event] = ()
        self._watched: Sequence[Watched] = ()
        self._frozen_at: float | None = None
        self._image = QImage()
        self.rows: tuple[HeatRow, ...] = ()
        self.spans: tuple[tuple[int, float, float], ...] = ()
        self.trial: Trial | None = None
        self.ends_at: float | None = None
        self.span_seconds = span_for(())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size with which layouts can begin."""
        return QSize(200, 100)

    def show_history(
        self,
        taggings: Sequence[Tagging],
        events: Sequence[Event],
        watched: Sequence[Watched],
        frozen_at: float | None,
    ) -> None:
        """See `TimelineView`."""
        known = (taggings[-1] if taggings else None, events, tuple(watched), frozen_at)
        if (
            all(new is old or new == old for new, old in zip(known, self._known, strict=False))
            and self._known
        ):
            return
        self._known = known
        self._taggings, self._events, self._watched = taggings, events, watched
        self._frozen_at = frozen_at
        self._draw()

    def show_trial(self, trial: Trial | None) -> None:
        """Show what would have been told, until told otherwise."""
        if trial != self.trial:
            self.trial = trial
            self._draw()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self._draw()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Choose a time, or a name."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._choose(event.position().toPoint(), pressed=True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move through time while the button is down; tell a name that is cut off."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._choose(event.position().toPoint(), pressed=False)
        row = self._row_at(event.position().toPoint())
        self.setToolTip("" if row is None else row.name)

    def x_of(self, time_seconds: float) -> float:
        """Return where a Unix time is, in pixels from the left."""
        field = self._field()
        return field.right() + 1 - ((self.ends_at or 0.0) - time_seconds) / self.span_seconds * field.width()

    def row_rect(self, place: int) -> QRect:
        """Return where a row is."""
        field = self._field()
        height = self._row_height()
        return QRect(field.left(), place * height, field.width(), height)

    def _choose(self, at: QPoint, *, pressed: bool) -> None:
        field = self._field()
        if at.x() >= field.left():
            if self.ends_at is not None:
                share = (field.right() + 1 - min(at.x(), field.right() + 1)) / field.width()
                self.time_chosen.emit(self.ends_at - share * self.span_seconds)
        elif pressed and (row := self._row_at(at)) is not None:
            self.name_chosen.emit(row.name)

    def _row_at(self, at: QPoint) -> HeatRow | None:
        place = at.y() // self._row_height()
        return self.rows[place] if 0 <= place < len(self.rows) and at.x() < self._field().left() else None

    def _field(self) -> QRect:
        """Return where the scores are."""
        left = self._look.px(_NAMES_WIDTH)
        return QRect(left, 0, max(1, self.width() - left), self.height())

    def _fitting_rows(self) -> int:
        return max(1, self.height() // self._look.px(_ROW_HEIGHT))

    def _row_height(self) -> int:
        return max(1, self.height() // self._fitting_rows())

    def _draw(self) -> None:
        """Settle rows, scores and spans."""
        self.update()
        taggings = self._taggings
        if not taggings:
            self.rows, self.spans, self.ends_at = (), (), None
            return
        self.span_seconds = span_for(taggings)
        self.ends_at = taggings[-1].ended_at
        told = {
            event.label
            for event in self._events
            if event.ended_at is None or event.ended_at >= self.ends_at - self.span_seconds
        }
        scores = scores_of(taggings)
        rows = choose_rows(scores, self._labels, self._watched, told, self._fitting_rows())
        if self.trial is not None:
            others = [row for row in rows if row.name != self.trial.row.name]
            rows = (self.trial.row, *others)[: self._fitting_rows()]
        self.rows = rows
        picture = cells(taggings, scores, rows, self.ends_at, self.span_seconds, self._field().width())
        colours = np.ascontiguousarray(self._look.energies()[picture])
        height, width = colours.shape
        self._image = QImage(colours.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
        places = {row.name: place for place, row in enumerate(rows)}
        self.spans = tuple(
            (places[event.label], event.started_at, event.ended_at or self.ends_at)
            for event in self._events
            if event.label in places
        )

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw names, scores, spans, and where the other views are."""
        colours = self._look.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.panel)
        field = self._field()
        height = self._row_height()
        painter.fillRect(field, colours.well)
        if self.rows:
            target = QRect(field.left(), 0, field.width(), height * len(self.rows))
            painter.drawImage(target, self._image)
            painter.setPen(colours.panel)
            for place in range(1, len(self.rows)):
                painter.drawLine(field.left(), place * height, field.right(), place * height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_names(painter)
        painter.setClipRect(field)
        for place, began, ended in self.spans:
            self._paint_span(painter, place, (began, ended), colours.text)
        if self.trial is not None:
            for began, end in self.trial.spans:
                self._paint_span(
                    painter, 0, (began, end or self.ends_at or began), colours.accent, filled=True
                )
        if self._frozen_at is not None:
            self._paint_view(painter, self._frozen_at)
        painter.end()

    def _paint_names(self, painter: QPainter) -> None:
        look = self._look
        painter.setFont(look.font(13))
        metrics = QFontMetrics(look.font(13))
        width = look.px(_NAMES_WIDTH) - look.px(10)
        for place, row in enumerate(self.rows):
            text = row.name
            if self.trial is not None and place == 0:
                text = f"{len(self.trial.spans)} × {text}"  # noqa: RUF001 - a multiplication sign is meant
            painter.setPen(look.colours.text if row.watched else look.colours.soft)
            box = QRect(0, place * self._row_height(), width, self._row_height())
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, right, metrics.elidedText(text, Qt.TextElideMode.ElideRight, width))

    def _paint_span(
        self,
        painter: QPainter,
        place: int,
        times: tuple[float, float],
        colour: QColor,
        *,
        filled: bool = False,
    ) -> None:
        row = self.row_rect(place)
        left, right = (self.x_of(time) for time in times)
        thick = self._look.px(2)
        box = QRectF(left, row.top() + thick, max(thick * 2, right - left), row.height() - 2 * thick)
        if filled:
            glow = QColor(colour)
            glow.setAlpha(110)
            painter.setBrush(glow)
        else:
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, thick))
        painter.drawRoundedRect(box, thick * 2, thick * 2)

    def _paint_view(self, painter: QPainter, frozen_at: float) -> None:
        """Mark the ten seconds that the other views show."""
        left, right = self.x_of(frozen_at - PICTURE_SECONDS), self.x_of(frozen_at)
        box = QRectF(left, 0, max(2.0, right - left), self._field().height())
        veil = QColor(self._look.colours.text)
        veil.setAlpha(50)
        painter.fillRect(box, veil)
        painter.setPen(QPen(self._look.colours.accent, self._look.px(2)))
        painter.drawLine(box.topRight(), box.bottomRight())
