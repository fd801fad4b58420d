"""Heat map of the timeline: scores as colours, events as outlines."""

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from streamer.messages import Event, Tagging, Watched

from ..data.heatrows import HeatRow, ThresholdPreview, make_picture
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
    name_of : callable
        Name on screen of a label or watched sound.

    Attributes
    ----------
    picture : HeatPicture
        Rows, scores and events on screen.
    preview : ThresholdPreview or None
        Events that another threshold would have given.
    """

    time_chosen = Signal(float)
    name_chosen = Signal(str)

    def __init__(self, labels: Sequence[str], name_of: Callable[[str], str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Scores over the last minutes")
        self.setMouseTracking(True)
        self._labels = labels
        self._name_of = name_of
        self._style = Style()
        self._given: tuple[object, ...] = ()
        self._taggings: Sequence[Tagging] = ()
        self._events: Sequence[Event] = ()
        self._watched: Sequence[Watched] = ()
        self._frozen_at: float | None = None
        self._image = QImage()
        self.preview: ThresholdPreview | None = None
        self._compute()

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
        if self._given and all(new is old or new == old for new, old in zip(given, self._given, strict=True)):
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
        plot, picture = self._plot_rect(), self.picture
        share = ((picture.ends_at or 0.0) - time_seconds) / picture.span_seconds
        return plot.right() + 1 - share * plot.width()

    def row_rect(self, index: int) -> QRect:
        """Return the rectangle of a row."""
        plot = self._plot_rect()
        height = self._row_height()
        return QRect(plot.left(), index * height, plot.width(), height)

    def _choose(self, at: QPoint, *, pressed: bool) -> None:
        plot = self._plot_rect()
        if at.x() >= plot.left():
            if self.picture.ends_at is not None:
                share = (plot.right() + 1 - min(at.x(), plot.right() + 1)) / plot.width()
                self.time_chosen.emit(self.picture.ends_at - share * self.picture.span_seconds)
        elif pressed and (row := self._row_at(at)) is not None:
            self.name_chosen.emit(row.name)

    def _row_at(self, at: QPoint) -> HeatRow | None:
        """Return the row whose name is at a point."""
        rows, index = self.picture.rows, at.y() // self._row_height()
        return rows[index] if 0 <= index < len(rows) and at.x() < self._plot_rect().left() else None

    def _plot_rect(self) -> QRect:
        """Return the rectangle of the scores."""
        left = self._style.px(NAMES_WIDTH)
        return QRect(left, 0, max(1, self.width() - left), self.height())

    def _fitting_rows(self) -> int:
        return max(1, self.height() // self._style.px(_ROW_HEIGHT))

    def _row_height(self) -> int:
        return max(1, self.height() // self._fitting_rows())

    def _compute(self) -> None:
        """Compute the picture and repaint."""
        self.picture = make_picture(
            self._taggings,
            self._events,
            self._watched,
            preview=self.preview,
            labels=self._labels,
            max_rows=self._fitting_rows(),
            width=self._plot_rect().width(),
        )
        colours = np.ascontiguousarray(self._style.score_table()[self.picture.cells])
        height, width = colours.shape
        self._image = QImage(colours.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw names, scores and events, and mark the time that the other panels show."""
        colours = self._style.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.panel)
        plot = self._plot_rect()
        height = self._row_height()
        painter.fillRect(plot, colours.plot)
        if self.picture.rows:
            target = QRect(plot.left(), 0, plot.width(), height * len(self.picture.rows))
            painter.drawImage(target, self._image)
            painter.setPen(colours.panel)
            for index in range(1, len(self.picture.rows)):
                painter.drawLine(plot.left(), index * height, plot.right(), index * height)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_names(painter)
        painter.setClipRect(plot)
        for index, start, end in self.picture.spans:
            self._paint_span(painter, index, (start, end), colours.text)
        if self.preview is not None:
            for start, open_end in self.preview.spans:
                end = open_end or self.picture.ends_at or start
                self._paint_span(painter, 0, (start, end), colours.accent, filled=True)
        if self._frozen_at is not None:
            self._paint_frozen(painter, self._frozen_at)
        painter.end()

    def _paint_names(self, painter: QPainter) -> None:
        style = self._style
        painter.setFont(style.font(13))
        metrics = QFontMetrics(style.font(13))
        width = style.px(NAMES_WIDTH) - style.px(10)
        for index, row in enumerate(self.picture.rows):
            text = self._name_of(row.name)
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
        box = QRectF(left, 0, max(2.0, right - left), self._plot_rect().height())
        fill = QColor(self._style.colours.text)
        fill.setAlpha(50)
        painter.fillRect(box, fill)
        painter.setPen(QPen(self._style.colours.accent, self._style.px(2)))
        painter.drawLine(box.topRight(), box.bottomRight())
