"""Texts of any length in a box: in several lines, and smaller where that is not enough."""

from functools import lru_cache
from typing import NamedTuple

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter

from .theme import Style

_STEP = 0.93
"""Ratio of one size of the letters to the one before."""
_FILL = 0.85
"""Share of a box that lines without spaces fill for certain."""


class Fitted(NamedTuple):
    """Text that fits into a box.

    Attributes
    ----------
    font : QFont
        Font in which it fits. It is shared: don't change it.
    text : str
        Text; if it is too long for the smallest letters, without its middle.
    flags : int
        Flags that break it into lines.
    """

    font: QFont
    text: str
    flags: int


@lru_cache(maxsize=64)
def fit(
    text: str, width: int, height: int, sizes: tuple[float, float], weight: QFont.Weight = QFont.Weight.Normal
) -> Fitted:
    """Fit a text into a box.

    Parameters
    ----------
    text : str
        Text of any length.
    width, height : int
        Size of the box in pixels.
    sizes : (float, float)
        Largest and smallest size of the letters in pixels.
    weight : QFont.Weight
        Weight of the letters.
    """
    size, least = sizes
    box, words = QRect(0, 0, width, height), Qt.TextFlag.TextWordWrap.value
    while True:
        font = Style().font(size, weight)
        needed = QFontMetrics(font).boundingRect(box, words, text)
        if needed.width() <= width and needed.height() <= height:
            return Fitted(font, text, words)
        if size <= least:
            break
        size = max(least, _STEP * size)
    metrics = QFontMetrics(font)
    lines = max(1, height // metrics.lineSpacing())
    room = width if lines == 1 else round(_FILL * lines * width)
    shown = metrics.elidedText(text.replace("\n", " "), Qt.TextElideMode.ElideMiddle, room)
    needed = metrics.boundingRect(box, words, shown)
    anywhere = needed.width() > width or needed.height() > height
    return Fitted(font, shown, Qt.TextFlag.TextWrapAnywhere.value if anywhere else words)


def paint_fitted(
    painter: QPainter,
    box: QRect,
    text: str,
    sizes: tuple[float, float],
    *,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignCenter,
    weight: QFont.Weight = QFont.Weight.Normal,
) -> None:
    """Draw a text in a box, with the painter's pen; see `fit`."""
    fitted = fit(text, box.width(), box.height(), sizes, weight)
    painter.setFont(fitted.font)
    painter.drawText(box, align.value | fitted.flags, fitted.text)
