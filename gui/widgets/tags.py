"""Tags with the highest scores, as bars that move smoothly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QWidget

from streamer.messages import Tagging

from ..data.tagmotion import TagMotion
from ..style.fitting import paint_fitted
from ..style.theme import Style
from .tagrows import Row, RowGeometry, RowPainter, strength_of

_MOVE_SECONDS = 0.04
"""Rows are in their places within 0.15 s."""


@dataclass(slots=True)
class _Drag:
    """Threshold that the mouse holds.

    Attributes
    ----------
    label : int
        Label of the threshold.
    pressed_at : QPoint
        Position at which the button was pressed.
    offset : int
        Distance from the threshold to this position in pixels.
    moved : bool
        True once the mouse has moved too far for a click.
    """

    label: int
    pressed_at: QPoint
    offset: int
    moved: bool = False


class TagsView(QWidget):
    """Row for each of the top labels with name, bar and score; a mark on the bar is the threshold of a watched label.

    Parameters
    ----------
    labels : sequence of str
        Name of each score.
    name_of : callable
        Name on screen of a label.

    Attributes
    ----------
    shown : tuple of Row
        Rows on screen.
    selected : int or None
        Label that keys act on.
    row_geometry : RowGeometry
        Sizes and positions of the rows.
    """

    label_chosen = Signal(int)
    threshold_moved = Signal(int, float)
    threshold_chosen = Signal(int, float)

    def __init__(self, labels: Sequence[str], name_of: Callable[[str], str]) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Sounds heard, most certain first")
        self.setMouseTracking(True)
        self._labels = labels
        self._name_of = name_of
        self._thresholds: Mapping[int, float] = {}
        self._given_thresholds: Mapping[int, float] | None = None
        self._drag: _Drag | None = None
        self.selected: int | None = None
        self._style = Style()
        self._measure()
        self._motion = TagMotion(len(labels), move_seconds=_MOVE_SECONDS)
        self._tagging: Tagging | None = None
        self._hint = ""
        self._dimmed = False
        self.shown: tuple[Row, ...] = ()

    def clear(self, hint: str) -> None:
        """Clear all rows for another source, and show a hint until its first tagging."""
        self._motion.clear()
        self._tagging = None
        self._hint = hint
        self._drag = self.selected = None
        self.shown = ()
        self.update()

    def set_hint(self, hint: str) -> None:
        """Show another hint until the first tagging."""
        if hint != self._hint:
            self._hint = hint
            self.update()

    def set_thresholds(self, thresholds: Mapping[int, float]) -> None:
        """Set the thresholds of labels, except the one that the mouse holds."""
        if thresholds is not self._given_thresholds:
            self._given_thresholds = thresholds
            drag = self._drag
            held = {drag.label: self._thresholds[drag.label]} if drag is not None and drag.moved else {}
            self._thresholds = {**thresholds, **held}
            self.advance(0.0)

    def select(self, step: int) -> None:
        """Move the selection down by some rows."""
        order = self._motion.order
        if order:
            index = order.index(self.selected) + step if self.selected in order else 0
            self.selected = order[min(max(index, 0), len(order) - 1)]
            self.advance(0.0)

    def show_tagging(self, tagging: Tagging | None, *, dimmed: bool) -> None:
        """Move towards a tagging; dim the rows if the source is offline."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.update()
        if tagging is not None and tagging is not self._tagging:
            self._tagging = tagging
            self._motion.set_target(tagging.scores)

    def advance(self, seconds: float) -> None:
        """Advance the animation by some seconds, and repaint what has moved: mostly bars, rarely text."""
        if self._tagging is None:
            return
        self._motion.advance(seconds, self.row_geometry.count)
        before, self.shown = self.shown, self._rows()
        if self.shown == before:
            return
        if bool(before) != bool(self.shown):
            self.update()
        for area in self.row_geometry.changes(before, self.shown):
            self.update(area)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self._measure()
        self.advance(0.0)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take a threshold, or choose a label."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position().toPoint()
        self._drag = self._drag_at(at)
        if self._drag is None and (label := self._label_at(at)) is not None:
            self.label_chosen.emit(label)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move the threshold that the mouse holds; show the full name as a tooltip."""
        at = event.position().toPoint()
        label = self._label_at(at)
        self.setToolTip("" if label is None else self._labels[label])
        if self._drag is not None:
            self._move_threshold(self._drag, at)
        elif self._drag_at(at) is not None:
            self.setCursor(Qt.CursorShape.SizeHorCursor)
        elif label is not None:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        else:
            self.setCursor(Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Release the threshold."""
        drag = self._drag
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag = None
            if drag is not None and drag.moved:
                self.threshold_chosen.emit(drag.label, self._thresholds[drag.label])

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size."""
        super().resizeEvent(event)
        self._measure()
        self.advance(0.0)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the parts that have changed."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.panel)
        if not self.shown:
            painter.setPen(self._style.colours.soft)
            paint_fitted(painter, self.rect(), self._hint, (self._style.px(26), self._style.px(13)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row in reversed(self.shown):
            self._painter.paint(painter, row, event.region(), dimmed=self._dimmed)
        painter.end()

    def _measure(self) -> None:
        """Compute everything that depends on style and size alone."""
        self.row_geometry = RowGeometry(self._style, self.width(), self.height())
        self._painter = RowPainter(self._style, self.row_geometry)

    def _rows(self) -> tuple[Row, ...]:
        height, length = self.row_geometry.row_height, self.row_geometry.bar_length
        return tuple(
            Row(
                label=self._name_of(self._labels[tag.label]),
                top=round(tag.position * height),
                score=f"{tag.score:.2f}",
                strength=strength_of(tag.score),
                opacity=10 * round(10 * tag.opacity),
                mark=round(self._thresholds[tag.label] * length) if tag.label in self._thresholds else None,
                selected=tag.label == self.selected,
                bar=round(tag.smooth_score * length),
            )
            for tag in self._motion.tags()
        )

    def _move_threshold(self, drag: _Drag, at: QPoint) -> None:
        """Move a threshold, once the mouse has moved too far for a click."""
        distance = (at - drag.pressed_at).manhattanLength()
        drag.moved = drag.moved or distance >= QApplication.startDragDistance()
        if drag.moved:
            score = round(min(0.99, max(0.01, (at.x() - drag.offset) / self.row_geometry.bar_length)), 2)
            self._thresholds = {**self._thresholds, drag.label: score}
            self.advance(0.0)
            self.threshold_moved.emit(drag.label, score)

    def _row_at(self, at: QPoint) -> tuple[int, Row] | None:
        rows = zip((tag.label for tag in self._motion.tags()), self.shown, strict=True)
        return next(
            ((label, row) for label, row in rows if self.row_geometry.row_rect(row.top).contains(at)), None
        )

    def _label_at(self, at: QPoint) -> int | None:
        found = self._row_at(at)
        return None if found is None else found[0]

    def _drag_at(self, at: QPoint) -> _Drag | None:
        """Return a drag of the threshold near a point, if there is one."""
        label, row = self._row_at(at) or (0, None)
        if row is None or row.mark is None or not self.row_geometry.near_mark(row, at):
            return None
        return _Drag(label, at, at.x() - row.mark)
