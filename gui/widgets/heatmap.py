"""Heat map of the timeline: scores as colours, events as outlines."""

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from streamer.messages import Event, Tagging, Watched

from ..data.heatrows import HeatRow, ThresholdPreview, make_picture
from ..style.theme import Style
from .heatpainter import HeatGeometry, HeatPainter
from .spectrogram import PICTURE_SECONDS


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
        return self._geometry.x_of(time_seconds, self.picture)

    def row_rect(self, index: int) -> QRect:
        """Return the rectangle of a row."""
        return self._geometry.row_rect(index)

    def _choose(self, at: QPoint, *, pressed: bool) -> None:
        time_seconds = self._geometry.time_at(at, self.picture)
        if time_seconds is not None:
            self.time_chosen.emit(time_seconds)
        elif pressed and (row := self._row_at(at)) is not None:
            self.name_chosen.emit(row.name)

    def _row_at(self, at: QPoint) -> HeatRow | None:
        """Return the row whose name is at a point."""
        rows, index = self.picture.rows, self._geometry.name_row(at)
        return rows[index] if index is not None and 0 <= index < len(rows) else None

    def _compute(self) -> None:
        """Compute the picture and repaint."""
        self._geometry = HeatGeometry(self._style, self.size())
        self.picture = make_picture(
            self._taggings,
            self._events,
            self._watched,
            preview=self.preview,
            labels=self._labels,
            max_rows=self._geometry.max_rows,
            width=self._geometry.plot.width(),
        )
        colours = np.ascontiguousarray(self._style.score_table()[self.picture.cells])
        height, width = colours.shape
        self._image = QImage(colours.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw names, scores and events, and mark the time that the other panels show."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.panel)
        heat = HeatPainter(painter, self._style, self._geometry, self.picture)
        heat.scores(self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        heat.names(self._name_of, self.preview)
        painter.setClipRect(self._geometry.plot)
        heat.events(self.preview)
        if self._frozen_at is not None:
            heat.time(self._frozen_at - PICTURE_SECONDS, self._frozen_at)
        painter.end()
