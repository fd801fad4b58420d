"""The scrolling picture of the last 10.24 s.

Scaling an image of 1,024 columns to the window thirty times a second costs a seventh of a processor core. So the
picture is kept in the window's own pixels, as a ring: each tick draws the few columns that are new, and copies
the ring to the window in two pieces.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk

from . import theme
from .columns import COLUMNS, HOP_SAMPLES, MEL_BINS, Columns, RowsFunction, bin_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SECONDS = COLUMNS * HOP_SAMPLES / SAMPLE_RATE_HZ
_FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000)


class SpectrogramView(QWidget):
    """Time from left to right, mel frequency upwards, energy in colour, lost sound as an empty stripe.

    Parameters
    ----------
    rows : callable
        Samples to log-mel rows, see `RowsFunction`.
    """

    def __init__(self, rows: RowsFunction) -> None:
        super().__init__()
        self.setAccessibleName("Spectrogram of the last ten seconds")
        self._rows = rows
        self._plot = pg.PlotWidget(background=theme.PANEL)
        self._plot.setFrameShape(QFrame.Shape.NoFrame)
        item = self._plot.getPlotItem()
        item.hideButtons()
        item.setMenuEnabled(False)
        item.setMouseEnabled(x=False, y=False)
        item.setRange(xRange=(-_SECONDS, 0), yRange=(0, MEL_BINS), padding=0)
        item.disableAutoRange()
        self._axes = item.getAxis("left"), item.getAxis("bottom")
        for axis in self._axes:
            axis.setPen(theme.EDGE)
            axis.setTextPen(theme.SOFT)
        names = ((hz, f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz") for hz in _FREQUENCIES_HZ)
        self._axes[0].setTicks([[(bin_of(hz), name) for hz, name in names]])
        times = [(-seconds, f"-{seconds} s" if seconds else "now") for seconds in (10, 8, 6, 4, 2, 0)]
        self._axes[1].setTicks([times])
        self.picture = Picture(Columns(rows), self._plot.viewport())
        item.getViewBox().sigResized.connect(self._place_picture)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)

    def clear(self) -> None:
        """Forget everything, for another source."""
        self.picture.show_columns(Columns(self._rows))

    def extend(self, chunks: Iterable[AudioChunk]) -> None:
        """Draw new sound on the right."""
        self.picture.columns.extend(chunks)
        self.picture.update()

    def rescale(self, scale: theme.Scale) -> None:
        """Follow the window's size."""
        left, bottom = self._axes
        for axis in self._axes:
            axis.setStyle(
                tickFont=scale.font(12),
                tickLength=scale.px(4),
                tickTextOffset=scale.px(6),
                hideOverlappingLabels=scale.px(40),
            )
        left.setWidth(scale.px(60))
        bottom.setHeight(scale.px(26))
        self._plot.getPlotItem().layout.setContentsMargins(0, scale.px(2), scale.px(16), 0)

    def _place_picture(self) -> None:
        """Lay the picture over the space between the axes."""
        box = self._plot.getPlotItem().getViewBox()
        inside = self._plot.mapFromScene(box.mapRectToScene(box.rect())).boundingRect()
        self.picture.setGeometry(inside)


class Picture(QWidget):
    """Columns as pixels.

    Pixel ``x`` of the endless picture shows the columns from ``x * COLUMNS // width`` on; of several, the loudest.
    Between mel bins the energy is interpolated, before it becomes a colour.

    Parameters
    ----------
    columns : Columns
        What it shows.
    parent : QWidget
        What it lies on.
    """

    def __init__(self, columns: Columns, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.columns = columns
        self._colours = theme.energy_colours()
        self._canvas: NDArray[np.uint32] = np.zeros((0, 0), np.uint32)
        self._image = QImage()
        self._drawn = 0
        self._restarts = columns.restarts

    def show_columns(self, columns: Columns) -> None:
        """Show other columns from now on."""
        self.columns = columns
        self._clear()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Bring the canvas up to date and copy it, unscaled."""
        del event
        ratio = self.devicePixelRatioF()
        self._resize(round(self.width() * ratio), round(self.height() * ratio))
        self._draw()
        height, width = self._canvas.shape
        oldest = self._drawn % width
        older = QRectF(oldest, 0, width - oldest, height)
        newer = QRectF(0, 0, oldest, height)
        painter = QPainter(self)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        for left, part in ((0.0, older), (older.width(), newer)):
            place = QRectF(left / ratio, 0, part.width() / ratio, height / ratio)
            painter.drawImage(place, self._image, part)
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
        self._canvas[:] = theme.WELL.rgb()
        self._drawn = 0
        self._restarts = self.columns.restarts

    def _draw(self) -> None:
        """Draw the pixels whose columns have all come since the last time."""
        if self.columns.restarts != self._restarts:
            self._clear()
        width = self._canvas.shape[1]
        end = self.columns.end * width // COLUMNS
        pixels = np.arange(max(self._drawn, end - width), end)
        if len(pixels):
            starts = pixels * COLUMNS // width
            values = self.columns.values(int(starts[0]), max(end * COLUMNS // width, int(starts[-1]) + 1))
            loudest = np.maximum.reduceat(values, starts - starts[0], axis=0).astype(np.float32)
            lower, upper = loudest[:, self._lower], loudest[:, self._lower + 1]
            between = (lower + (upper - lower) * self._share + 0.5).astype(np.uint8)
            self._canvas[:, pixels % width] = self._colours[between.T]
        self._drawn = end
