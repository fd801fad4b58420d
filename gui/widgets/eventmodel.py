"""Events as a table for Qt: a row for each day, and one for each event."""

import datetime as dt
import os.path
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPixmap

from streamer.messages import Event, Mark, Occurrence

from ..data.eventrows import EventFilter, EventRow, day_name, duration_text, key_of, rows_of
from ..style import pictograms
from ..style.theme import Style

PICTOGRAM_SIDE = 17
"""Side of a pictogram in pixels at scale 1."""
_PLAY = "▶"
_MARKS = {"right": "✓", "wrong": "✗"}

Index: TypeAlias = QModelIndex | QPersistentModelIndex


class EventModel(QAbstractTableModel):
    """Events as a table, newest first, under their days.

    New events are inserted, so that selection and scroll bar stay where they are.

    Parameters
    ----------
    with_clips : bool
        True for a column with clips.
    name_of : callable
        Name on screen of a label or watched sound.
    families : mapping of str to str
        Kind of sound of each label and watched sound.

    Attributes
    ----------
    titles : tuple of str
        Titles of the columns.
    rows : list of Event or date
        Rows, from top to bottom.
    filter : EventFilter
        Choice of events on screen.
    given : sequence of Event
        All events.
    today : callable
        Returns the current date: which day is "Today".
    """

    def __init__(
        self, *, with_clips: bool, name_of: Callable[[str], str], families: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.titles = ("Time", "Sound", "Source", "Score", "Length", *([""] if with_clips else []))
        self.rows: list[EventRow] = []
        self.filter = EventFilter()
        self.given: Sequence[Event] = ()
        self.today: Callable[[], dt.date] = dt.date.today
        self._name_of = name_of
        self._families = families
        self._pictures = Pictures(Style(), 1.0)
        self._marks: dict[str, Mark | None] = {}

    def event_at(self, row: int) -> Event | None:
        """Return the event of a row; None for a day."""
        found = self.rows[row]
        return found if isinstance(found, Event) else None

    def day_rows(self) -> list[int]:
        """Return the numbers of the rows that are days."""
        return [number for number, row in enumerate(self.rows) if not isinstance(row, Event)]

    def row_of(self, event: Event) -> int | None:
        """Return the number of the row of the event with the same id; None if it is not on screen."""
        keys = (number for number, row in enumerate(self.rows) if key_of(row) == event.id)
        return next(keys, None)

    def set_mark(self, event: Event, mark: Mark | None) -> None:
        """Show the mark of an event, or none."""
        self._marks[event.id] = mark
        row = self.row_of(event)
        if row is not None:
            index = self.index(row, self.titles.index("Sound"))
            self.dataChanged.emit(index, index)

    def show(self, events: Sequence[Event], event_filter: EventFilter) -> bool:
        """Show the events that a filter covers, given in the order in which they began; return True if rows came or went."""
        self.given, self.filter = events, event_filter
        rows = rows_of(event_filter.choose(events, self._name_of))
        changed = self._forget_oldest(rows) + self._replace_middle(rows)
        self.rows = rows
        if rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(self.titles) - 1))
        return changed > 0

    def apply_style(self, style: Style, ratio: float) -> None:
        """Apply sizes and colours; `ratio` is the number of pixels of the device for one of ours."""
        self._pictures = Pictures(style, ratio)

    def playable(self, event: Event) -> bool:
        """Return True if the event's clip exists."""
        return event.clip is not None and os.path.isfile(event.clip)  # noqa: PTH113 - Path.is_file raises if a folder can't be read

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.titles)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return that an event can be selected, and a day can't."""
        if isinstance(self.rows[index.row()], Event):
            return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return Qt.ItemFlag.ItemIsEnabled

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> str | None:  # noqa: N802 - Qt's
        """Return a column's title."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.titles[section]
        return None

    def data(self, index: Index, role: int = 0) -> Any:
        """Return a text, tooltip, picture, font or colour of a cell."""
        row = self.rows[index.row()]
        if isinstance(row, Event):
            return self._of_event(row, self.titles[index.column()], role)
        return self._of_day(row, role) if index.column() == 0 else None

    def _forget_oldest(self, rows: Sequence[EventRow]) -> int:
        """Remove the lowest rows that are no longer among the given ones; return how many."""
        keys = set(map(key_of, rows))
        stay = len(self.rows)
        while stay and key_of(self.rows[stay - 1]) not in keys:
            stay -= 1
        return self._remove(stay, len(self.rows) - stay)

    def _replace_middle(self, rows: Sequence[EventRow]) -> int:
        """Replace the rows between those that stay at the top and at the bottom; return how many came or went."""
        old, new = list(map(key_of, self.rows)), list(map(key_of, rows))
        top, bottom = _common(old, new)
        removed = self._remove(top, len(old) - top - bottom)
        added = len(new) - top - bottom
        if added:
            self.beginInsertRows(QModelIndex(), top, top + added - 1)
            self.rows[top:top] = rows[top : top + added]
            self.endInsertRows()
        return removed + added

    def _remove(self, first: int, count: int) -> int:
        if count:
            self.beginRemoveRows(QModelIndex(), first, first + count - 1)
            del self.rows[first : first + count]
            self.endRemoveRows()
        return count

    def _of_day(self, day: dt.date, role: int) -> str | QFont | QColor | None:
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return day_name(day, self.today())
            case Qt.ItemDataRole.FontRole:
                return self._pictures.style.font(12, QFont.Weight.DemiBold)
            case Qt.ItemDataRole.ForegroundRole:
                return self._pictures.style.colours.soft
            case _:
                return None

    def _of_event(self, event: Event, title: str, role: int) -> str | QPixmap | None:
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(event, title)
            case Qt.ItemDataRole.DecorationRole if title == "Sound":
                return self._pictures.pictogram(self._families.get(event.label, "sound"))
            case Qt.ItemDataRole.DecorationRole if title == "Score":
                return self._pictures.swatch(round(20 * event.shown_score))
            case Qt.ItemDataRole.ToolTipRole:
                if title == "" and self.playable(event):
                    return "play the clip"
                mark = self._mark_of(event)
                about = f"{event.label}, marked as {mark}" if mark else event.label
                return event.source if title == "Source" else about
            case _:
                return None

    def _mark_of(self, event: Event) -> Mark | None:
        """Return the mark of an event: that of this window, or that of the history."""
        known = event.mark if isinstance(event, Occurrence) else None
        return self._marks.get(event.id, known)

    def _text(self, event: Event, title: str) -> str:
        match title:
            case "Time":
                return time.strftime("%H:%M:%S", time.localtime(event.started_at))
            case "Sound":
                mark = self._mark_of(event)
                name = self._name_of(event.label)
                return f"{_MARKS[mark]} {name}" if mark else name
            case "Source":
                return event.source
            case "Score":
                return f"{event.shown_score:.2f}"
            case "Length":
                return duration_text(event)
            case _:
                return _PLAY if self.playable(event) else ""


class Pictures:
    """Small pictures in the table, each drawn once.

    Parameters
    ----------
    style : Style
        Scale and colours.
    ratio : float
        Pixels of the device for one of ours.
    """

    def __init__(self, style: Style, ratio: float) -> None:
        self.style = style
        self._ratio = ratio
        self._known: dict[str | int, QPixmap] = {}

    def pictogram(self, family: str) -> QPixmap:
        """Return the pictogram of a kind of sound."""
        if family not in self._known:
            pixmap, painter = self._begin()
            box = QRectF(QPointF(), pixmap.deviceIndependentSize())
            pictograms.paint(painter, family, box, self.style.colours.soft)
            painter.end()
            self._known[family] = pixmap
        return self._known[family]

    def swatch(self, twentieths: int) -> QPixmap:
        """Return a dot in the colour of a score."""
        if twentieths not in self._known:
            pixmap, painter = self._begin()
            side = pixmap.deviceIndependentSize().width()
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.style.score_colour(twentieths / 20))
            painter.drawEllipse(round(side / 4), round(side / 4), round(side / 2), round(side / 2))
            painter.end()
            self._known[twentieths] = pixmap
        return self._known[twentieths]

    def _begin(self) -> tuple[QPixmap, QPainter]:
        side = self.style.px(PICTOGRAM_SIDE)
        pixmap = QPixmap(round(side * self._ratio), round(side * self._ratio))
        pixmap.setDevicePixelRatio(self._ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        return pixmap, painter


def _common(old: Sequence[object], new: Sequence[object]) -> tuple[int, int]:
    """Return how many items are the same at the start and, of the others, at the end."""
    most = min(len(old), len(new))
    top = next((number for number in range(most) if old[number] != new[number]), most)
    most -= top
    bottom = next((number for number in range(most) if old[-1 - number] != new[-1 - number]), most)
    return top, bottom
