"""Colours, fonts and sizes; every size is multiplied by one scale, which follows the window's size."""

import math
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPixmap

from ..data.columns import EMPTY, GAP

_FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Noto Sans", "DejaVu Sans")


class Tone(Enum):
    """Meaning of a colour."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Colours of a window.

    Attributes
    ----------
    name : {"dark", "light"}
        Name of the theme.
    background, panel, plot, edge, track : QColor
        Background of the window, of panels, of plots; borders; the empty part of bars.
    text, soft, faint, accent : QColor
        Text, less important text, hints, highlights.
    good, warning, bad : QColor
        Colours of `Tone`.
    lost : QColor
        Lost sound: a hue that the colormap does not have.
    colormap : str
        pyqtgraph's colormap for energies and scores. It is perceptually uniform, so it keeps its order for colour-blind
        people and in print. It starts near the colour of plots.
    score_end : float
        Part of the colormap that scores take, from its start; see `score_colour`.
    """

    name: str
    background: QColor
    panel: QColor
    plot: QColor
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
    colormap: str
    score_end: float

    def of(self, tone: Tone) -> QColor:
        """Return the colour for a tone."""
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
    plot=QColor("#05060a"),
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
    colormap="inferno",
    score_end=0.84,
)

LIGHT = Palette(
    name="light",
    background=QColor("#eef0f4"),
    panel=QColor("#ffffff"),
    plot=QColor("#fbfbfc"),
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
    colormap="CET-L17",
    score_end=0.88,
)


def palette_for(theme: str) -> Palette:
    """Return the colours of the theme "dark", "light" or "auto", which follows the system."""
    if theme == "auto":
        light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
        return LIGHT if light else DARK
    return LIGHT if theme == "light" else DARK


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """Scale and colours of a window.

    Attributes
    ----------
    scale : float
        Scale of all sizes: 1.0 in a window of 1280 by 720.
    colours : Palette
        Colours of everything.
    """

    scale: float = 1.0
    colours: Palette = DARK

    def px(self, length: float) -> int:
        """Return a length in whole pixels, at least one."""
        return max(1, round(length * self.scale))

    def font(self, size: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """Return the window's font in a size (pixels at scale 1). It is shared: don't change it."""
        return _font(max(10, self.px(size)), weight)

    def colour_table(self) -> NDArray[np.uint32]:
        """Return the colour of each value of a spectrogram column: uint32 (256,), 0xffRRGGBB."""
        return _colour_table(self.colours)

    def score_colour(self, score: float) -> QColor:
        """Return the colour of a score, the same wherever a score is drawn: bars, timeline, events, kiosk."""
        return score_colour(self.colours, score)

    def score_table(self) -> NDArray[np.uint32]:
        """Return the colour of each value of the timeline: uint32 (256,), 0xffRRGGBB; values 1 to 254 are scores 0 to 1."""
        return _score_table(self.colours)


@lru_cache(maxsize=256)
def _font(pixels: int, weight: QFont.Weight) -> QFont:
    font = QFont(_family())
    font.setPixelSize(pixels)
    font.setWeight(weight)
    return font


def scale_for(width: int, height: int) -> float:
    """Return the scale for a window of a size in pixels."""
    fitting = min(max(width, height) / 1280, min(width, height) / 720)
    return min(4.0, max(0.8, fitting))


@cache
def _family() -> str:
    present = set(QFontDatabase.families())
    return next((family for family in _FAMILIES if family in present), QFont().defaultFamily())


@cache
def _colour_table(colours: Palette) -> NDArray[np.uint32]:
    rgb = pg.colormap.get(colours.colormap).getLookupTable(nPts=254, alpha=False).astype(np.uint32)
    table = np.zeros(256, np.uint32)
    table[1:255] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table[EMPTY] = colours.plot.rgb()
    table[GAP] = colours.lost.rgb()
    table.flags.writeable = False
    return table


def score_colour(colours: Palette, score: float) -> QColor:
    """Return the colour of a score: from the colour of plots at 0 to the strongest at 1.

    The place in the colormap is the root of the score, because half of all scores on screen are below 0.2: they stay apart.
    """
    place = colours.score_end * math.sqrt(min(1.0, max(0.0, score)))
    return QColor(int(_colour_table(colours)[1 + round(253 * place)]))


@cache
def _score_table(colours: Palette) -> NDArray[np.uint32]:
    scores = np.clip((np.arange(256) - 1) / 253, 0.0, 1.0)
    table = np.array([score_colour(colours, score).rgb() for score in scores], np.uint32)
    table[EMPTY] = colours.plot.rgb()
    table.flags.writeable = False
    return table


def blend(front: QColor, back: QColor, share: float) -> QColor:
    """Return a mix of two colours: only ``front`` at share 1, only ``back`` at share 0."""
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
    paint_logo(painter, QRectF(22, 22, side - 44, side - 44), Style())
    painter.end()
    return QIcon(pixmap)


def paint_logo(painter: QPainter, rect: QRectF, style: Style) -> None:
    """Draw the program's logo: five bars."""
    heights = (0.34, 0.7, 1.0, 0.56, 0.26)
    step = rect.width() / len(heights)
    painter.setPen(Qt.PenStyle.NoPen)
    for index, height in enumerate(heights):
        bar = QRectF(
            rect.left() + (index + 0.2) * step, rect.center().y() - height * rect.height() / 2, 0.6 * step, 0
        )
        bar.setHeight(height * rect.height())
        painter.setBrush(style.score_colour(height))
        painter.drawRoundedRect(bar, bar.width() / 2, bar.width() / 2)
