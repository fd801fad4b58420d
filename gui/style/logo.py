"""Logo of the kiosk: the program's own, or a picture that the owner chooses."""

from typing import Protocol

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImageReader, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from ..errors import LookError
from ..look import KioskLook
from .theme import Style, paint_logo

_WIDEST = 6.0
"""Most times that a logo may be as wide as it is high on screen."""


class Logo(Protocol):
    """Logo that can be drawn in any size."""

    def paint(self, painter: QPainter, box: QRectF, style: Style) -> float:
        """Draw it as high as a box at its left edge; return the width that it took."""
        ...


def load_logo(look: KioskLook) -> Logo:
    """Return the logo of a kiosk.

    Raises
    ------
    LookError
        Its file can't be read, or is no picture.
    """
    if look.logo is None:
        return _OwnLogo()
    look.check()
    renderer = (
        QSvgRenderer(str(look.logo)) if look.logo.suffix.lower() in {".svg", ".svgz"} else QSvgRenderer()
    )
    if renderer.isValid() and not renderer.defaultSize().isEmpty():
        return _VectorLogo(renderer)
    image = QImageReader(str(look.logo)).read()
    if image.isNull():
        raise LookError(f"kiosk_logo: {look.logo} is damaged; give another PNG or SVG")
    return _PixelLogo(QPixmap.fromImage(image))


class _OwnLogo:
    def paint(self, painter: QPainter, box: QRectF, style: Style) -> float:
        side = 0.65 * box.height()
        paint_logo(painter, QRectF(box.left(), box.center().y() - side / 2, side, side), style)
        return side


class _VectorLogo:
    def __init__(self, renderer: QSvgRenderer) -> None:
        self._renderer = renderer
        self._renderer.setAspectRatioMode(Qt.AspectRatioMode.KeepAspectRatio)

    def paint(self, painter: QPainter, box: QRectF, style: Style) -> float:
        del style
        size = self._renderer.defaultSize()
        place = _fitted(size.width() / size.height(), box)
        self._renderer.render(painter, place)
        return place.width()


class _PixelLogo:
    def __init__(self, pixmap: QPixmap) -> None:
        self._pixmap = pixmap

    def paint(self, painter: QPainter, box: QRectF, style: Style) -> float:
        del style
        place = _fitted(self._pixmap.width() / self._pixmap.height(), box)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(place, self._pixmap, QRectF(self._pixmap.rect()))
        return place.width()


def _fitted(ratio: float, box: QRectF) -> QRectF:
    """Return the place of a picture: as high as the box, unless it would be too wide."""
    width = min(ratio, _WIDEST) * box.height()
    height = width / ratio
    return QRectF(box.left(), box.center().y() - height / 2, width, height)
