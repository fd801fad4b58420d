"""Scrolling spectrogram of 10.24 s.

Scaling an image of 1,024 columns to the window thirty times a second takes a seventh of a processor core. So the
picture is a ring buffer in the window's own pixels: each tick draws the few columns that are new, and copies the
ring to the window in two pieces.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QWidget

from streamer.messages import SAMPLE_RATE_HZ

from ..data.columns import (
    COLUMNS,
    HOP_SAMPLES,
    MEL_BINS,
    Columns,
    bin_of,
)
from ..style.theme import Style
from .selection import Selection
from .timeaxis import TimeAxis

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE_SECONDS = COLUMNS * HOP_SAMPLES / SAMPLE_RATE_HZ
"""Length of the picture."""

_FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000)


class SpectrogramView(QWidget):
    """Spectrogram: clock time from left to right, mel frequency upwards, energy as colour, lost sound as a stripe.

    Parameters
    ----------
    columns : Columns
        Columns to show.

    Attributes
    ----------
    picture : Picture
        Picture between the axes.
    times : TimeAxis
        Axis below the picture.
    selection : Selection
        Selected stretch.
    """

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.setAccessibleName("Spectrogram of ten seconds")
        self._plot = pg.PlotWidget()
        self._plot.setFrameShape(QFrame.Shape.NoFrame)
        item = self._plot.getPlotItem()
        item.hideButtons()
        item.hideAxis("bottom")
        item.setMenuEnabled(False)
        item.setMouseEnabled(x=False, y=False)
        item.setRange(xRange=(-PICTURE_SECONDS, 0), yRange=(0, MEL_BINS), padding=0)
        item.disableAutoRange()
        self._frequencies = item.getAxis("left")
        names = ((hz, f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz") for hz in _FREQUENCIES_HZ)
        self._frequencies.setTicks([[(bin_of(hz), name) for hz, name in names]])
        self.picture = Picture(columns, self._plot.viewport())
        self.selection = Selection(self.picture)
        self.times = TimeAxis(PICTURE_SECONDS)
        item.getViewBox().sigResized.connect(self._move_picture)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._grid.addWidget(self._plot, 0, 0, 1, 3)
        self._grid.addWidget(self.times, 1, 1)

    def show_columns(self, columns: Columns) -> None:
        """Show the columns of another source."""
        self.picture.show_columns(columns)
        self.selection.clear()
        self.advance(None)

    def advance(self, frozen_at: float | None) -> None:
        """Show the newest columns, or those up to a Unix time."""
        columns = self.picture.columns
        if frozen_at is None:
            self.picture.show_end(None)
            self.times.show_end(columns.time_of(columns.end) if columns.started else None)
        else:
            self.picture.show_end(columns.column_at(frozen_at))
            self.times.show_end(frozen_at)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._plot.setBackground(style.colours.panel)
        self._frequencies.setPen(style.colours.edge)
        self._frequencies.setTextPen(style.colours.soft)
        self._frequencies.setStyle(
            tickFont=style.font(12),
            tickLength=style.px(4),
            tickTextOffset=style.px(6),
            hideOverlappingLabels=style.px(40),
        )
        left, right = style.px(60), style.px(16)
        self._frequencies.setWidth(left)
        self._plot.getPlotItem().layout.setContentsMargins(0, style.px(2), right, 0)
        self._grid.setColumnMinimumWidth(0, left)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnMinimumWidth(2, right)
        self.picture.apply_style(style)
        self.selection.apply_style(style)
        self.times.apply_style(style)

    def _move_picture(self) -> None:
        """Move the picture over the area beside the axis."""
        box = self._plot.getPlotItem().getViewBox()
        inside = self._plot.mapFromScene(box.mapRectToScene(box.rect())).boundingRect()
        self.picture.setGeometry(inside)
        self.selection.resize(inside.size())


class Picture(QWidget):
    """Columns as pixels.

    Pixel ``x`` of the endless picture shows the columns from ``x * COLUMNS // width`` on; if they are several, the loudest.
    The energy is interpolated between mel bins before it becomes a colour.

    Parameters
    ----------
    columns : Columns
        Columns to show.
    parent : QWidget
        Widget below the picture.

    Attributes
    ----------
    columns : Columns
        Columns to show.
    """

    def __init__(self, columns: Columns, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.columns = columns
        self._style = Style()
        self._end: int | None = None
        self._canvas: NDArray[np.uint32] = np.zeros((0, 0), np.uint32)
        self._image = QImage()
        self._drawn = 0
        self._restarts = columns.restarts

    @property
    def end(self) -> int:
        """Index of the column after the last one on screen."""
        return self.columns.end if self._end is None else self._end

    def show_columns(self, columns: Columns) -> None:
        """Show other columns."""
        self.columns = columns
        self._clear()
        self.update()

    def show_end(self, end: int | None) -> None:
        """Show the columns before an index, or the newest ones."""
        if end is None or end != self._end:
            self._end = end
            self.update()

    def apply_style(self, style: Style) -> None:
        """Apply colours."""
        self._style = style
        self._clear()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw new columns on the canvas and copy it, unscaled."""
        del event
        ratio = self.devicePixelRatioF()
        self._resize(round(self.width() * ratio), round(self.height() * ratio))
        self._draw()
        height, width = self._canvas.shape
        split = self._drawn % width
        older = QRectF(split, 0, width - split, height)
        newer = QRectF(0, 0, split, height)
        painter = QPainter(self)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        for left, part in ((0.0, older), (older.width(), newer)):
            target = QRectF(left / ratio, 0, part.width() / ratio, height / ratio)
            painter.drawImage(target, self._image, part)
        painter.end()

    def _resize(self, width: int, height: int) -> None:
        if self._canvas.shape == (height, width):
            return
        self._canvas = np.zeros((height, width), np.uint32)
        self._image = QImage(self._canvas.data, width, height, 4 * width, QImage.Format.Format_RGB32)
        middles = np.clip((height - 0.5 - np.arange(height)) * (MEL_BINS / height) - 0.5, 0, MEL_BINS - 1)
        self._lower = np.minimum(middles.astype(np.intp), MEL_BINS - 2)
        self._share = (middles - self._lower).astype(np.float32)
        self._clear()

    def _clear(self) -> None:
        self._canvas[:] = self._style.colours.plot.rgb()
        self._drawn = 0
        self._restarts = self.columns.restarts

    def _draw(self) -> None:
        """Draw the pixels whose columns have all arrived since the last call."""
        if self.columns.restarts != self._restarts:
            self._clear()
        width = self._canvas.shape[1]
        end = self.end * width // COLUMNS
        if end < self._drawn:
            self._drawn = end - width
        pixels = np.arange(max(self._drawn, end - width), end)
        if len(pixels):
            starts = pixels * COLUMNS // width
            values = self.columns.values(int(starts[0]), max(end * COLUMNS // width, int(starts[-1]) + 1))
            loudest = np.maximum.reduceat(values, starts - starts[0], axis=0).astype(np.float32)
            lower, upper = loudest[:, self._lower], loudest[:, self._lower + 1]
            interpolated = (lower + (upper - lower) * self._share + 0.5).astype(np.uint8)
            self._canvas[:, pixels % width] = self._style.colour_table()[interpolated.T]
        self._drawn = end
