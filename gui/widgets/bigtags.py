"""The sounds that are heard, for a wall: a picture, a word and a bar each."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Tagging

from ..data.ranking import Ranking
from ..style import pictograms
from ..style.theme import Look, blended

_ROWS = 3
_LEAST_SHOWN = 0.1
_GLIDE_SECONDS = 0.25
_SHARES = (0.46, 0.3, 0.24)
"""The height of each row: what is most certain is largest."""


class BigTag(NamedTuple):
    """One tag on screen: hundredths of rows from the top, tint and strength in percent, and the bar in pixels."""

    label: str
    place: int
    tint: int
    strength: int
    alarming: bool
    bar: int


class BigTags(QWidget):
    """The three most certain tags.

    Parameters
    ----------
    labels : sequence of str
        The name of each score.
    families : mapping of str to str
        What kind of sound a label is.

    Attributes
    ----------
    shown : tuple of BigTag
        What is on screen, from top to bottom.
    """

    def __init__(self, labels: Sequence[str], families: Mapping[str, str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sounds heard, most certain first")
        self._labels = labels
        self._families = families
        self._ranking = Ranking(len(labels), _ROWS)
        self._tagging: Tagging | None = None
        self._places: dict[int, float] = {}
        self._alarming: frozenset[str] = frozenset()
        self._dimmed = False
        self._look = Look()
        self.shown: tuple[BigTag, ...] = ()

    def show_tagging(self, tagging: Tagging | None, alarming: frozenset[str], *, dimmed: bool) -> None:
        """Move towards a tagging from now on; an alarm that is told of now stands out."""
        if (alarming, dimmed) != (self._alarming, self._dimmed):
            self._alarming, self._dimmed = alarming, dimmed
            self.update()
        if tagging is not None and tagging is not self._tagging:
            self._tagging = tagging
            self._ranking.aim(tagging.scores)

    def advance(self, seconds: float) -> None:
        """Let time pass, and repaint if anything has moved."""
        self._ranking.advance(seconds)
        step = -math.expm1(-seconds / _GLIDE_SECONDS)
        order = [label for label in self._ranking.order if self._ranking.scores[label] >= _LEAST_SHOWN]
        self._places = {
            label: place + (self._places.get(label, place) - place) * (1 - step)
            for place, label in enumerate(order)
        }
        before, self.shown = self.shown, tuple(self._tag(*item) for item in self._places.items())
        if [tag[:-1] for tag in before] != [tag[:-1] for tag in self.shown]:
            self.update()
            return
        for old, new in zip(before, self.shown, strict=True):
            if old.bar != new.bar:
                self.update(self._bar_rect(new))

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self.advance(0.0)

    def _tag(self, label: int, place: float) -> BigTag:
        score = float(self._ranking.scores[label])
        name = self._labels[label]
        return BigTag(
            label=name,
            place=round(100 * place),
            tint=10 * round(10 * score),
            strength=10 * round(10 * min(1.0, 0.5 + score)),
            alarming=name in self._alarming and self._families.get(name) == "alarm",
            bar=round(score * self._bar_length()),
        )

    def _words_left(self) -> int:
        """Return where words and bars begin, beside the largest picture."""
        return round(_SHARES[0] * self.height() * 0.8) + self._look.px(30)

    def _bar_length(self) -> int:
        return max(1, self.width() - self._words_left())

    def _bar_rect(self, tag: BigTag) -> QRect:
        """Return where a tag's bar may be."""
        rect = self._rect_of(tag)
        height = max(self._look.px(5), rect.height() // 14)
        top = rect.bottom() - rect.height() // 10 - height
        return QRect(self._words_left(), top, self._bar_length(), height)

    def _rect_of(self, tag: BigTag) -> QRect:
        """Return where a tag is: between the rows that it moves from and to."""
        place = min(tag.place / 100, _ROWS - 1)
        low, share = int(place), place - int(place)
        tops = [sum(_SHARES[:row]) for row in range(_ROWS + 1)]
        high = min(low + 1, _ROWS - 1)
        top = tops[low] * (1 - share) + tops[high] * share
        height = _SHARES[low] * (1 - share) + _SHARES[high] * share
        return QRect(0, round(top * self.height()), self.width(), round(height * self.height()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the tags; where nothing is heard, say so."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._look.colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for tag in reversed(self.shown):
            self._paint_bar(painter, tag)
            above = self._rect_of(tag)
            above.setBottom(self._bar_rect(tag).top() - 1)
            if event.region().intersects(above):
                self._paint_words(painter, tag)
        if not self.shown:
            self._paint_nothing(painter)
        painter.end()

    def _colour(self, tag: BigTag) -> QColor:
        colours = self._look.colours
        front = colours.bad if tag.alarming else self._look.score(tag.tint / 100)
        return blended(front, colours.background, self._strength(tag))

    def _strength(self, tag: BigTag) -> float:
        return tag.strength / 100 * (0.4 if self._dimmed else 1.0)

    def _paint_bar(self, painter: QPainter, tag: BigTag) -> None:
        track = self._bar_rect(tag)
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._look.colours.track)
        painter.drawRoundedRect(track, radius, radius)
        track.setWidth(max(track.height(), tag.bar))
        painter.setBrush(self._colour(tag))
        painter.drawRoundedRect(track, radius, radius)

    def _paint_words(self, painter: QPainter, tag: BigTag) -> None:
        colours, rect = self._look.colours, self._rect_of(tag)
        gap = rect.height() // 10
        side = rect.height() - 2 * gap
        column = self._words_left() - self._look.px(30)
        picture = QRectF((column - side) / 2, rect.top() + gap, side, side)
        family = self._families.get(tag.label, "sound")
        pictograms.paint(painter, family, picture, self._colour(tag))
        words = QRect(self._words_left(), rect.top() + gap, self._bar_length(), round(side * 0.82))
        font = self._fitted(tag.label, words)
        painter.setFont(font)
        front = colours.bad if tag.alarming else colours.text
        painter.setPen(blended(front, colours.background, self._strength(tag)))
        text = QFontMetrics(font).elidedText(tag.label, Qt.TextElideMode.ElideRight, words.width())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_nothing(self, painter: QPainter) -> None:
        colour: QColor = self._look.colours.faint
        side = self.height() * 0.4
        picture = QRectF((self.width() - side) / 2, self.height() * 0.18, side, side)
        pictograms.paint(painter, "sound", picture, colour)
        painter.setPen(colour)
        painter.setFont(self._look.font(40))
        below = QRect(0, round(picture.bottom()), self.width(), round(self.height() * 0.3))
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, "Listening…")

    def _fitted(self, label: str, box: QRect) -> QFont:
        """Return a font as large as the box, or as the words allow: down to a half."""
        pixels = box.height() * 0.62
        font = Look(1.0).font(pixels, QFont.Weight.DemiBold)
        needed = QFontMetrics(font).horizontalAdvance(label)
        if needed > box.width():
            font = Look(1.0).font(
                max(pixels / 2, 0.98 * pixels * box.width() / needed), QFont.Weight.DemiBold
            )
        return font
