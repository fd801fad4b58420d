"""List of events, newest first."""

import os.path
import time
from collections.abc import Iterable, Sequence

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from streamer.messages import Event, Mark

from ..style.theme import Style

_ROW_HEIGHT = 26
_MIN_WIDTHS = {"Source": 400, "Score": 300}
_MAX_SOURCE_WIDTH = 120
_PLAY = "▶"
_MARKS = {"right": "✓", "wrong": "✗"}


class EventList(QWidget):
    """Time, sound, source (if there are several), score and length of each event; ▶ if there is a clip to play.

    Parameters
    ----------
    with_clips : bool
        True if clips can be played.

    Attributes
    ----------
    model : EventModel
        Events in the table.
    table : QTableView
        Table on screen.
    """

    event_chosen = Signal(object)
    clip_chosen = Signal(str)
    menu_wanted = Signal(object, QPoint)

    def __init__(self, *, with_clips: bool) -> None:
        super().__init__()
        self._style = Style()
        self._sources: frozenset[str] = frozenset()
        self.model = EventModel(with_clips=with_clips)
        self.table = QTableView()
        self.table.setModel(self.model)
        self.table.setAccessibleName("Events")
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(self.model.titles.index("Sound"), QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(self.model.titles.index("Source"), QHeaderView.ResizeMode.Fixed)
        self.table.clicked.connect(self._clicked)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._want_menu)
        self._hint = QLabel("", self.table, wordWrap=True, margin=16)
        self._hint.setObjectName("hint")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)

    @property
    def selected(self) -> Event | None:
        """Selected event."""
        rows = self.table.selectionModel().selectedRows()
        return self.model.events[rows[0].row()] if rows else None

    def set_sources(self, sources: Iterable[str]) -> None:
        """Set the names of the sources; with a single one their column is hidden."""
        self._sources = frozenset(sources)
        self._hide_columns()

    def show_watched(self, names: Sequence[str]) -> None:
        """Name the sounds that are watched, where there are no events yet."""
        text = f"No events yet. Watching for:\n{', '.join(names)}" if names else "No sound is watched"
        if text != self._hint.text():
            self._hint.setText(text)

    def show_events(self, events: Sequence[Event]) -> None:
        """Show these events, given in the order in which they began."""
        if self.model.shows(events):
            return
        selected = self.selected
        self.model.show_events(events)
        self._hint.setVisible(not events)
        self._hide_columns()
        self._limit_source_width()
        if selected is not None:
            self.select(selected)

    def select(self, event: Event) -> None:
        """Select the event with the same id."""
        for row, shown in enumerate(self.model.events):
            if shown.id == event.id:
                self.table.selectRow(row)

    def apply_style(self, style: Style) -> None:
        """Apply sizes."""
        self._style = style
        self.table.verticalHeader().setMinimumSectionSize(style.px(_ROW_HEIGHT))
        self.table.verticalHeader().setDefaultSectionSize(style.px(_ROW_HEIGHT))
        self.table.horizontalHeader().setFixedHeight(style.px(24))
        self._limit_source_width()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size; the hint is in the middle."""
        super().resizeEvent(event)
        self._hint.setGeometry(self.table.rect())
        self._hide_columns()

    def _hide_columns(self) -> None:
        """Hide the source if there is only one; if the list is narrow, hide the source and then the score."""
        single = len(self._sources.union(event.source for event in self.model.events)) == 1
        for title, min_width in _MIN_WIDTHS.items():
            narrow = self.width() < self._style.px(min_width)
            self.table.setColumnHidden(
                self.model.titles.index(title), narrow or (single and title == "Source")
            )

    def _limit_source_width(self) -> None:
        """Make the column of sources as wide as needed, within a limit."""
        column = self.model.titles.index("Source")
        needed = max(
            self.table.sizeHintForColumn(column), self.table.horizontalHeader().sectionSizeHint(column)
        )
        self.table.setColumnWidth(column, min(needed, self._style.px(_MAX_SOURCE_WIDTH)))

    def _want_menu(self, place: QPoint) -> None:
        """Select the event at a place, and ask for its menu."""
        index = self.table.indexAt(place)
        if index.isValid():
            self.table.selectRow(index.row())
            event = self.model.events[index.row()]
            self.menu_wanted.emit(event, self.table.viewport().mapToGlobal(place))

    def _clicked(self, index: QModelIndex) -> None:
        event = self.model.events[index.row()]
        if self.model.titles[index.column()] == "" and self.model.playable(event):
            self.clip_chosen.emit(event.clip)
        else:
            self.event_chosen.emit(event)


class EventModel(QAbstractTableModel):
    """Events as a table.

    Parameters
    ----------
    with_clips : bool
        True for a column with clips.

    Attributes
    ----------
    titles : tuple of str
        Titles of the columns.
    events : tuple of Event
        Events, newest first.
    """

    def __init__(self, *, with_clips: bool) -> None:
        super().__init__()
        self.titles = ("Time", "Sound", "Source", "Score", "Length", *([""] if with_clips else []))
        self.events: tuple[Event, ...] = ()
        self._given: Sequence[Event] = ()
        self._playable: frozenset[str] = frozenset()
        self._marks: dict[str, Mark] = {}

    def set_mark(self, event: Event, mark: Mark | None) -> None:
        """Show the mark of an event, or none."""
        if mark is None:
            self._marks.pop(event.id, None)
        else:
            self._marks[event.id] = mark
        if event in self.events:
            index = self.index(self.events.index(event), self.titles.index("Sound"))
            self.dataChanged.emit(index, index)

    def shows(self, events: Sequence[Event]) -> bool:
        """Return True if these events are shown already."""
        return events is self._given

    def show_events(self, events: Sequence[Event]) -> None:
        """Show these events, given in the order in which they began."""
        self.beginResetModel()
        self._given = events
        self.events = tuple(reversed(events))
        clips = {event.clip for event in events if event.clip is not None}
        self._playable = frozenset(
            clip
            for clip in clips
            if os.path.isfile(clip)  # noqa: PTH113 - Path.is_file raises if a folder can't be read
        )
        self.endResetModel()

    def playable(self, event: Event) -> bool:
        """Return True if the event's clip exists."""
        return event.clip in self._playable

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008, N802
        """Return the number of events."""
        return 0 if parent.isValid() else len(self.events)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008, N802
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> str | None:  # noqa: N802
        """Return a column's title."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.titles[section]
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = 0) -> str | None:
        """Return the text or the tooltip of a cell."""
        event = self.events[index.row()]
        title = self.titles[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(event, title)
        if role == Qt.ItemDataRole.ToolTipRole:
            if title == "" and self.playable(event):
                return "play the clip"
            if title == "Source":
                return event.source
            mark = self._marks.get(event.id)
            return f"{event.label}, marked as {mark}" if mark else event.label
        return None

    def _text(self, event: Event, title: str) -> str:
        match title:
            case "Time":
                return time.strftime("%H:%M:%S", time.localtime(event.started_at))
            case "Sound":
                mark = self._marks.get(event.id)
                return f"{_MARKS[mark]} {event.label}" if mark else event.label
            case "Source":
                return event.source
            case "Score":
                return f"{event.score:.2f}"
            case "Length":
                return duration_text(event)
            case _:
                return _PLAY if self.playable(event) else ""


def duration_text(event: Event) -> str:
    """Return the duration of an event as a text."""
    if event.ended_at is None:
        return "now"
    seconds = event.ended_at - event.started_at
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
