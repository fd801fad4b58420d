"""Colours, fonts and distances: every size is a multiple of one factor, which follows the window."""

from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPixmap

from ..data.columns import GAP, NOTHING

_FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Noto Sans", "DejaVu Sans")


class Tone(Enum):
    """What a word or a light says by its colour."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The colours of a window.

    Attributes
    ----------
    energies : str
        A map of pyqtgraph's for energies and scores: perceptually uniform, so that it keeps its order for colour-blind eyes
        and in print. It begins near the colour of the well.
    scores : tuple of float
        The stretch of that map that bars are drawn in: from uncertain to certain.
    lost : QColor
        Of sound that was lost: a hue that the map does not have.
    """

    name: str
    background: QColor
    panel: QColor
    well: QColor
    edge: QColor
    track: QColor
    text: QColor
    soft: QColor
    faint: QColor
    accent: QColor
    good: QColor
    warning: QColor
    bad: QColor
    lost: QColor
    energies: str
    scores: tuple[float, float]

    def of(self, tone: Tone) -> QColor:
        """Return the colour of a tone."""
        return {
            Tone.PLAIN: self.text,
            Tone.GOOD: self.good,
            Tone.WARNING: self.warning,
            Tone.BAD: self.bad,
        }[tone]


DARK = Palette(
    name="dark",
    background=QColor("#0a0c10"),
    panel=QColor("#11141a"),
    well=QColor("#05060a"),
    edge=QColor("#1e232d"),
    track=QColor("#1d222c"),
    text=QColor("#eceff4"),
    soft=QColor("#98a1b3"),
    faint=QColor("#5d6678"),
    accent=QColor("#fb9b06"),
    good=QColor("#3ecf9b"),
    warning=QColor("#ffc04d"),
    bad=QColor("#ff6161"),
    lost=QColor("#24708c"),
    energies="inferno",
    scores=(0.36, 0.82),
)

LIGHT = Palette(
    name="light",
    background=QColor("#eef0f4"),
    panel=QColor("#ffffff"),
    well=QColor("#fbfbfc"),
    edge=QColor("#d5dae3"),
    track=QColor("#e4e8ee"),
    text=QColor("#171b23"),
    soft=QColor("#535c6e"),
    faint=QColor("#8a93a5"),
    accent=QColor("#8a2397"),
    good=QColor("#0e6b4d"),
    warning=QColor("#8a5800"),
    bad=QColor("#b82222"),
    lost=QColor("#8fc4b4"),
    energies="CET-L17",
    scores=(0.42, 0.86),
)


def palette_for(theme: str) -> Palette:
    """Return the colours of the theme "dark", "light" or "auto", which is the system's."""
    if theme == "auto":
        light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
        return LIGHT if light else DARK
    return LIGHT if theme == "light" else DARK


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How large and in which colours things are.

    Attributes
    ----------
    factor : float
        1.0 in a window of 1280 by 720.
    colours : Palette
        In which they are drawn.
    """

    factor: float = 1.0
    colours: Palette = DARK

    def px(self, length: float) -> int:
        """Return a length in whole pixels, at least one."""
        return max(1, round(length * self.factor))

    def font(self, size: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """Return the font of the window in a size (pixels at factor 1). It is shared: don't change it."""
        return _font(max(10, self.px(size)), weight)

    def energies(self) -> NDArray[np.uint32]:
        """Return the colour of each value of a picture column: uint32 (256,), 0xffRRGGBB."""
        return _energies(self.colours)

    def score(self, score: float) -> QColor:
        """Return the colour of a bar: from the same map, strong for what is certain."""
        low, high = self.colours.scores
        share = low + (high - low) * min(1.0, max(0.0, score))
        return QColor(int(self.energies()[1 + round(253 * share)]))


@lru_cache(maxsize=256)
def _font(pixels: int, weight: QFont.Weight) -> QFont:
    font = QFont(_family())
    font.setPixelSize(pixels)
    font.setWeight(weight)
    return font


def factor_for(width: int, height: int) -> float:
    """Return the factor that suits a window."""
    fitting = min(max(width, height) / 1280, min(width, height) / 720)
    return min(4.0, max(0.8, fitting))


@cache
def _family() -> str:
    present = set(QFontDatabase.families())
    return next((family for family in _FAMILIES if family in present), QFont().defaultFamily())


@cache
def _energies(colours: Palette) -> NDArray[np.uint32]:
    rgb = pg.colormap.get(colours.energies).getLookupTable(nPts=254, alpha=False).astype(np.uint32)
    table = np.zeros(256, np.uint32)
    table[1:255] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table[NOTHING] = colours.well.rgb()
    table[GAP] = colours.lost.rgb()
    table.flags.writeable = False
    return table


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
    painter.setBrush(DARK.panel)
    painter.drawRoundedRect(QRectF(0, 0, side, side), 28, 28)
    paint_mark(painter, QRectF(22, 22, side - 44, side - 44), Look())
    painter.end()
    return QIcon(pixmap)


def paint_mark(painter: QPainter, rect: QRectF, look: Look) -> None:
    """Draw the five bars of the program's mark."""
    heights = (0.34, 0.7, 1.0, 0.56, 0.26)
    step = rect.width() / len(heights)
    painter.setPen(Qt.PenStyle.NoPen)
    for place, height in enumerate(heights):
        bar = QRectF(
            rect.left() + (place + 0.2) * step, rect.center().y() - height * rect.height() / 2, 0.6 * step, 0
        )
        bar.setHeight(height * rect.height())
        painter.setBrush(look.score(height))
        painter.drawRoundedRect(bar, bar.width() / 2, bar.width() / 2)
