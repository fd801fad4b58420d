"""Heat map of the timeline: scores as colours, events as outlines."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from streamer.messages import Event, Tagging

from ..actions import Watched
from ..data.heatrows import (
    HeatRow,
    ThresholdPreview,
    cell_values,
    choose_rows,
    span_for,
    stack_scores,
)
from ..style.theme import Style
from .spectrogram import PICTURE_SECONDS

_ROW_HEIGHT = 22
NAMES_WIDTH = 132
"""Width of the names on the left, in pixels at scale 1."""


class HeatMap(QWidget):
    """Heat map with names on the left.

    Parameters
    ----------
    labels : sequence of str
        Name of each score.

    Attributes
    ----------
    rows : tuple of HeatRow
        Rows from top to bottom.
    spans : tuple of (int, float, float)
        Events, each as row index, start and end in Unix seconds.
    preview : ThresholdPreview or None
        Events that another threshold would have given.
    ends_at : float or None
        Unix time at the right edge.
    span_seconds : float
        Time from the left to the right edge.
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
        self._style = Style()
        self._given: tuple[object, ...] = ()
        self._taggings: Sequence[Tagging] = ()
        self._events: Sequence[Event] = ()
        self._watched: Sequence[Watched] = ()
        self._frozen_at: float | None = None
        self._image = QImage()
        self.rows: tuple[HeatRow, ...] = ()
        self.spans: tuple[tuple[int, float, float], ...] = ()
        self.preview: ThresholdPreview | None = None
        self.ends_at: float | None = None
        self.span_seconds = span_for(())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size that layouts can start from."""
        return QSize(200, 100)

    def show_history(
        self,
        taggings: Sequence[Tagging],
        events: Sequence[Event],
        watched: Sequence[Watched],
        frozen_at: float | None,
    ) -> None:
        """See `TimelineView`."""
        given = (taggings[-1] if taggings else None, events, tuple(watched), frozen_at)
        if (
            all(new is old or new == old for new, old in zip(given, self._given, strict=False))
            and self._given
        ):
            return
        self._given = given
        self._taggings, self._events, self._watched = taggings, events, watched
        self._frozen_at = frozen_at
        self._compute()

    def show_preview(self, preview: ThresholdPreview | None) -> None:
        """Show a preview, or none."""
        if preview != self.preview:
            self.preview = preview
            self._compute()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self._compute()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size."""
        super().resizeEvent(event)
        self._compute()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Choose a time or a name."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._choose(event.position().toPoint(), pressed=True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move through time while the button is down; show the full name as a tooltip."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._choose(event.position().toPoint(), pressed=False)
        row = self._row_at(event.position().toPoint())
        self.setToolTip("" if row is None else row.name)

    def x_of(self, time_seconds: float) -> float:
        """Return the position of a Unix time in pixels from the left."""
        field = self._field()
        return field.right() + 1 - ((self.ends_at or 0.0) - time_seconds) / self.span_seconds * field.width()

    def row_rect(self, index: int) -> QRect:
        """Return the rectangle of a row."""
        field = self._field()
        height = self._row_height()
        return QRect(field.left(), index * height, field.width(), height)

    def _choose(self, at: QPoint, *, pressed: bool) -> None:
        field = self._field()
        if at.x() >= field.left():
            if self.ends_at is not None:
                share = (field.right() + 1 - min(at.x(), field.right() + 1)) / field.width()
                self.time_chosen.emit(self.ends_at - share * self.span_seconds)
        elif pressed and (row := self._row_at(at)) is not None:
            self.name_chosen.emit(row.name)

    def _row_at(self, at: QPoint) -> HeatRow | None:
        index = at.y() // self._row_height()
        return self.rows[index] if 0 <= index < len(self.rows) and at.x() < self._field().left() else None

    def _field(self) -> QRect:
        """Return the rectangle of the scores."""
        left = self._style.px(NAMES_WIDTH)
        return QRect(left, 0, max(1, self.width() - left), self.height())

    def _fitting_rows(self) -> int:
        return max(1, self.height() // self._style.px(_ROW_HEIGHT))

    def _row_height(self) -> int:
        return max(1, self.height() // self._fitting_rows())

    def _compute(self) -> None:
        """Compute rows, picture and spans."""
        self.update()
        taggings = self._taggings
        if not taggings:
            self.rows, self.spans, self.ends_at = (), (), None
            return
        self.span_seconds = span_for(taggings)
        self.ends_at = taggings[-1].ended_at
        with_events = {
            event.label
            for event in self._events
            if event.ended_at is None or event.ended_at >= self.ends_at - self.span_seconds
        }
        scores = stack_scores(taggings)
        rows = choose_rows(scores, self._labels, self._watched, with_events, self._fitting_rows())
        if self.preview is not None:
            others = [row for row in rows if row.name != self.preview.row.name]
            rows = (self.preview.row, *others)[: self._fitting_rows()]
        self.rows = rows
        picture = cell_values(taggings, scores, rows, self.ends_at, self.span_seconds, self._field().width())
        colours = np.ascontiguousarray(self._style.colour_table()[picture])
        height, width = colours.shape
        self._image = QImage(colours.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
        indices = {row.name: index for index, row in enumerate(rows)}
        self.spans = tuple(
            (indices[event.label], event.started_at, event.ended_at or self.ends_at)
            for event in self._events
            if event.label in indices
        )

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw names, scores and events, and mark the time that the other panels show."""
        colours = self._style.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.panel)
        field = self._field()
        height = self._row_height()
        painter.fillRect(field, colours.plot)
        if self.rows:
            target = QRect(field.left(), 0, field.width(), height * len(self.rows))
            painter.drawImage(target, self._image)
            painter.setPen(colours.panel)
            for index in range(1, len(self.rows)):
                painter.drawLine(field.left(), index * height, field.right(), index * height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_names(painter)
        painter.setClipRect(field)
        for index, start, end in self.spans:
            self._paint_span(painter, index, (start, end), colours.text)
        if self.preview is not None:
            for start, open_end in self.preview.spans:
                end = open_end or self.ends_at or start
                self._paint_span(painter, 0, (start, end), colours.accent, filled=True)
        if self._frozen_at is not None:
            self._paint_frozen(painter, self._frozen_at)
        painter.end()

    def _paint_names(self, painter: QPainter) -> None:
        style = self._style
        painter.setFont(style.font(13))
        metrics = QFontMetrics(style.font(13))
        width = style.px(NAMES_WIDTH) - style.px(10)
        for index, row in enumerate(self.rows):
            text = row.name
            if self.preview is not None and index == 0:
                text = f"{len(self.preview.spans)} × {text}"  # noqa: RUF001 - a multiplication sign is meant
            painter.setPen(style.colours.text if row.watched else style.colours.soft)
            box = QRect(0, index * self._row_height(), width, self._row_height())
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, right, metrics.elidedText(text, Qt.TextElideMode.ElideRight, width))

    def _paint_span(
        self,
        painter: QPainter,
        index: int,
        times: tuple[float, float],
        colour: QColor,
        *,
        filled: bool = False,
    ) -> None:
        row = self.row_rect(index)
        left, right = (self.x_of(time) for time in times)
        thick = self._style.px(2)
        box = QRectF(left, row.top() + thick, max(thick * 2, right - left), row.height() - 2 * thick)
        if filled:
            fill = QColor(colour)
            fill.setAlpha(110)
            painter.setBrush(fill)
        else:
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, thick))
        painter.drawRoundedRect(box, thick * 2, thick * 2)

    def _paint_frozen(self, painter: QPainter, frozen_at: float) -> None:
        """Mark the ten seconds that the other panels show."""
        left, right = self.x_of(frozen_at - PICTURE_SECONDS), self.x_of(frozen_at)
        box = QRectF(left, 0, max(2.0, right - left), self._field().height())
        fill = QColor(self._style.colours.text)
        fill.setAlpha(50)
        painter.fillRect(box, fill)
        painter.setPen(QPen(self._style.colours.accent, self._style.px(2)))
        painter.drawLine(box.topRight(), box.bottomRight())
