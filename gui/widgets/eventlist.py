"""The list of events, newest first."""

import os.path
import time
from collections.abc import Iterable, Sequence

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from streamer.messages import Event

from ..style.theme import Look

_ROW_HEIGHT = 26
_ROOM_FOR = {"Source": 400, "Score": 300}
_WIDEST_SOURCE = 120
_PLAY = "▶"


class EventList(QWidget):
    """Time, sound, source where there are several, score and length of each event; ▶ where there is a clip to play.

    Parameters
    ----------
    with_clips : bool
        Whether clips can be played.
    """

    event_chosen = Signal(object)
    clip_chosen = Signal(str)

    def __init__(self, *, with_clips: bool) -> None:
        super().__init__()
        self._look = Look()
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
        self._hint = QLabel("No watched sound so far", self.table)
        self._hint.setObjectName("hint")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)

    @property
    def selected(self) -> Event | None:
        """The event that is chosen."""
        rows = self.table.selectionModel().selectedRows()
        return self.model.events[rows[0].row()] if rows else None

    def follow(self, sources: Iterable[str]) -> None:
        """Take that these are the sources from now on."""
        self._sources = frozenset(sources)
        self._hide_columns()

    def show_events(self, events: Sequence[Event]) -> None:
        """Show these, given in the order in which they began."""
        if not self.model.differs(events):
            return
        chosen = self.selected
        self.model.show_events(events)
        self._hint.setVisible(not events)
        self._hide_columns()
        self._bound_source()
        if chosen is not None:
            self.select(chosen)

    def select(self, event: Event) -> None:
        """Choose an event, as it stands now."""
        for row, shown in enumerate(self.model.events):
            if shown.id == event.id:
                self.table.selectRow(row)

    def dress(self, look: Look) -> None:
        """Follow the window's size."""
        self._look = look
        self.table.verticalHeader().setMinimumSectionSize(look.px(_ROW_HEIGHT))
        self.table.verticalHeader().setDefaultSectionSize(look.px(_ROW_HEIGHT))
        self.table.horizontalHeader().setFixedHeight(look.px(24))
        self._bound_source()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size; the hint is in the middle."""
        super().resizeEvent(event)
        self._hint.setGeometry(self.table.rect())
        self._hide_columns()

    def _hide_columns(self) -> None:
        """Leave out the source where there is but one; it, and then the score, where there is little room."""
        alone = len(self._sources.union(event.source for event in self.model.events)) == 1
        for title, room in _ROOM_FOR.items():
            narrow = self.width() < self._look.px(room)
            self.table.setColumnHidden(
                self.model.titles.index(title), narrow or (alone and title == "Source")
            )

    def _bound_source(self) -> None:
        """Give sources the room that they need, but not that of the other columns."""
        column = self.model.titles.index("Source")
        needed = max(
            self.table.sizeHintForColumn(column), self.table.horizontalHeader().sectionSizeHint(column)
        )
        self.table.setColumnWidth(column, min(needed, self._look.px(_WIDEST_SOURCE)))

    def _clicked(self, index: QModelIndex) -> None:
        event = self.model.events[index.row()]
        if self.model.titles[index.column()] == "" and self.model.playable(event):
            self.clip_chosen.emit(event.clip)
        else:
            self.event_chosen.emit(event)


class EventModel(QAbstractTableModel):
    """The events as a table.

    Attributes
    ----------
    titles : tuple of str
        Of its columns.
    events : tuple of Event
        Newest first.
    """

    def __init__(self, *, with_clips: bool) -> None:
        super().__init__()
        self.titles = ("Time", "Sound", "Source", "Score", "Length", *([""] if with_clips else []))
        self.events: tuple[Event, ...] = ()
        self._told: Sequence[Event] = ()
        self._playable: frozenset[str] = frozenset()

    def differs(self, events: Sequence[Event]) -> bool:
        """Whether these are others than the ones shown."""
        return events is not self._told

    def show_events(self, events: Sequence[Event]) -> None:
        """Show these, given in the order in which they began."""
        self.beginResetModel()
        self._told = events
        self.events = tuple(reversed(events))
        clips = {event.clip for event in events if event.clip is not None}
        self._playable = frozenset(
            clip
            for clip in clips
            if os.path.isfile(clip)  # noqa: PTH113 - Path.is_file raises where a folder can't be looked into
        )
        self.endResetModel()

    def playable(self, event: Event) -> bool:
        """Whether its clip is there."""
        return event.clip in self._playable

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008, N802
        """Return how many events there are."""
        return 0 if parent.isValid() else len(self.events)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008, N802
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> str | None:  # noqa: N802
        """Return a column's title."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.titles[section]
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = 0) -> str | None:
        """Return what stands in a cell."""
        event = self.events[index.row()]
        title = self.titles[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(event, title)
        if role == Qt.ItemDataRole.ToolTipRole:
            if title == "" and self.playable(event):
                return "play the clip"
            return event.source if title == "Source" else event.label
        return None

    def _text(self, event: Event, title: str) -> str:
        match title:
            case "Time":
                return time.strftime("%H:%M:%S", time.localtime(event.started_at))
            case "Sound":
                return event.label
            case "Source":
                return event.source
            case "Score":
                return f"{event.score:.2f}"
            case "Length":
                return length_of(event)
            case _:
                return _PLAY if self.playable(event) else ""


def length_of(event: Event) -> str:
    """Return how long an event lasted, for people."""
    if event.ended_at is None:
        return "now"
    seconds = event.ended_at - event.started_at
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
