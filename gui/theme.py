"""Colours, fonts and distances: every size is a multiple of one scale, which follows the window."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPixmap

from .columns import GAP, NOTHING

BACKGROUND = QColor("#0a0c10")
PANEL = QColor("#11141a")
WELL = QColor("#05060a")
EDGE = QColor("#1e232d")
TRACK = QColor("#1d222c")
TEXT = QColor("#eceff4")
SOFT = QColor("#98a1b3")
FAINT = QColor("#5d6678")
ACCENT = QColor("#fb9b06")
GOOD = QColor("#3ecf9b")
WARNING = QColor("#ffc04d")
BAD = QColor("#ff6161")
LOST = QColor("#24708c")
"""Of sound that was lost: a hue that the map of energies does not have."""

_FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Noto Sans", "DejaVu Sans")


@dataclass(frozen=True, slots=True)
class Scale:
    """How large things are: 1.0 in a window of 1280 by 720."""

    factor: float

    def px(self, length: float) -> int:
        """Return a length in whole pixels, at least one."""
        return max(1, round(length * self.factor))

    def font(self, size: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """Return the font of the window in a size (pixels at scale 1). It is shared: don't change it."""
        return _font(max(10, self.px(size)), weight)


@lru_cache(maxsize=256)
def _font(pixels: int, weight: QFont.Weight) -> QFont:
    font = QFont(_family())
    font.setPixelSize(pixels)
    font.setWeight(weight)
    return font


def scale_for(width: int, height: int, *, kiosk: bool) -> Scale:
    """Return the scale that suits a window; larger where it is read from afar."""
    fitting = min(max(width, height) / 1280, min(width, height) / 720)
    return Scale(min(4.0, max(0.8, fitting)) * (1.25 if kiosk else 1.0))


@cache
def _family() -> str:
    present = set(QFontDatabase.families())
    return next((family for family in _FAMILIES if family in present), QFont().defaultFamily())


@cache
def energy_colours() -> NDArray[np.uint32]:
    """Return the colour of each value of a picture column: uint32 (256,), 0xffRRGGBB.

    "inferno" is perceptually uniform and keeps its order for colour-blind eyes and in print.
    """
    rgb = pg.colormap.get("inferno").getLookupTable(nPts=254, alpha=False).astype(np.uint32)
    table = np.zeros(256, np.uint32)
    table[1:255] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table[NOTHING] = WELL.rgb()
    table[GAP] = LOST.rgb()
    table.flags.writeable = False
    return table


def score_colour(score: float) -> QColor:
    """Return the colour of a bar: from the same map, bright for what is certain."""
    return QColor(int(energy_colours()[1 + round(253 * (0.36 + 0.46 * min(1.0, max(0.0, score))))]))


def blended(front: QColor, back: QColor, share: float) -> QColor:
    """Return a colour between two: ``share`` 1 is the front."""
    return QColor.fromRgbF(
        *(
            share * a + (1 - share) * b
            for a, b in zip(front.getRgbF()[:3], back.getRgbF()[:3], strict=True)  # type: ignore[index]
        )
    )


def icon() -> QIcon:
    """Return the program's icon: five bars of a spectrum."""
    side = 128
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(PANEL)
    painter.drawRoundedRect(QRectF(0, 0, side, side), 28, 28)
    paint_mark(painter, QRectF(22, 22, side - 44, side - 44))
    painter.end()
    return QIcon(pixmap)


def paint_mark(painter: QPainter, rect: QRectF) -> None:
    """Draw the five bars of the program's mark."""
    heights = (0.34, 0.7, 1.0, 0.56, 0.26)
    step = rect.width() / len(heights)
    painter.setPen(Qt.PenStyle.NoPen)
    for place, height in enumerate(heights):
        bar = QRectF(
            rect.left() + (place + 0.2) * step, rect.center().y() - height * rect.height() / 2, 0.6 * step, 0
        )
        bar.setHeight(height * rect.height())
        painter.setBrush(score_colour(height))
        painter.drawRoundedRect(bar, bar.width() / 2, bar.width() / 2)


def style_sheet(scale: Scale) -> str:
    """Return the style of the window's frame; the views paint themselves."""
    return f"""
        #window {{ background: {BACKGROUND.name()}; }}
        #panel {{
            background: {PANEL.name()}; border: 1px solid {EDGE.name()}; border-radius: {scale.px(10)}px;
        }}
        QTabBar {{ background: transparent; border: none; font-size: {scale.px(14)}px; }}
        QTabBar::tab {{
            background: {PANEL.name()}; color: {SOFT.name()}; border: 1px solid {EDGE.name()};
            border-radius: {scale.px(14) - 1}px; height: {scale.px(28) - 2}px;
            padding: 0 {scale.px(11)}px; margin-right: {scale.px(5)}px;
        }}
        QTabBar::tab:hover {{ color: {TEXT.name()}; }}
        QTabBar::tab:selected {{
            background: {EDGE.name()}; color: {TEXT.name()}; border-color: {ACCENT.name()};
        }}
        QTabBar QToolButton {{ background: {PANEL.name()}; border: 1px solid {EDGE.name()}; }}
        QToolTip {{
            background: {PANEL.name()}; color: {TEXT.name()}; border: 1px solid {EDGE.name()};
            padding: {scale.px(4)}px;
        }}
    """
