"""Tags of the kiosk: a pictogram, a name and a bar each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Tagging

from ..actions import Actions
from ..data.tagmotion import MovingTag, TagMotion
from ..look import KioskLook
from ..style import pictograms
from ..style.fitting import paint_fitted
from ..style.theme import Style, blend

_ROWS = 3
_MIN_SCORE = 0.1
_MOVE_SECONDS = 0.04
"""Tags are in their places within 0.15 s, so that two that change places can be read."""
_DIMMED = 0.4
_NAME_SIZE = 0.62
"""Size of the letters of a short name as a share of its box; long ones are down to a quarter of that."""
_MAX_PICTOGRAM_SHARE = 0.3
"""Share of the width that pictograms may take."""
_ROW_HEIGHTS = (0.46, 0.3, 0.24)
"""Height of each row as a share of the widget; the first row is the largest."""


class BigTag(NamedTuple):
    """Tag on screen.

    Attributes
    ----------
    label : str
        Name of the label.
    position : int
        Distance from the top in hundredths of a row.
    tint : int
        Score that gives the colour, in percent.
    strength : int
        Opacity in percent.
    alarming : bool
        True for an alarm that has an event.
    bar : int
        Length of the bar in pixels.
    """

    label: str
    position: int
    tint: int
    strength: int
    alarming: bool
    bar: int


class BigTags(QWidget):
    """Three tags with the highest scores.

    Parameters
    ----------
    labels : sequence of str
        Name of each score.
    actions : Actions
        Kinds and names of sounds.
    look : KioskLook
        Words, and sounds that are not shown.

    Attributes
    ----------
    shown : tuple of BigTag
        Tags on screen.
    """

    def __init__(self, labels: Sequence[str], actions: Actions, look: KioskLook) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(look.say("heard"))
        self._labels = labels
        self._families = actions.families
        self._name_of = actions.name_of
        self._hidden = look.hidden
        self._kept: NDArray[np.bool_] = np.ones(0, np.bool_)
        self._motion = TagMotion(len(labels), move_seconds=_MOVE_SECONDS, least_score=_MIN_SCORE)
        self._tagging: Tagging | None = None
        self._hint = ""
        self._alarming: frozenset[str] = frozenset()
        self._dimmed = False
        self._style = Style()
        self.shown: tuple[BigTag, ...] = ()

    def set_hint(self, hint: str) -> None:
        """Show other words until the first tagging."""
        if hint != self._hint:
            self._hint = hint
            self.update()

    def show_tagging(self, tagging: Tagging | None, alarming: frozenset[str], *, dimmed: bool) -> None:
        """Move towards a tagging; the labels of alarms that have an event stand out."""
        if (alarming, dimmed) != (self._alarming, self._dimmed):
            self._alarming, self._dimmed = alarming, dimmed
            self.update()
        if tagging is not None and tagging is not self._tagging:
            self._tagging = tagging
            self._motion.set_target(np.where(self._kept_of(len(tagging.scores)), tagging.scores, 0))

    def advance(self, seconds: float) -> None:
        """Advance the animation by some seconds, and repaint what has moved."""
        self._motion.advance(seconds, _ROWS)
        old_tags, self.shown = self.shown, tuple(map(self._tag, self._motion.tags()))
        if [tag[:-1] for tag in old_tags] != [tag[:-1] for tag in self.shown]:
            self.update()
            return
        for old, new in zip(old_tags, self.shown, strict=True):
            if old.bar != new.bar:
                self.update(self._bar_rect(new))

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size."""
        super().resizeEvent(event)
        self.advance(0.0)

    def _kept_of(self, count: int) -> NDArray[np.bool_]:
        """Return for each label whether it is shown; labels may be added."""
        if len(self._kept) != count:
            self._kept = np.array([label not in self._hidden for label in self._labels[:count]])
        return self._kept

    def _tag(self, tag: MovingTag) -> BigTag:
        score, name = tag.smooth_score, self._labels[tag.label]
        return BigTag(
            label=name,
            position=round(100 * tag.position),
            tint=10 * round(10 * score),
            strength=10 * round(10 * min(1.0, 0.5 + score)),
            alarming=name in self._alarming and self._families.get(name) == "alarm",
            bar=round(score * self._bar_length()),
        )

    def _names_left(self) -> int:
        """Return the left edge of names and bars, beside the largest pictogram."""
        return self._pictogram_side(self.height() * _ROW_HEIGHTS[0]) + self._style.px(30)

    def _pictogram_side(self, row_height: float) -> int:
        return round(min(0.8 * row_height, _MAX_PICTOGRAM_SHARE * self.width()))

    def _bar_length(self) -> int:
        return max(1, self.width() - self._names_left())

    def _bar_rect(self, tag: BigTag) -> QRect:
        """Return the rectangle of a tag's bar at score 1."""
        rect = self._rect_of(tag)
        height = max(self._style.px(5), rect.height() // 14)
        top = rect.bottom() - rect.height() // 10 - height
        return QRect(self._names_left(), top, self._bar_length(), height)

    def _rect_of(self, tag: BigTag) -> QRect:
        """Return the rectangle of a tag, between the rows that it moves from and to."""
        position = min(tag.position / 100, _ROWS - 1)
        low, share = int(position), position - int(position)
        tops = [sum(_ROW_HEIGHTS[:row]) for row in range(_ROWS + 1)]
        high = min(low + 1, _ROWS - 1)
        top = tops[low] * (1 - share) + tops[high] * share
        height = _ROW_HEIGHTS[low] * (1 - share) + _ROW_HEIGHTS[high] * share
        return QRect(0, round(top * self.height()), self.width(), round(height * self.height()))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the tags, or a hint if there are none."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for tag in reversed(self.shown):
            if tag.alarming:
                self._paint_alarm(painter, tag)
            self._paint_bar(painter, tag)
            above = self._rect_of(tag)
            above.setBottom(self._bar_rect(tag).top() - 1)
            if event.region().intersects(above):
                self._paint_name(painter, tag)
        if not self.shown:
            self._paint_hint(painter)
        painter.end()

    def _colour(self, tag: BigTag) -> QColor:
        colours = self._style.colours
        front = colours.bad if tag.alarming else self._style.score_colour(tag.tint / 100)
        return blend(front, colours.background, _DIMMED) if self._dimmed else front

    def _strength(self, tag: BigTag) -> float:
        return tag.strength / 100 * (_DIMMED if self._dimmed else 1.0)

    def _paint_alarm(self, painter: QPainter, tag: BigTag) -> None:
        """Frame an alarm, which must not stand out by its colour alone."""
        width = self._style.px(3)
        box = QRectF(self._rect_of(tag)).adjusted(width, width, -width, -width)
        painter.setPen(QPen(self._colour(tag), width))
        painter.setBrush(
            blend(self._style.colours.bad, self._style.colours.background, 0.16 * self._strength(tag))
        )
        painter.drawRoundedRect(box, self._style.px(14), self._style.px(14))

    def _paint_bar(self, painter: QPainter, tag: BigTag) -> None:
        track = self._bar_rect(tag)
        radius = track.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._style.colours.track)
        painter.drawRoundedRect(track, radius, radius)
        track.setWidth(max(track.height(), tag.bar))
        painter.setBrush(self._colour(tag))
        painter.drawRoundedRect(track, radius, radius)

    def _paint_name(self, painter: QPainter, tag: BigTag) -> None:
        colours, rect = self._style.colours, self._rect_of(tag)
        side = self._pictogram_side(rect.height())
        column = self._names_left() - self._style.px(30)
        picture = QRectF((column - side) / 2, rect.top() + (rect.height() - side) / 2, side, side)
        family = self._families.get(tag.label, "sound")
        pictograms.paint(painter, family, picture, self._colour(tag))
        gap = rect.height() // 10
        name_height = round(0.82 * (rect.height() - 2 * gap))
        name_box = QRect(self._names_left(), rect.top() + gap, self._bar_length(), name_height)
        front = colours.bad if tag.alarming else colours.text
        painter.setPen(blend(front, colours.background, self._strength(tag)))
        size = _NAME_SIZE * name_height
        left_middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        paint_fitted(
            painter,
            name_box,
            self._name_of(tag.label),
            (size, size / 4),
            align=left_middle,
            weight=QFont.Weight.DemiBold,
        )

    def _paint_hint(self, painter: QPainter) -> None:
        colour: QColor = self._style.colours.soft
        side = self.height() * 0.4
        picture = QRectF((self.width() - side) / 2, self.height() * 0.18, side, side)
        pictograms.paint(painter, "sound", picture, colour)
        painter.setPen(colour)
        below = QRect(0, round(picture.bottom()), self.width(), round(self.height() * 0.3))
        paint_fitted(painter, below, self._hint, (self._style.px(48), self._style.px(16)))
