"""List of events, newest first, under their days, with a filter."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from PySide6.QtCore import QModelIndex, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from streamer.messages import Event

from ..data.eventrows import EventFilter
from ..style.theme import Style
from .eventfilter import FilterBar
from .eventmodel import PICTOGRAM_SIDE, EventModel

_ROW_HEIGHT = 26
_MIN_WIDTHS = {"Source": 400, "Score": 300}
_MAX_SOURCE_WIDTH = 90
_DAY_CHECK_MILLISECONDS = 60_000
"""Time after which "Today" becomes "Yesterday" at midnight."""


class EventList(QWidget):
    """Time, sound, source (if there are several), score and length of each event; ▶ if there is a clip to play.

    Parameters
    ----------
    with_clips : bool
        True if clips can be played.
    name_of : callable
        Name on screen of a label or watched sound.
    families : mapping of str to str
        Kind of sound of each label and watched sound.

    Attributes
    ----------
    model : EventModel
        Events in the table.
    table : QTableView
        Table on screen.
    filter_bar : FilterBar
        Field and menu that choose the events on screen; the owner places it.
    """

    event_chosen = Signal(object)
    clip_chosen = Signal(str)
    menu_wanted = Signal(object, QPoint)

    def __init__(
        self, *, with_clips: bool, name_of: Callable[[str], str], families: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._style = Style()
        self._sources: frozenset[str] = frozenset()
        self._watched: tuple[str, ...] = ()
        self._spans: list[int] = []
        self.model = EventModel(with_clips=with_clips, name_of=name_of, families=families)
        self.table = _table(self.model)
        self.table.clicked.connect(self._clicked)
        self.table.customContextMenuRequested.connect(self._want_menu)
        self.filter_bar = FilterBar(name_of)
        self.filter_bar.changed.connect(self._filter)
        self._hint = QLabel("", self.table, wordWrap=True, margin=16)
        self._hint.setObjectName("hint")
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._midnight = QTimer(self, interval=_DAY_CHECK_MILLISECONDS)
        self._midnight.timeout.connect(self.table.viewport().update)
        self._midnight.start()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)

    @property
    def selected(self) -> Event | None:
        """Selected event."""
        rows = self.table.selectionModel().selectedRows()
        return self.model.event_at(rows[0].row()) if rows else None

    def set_sources(self, sources: Iterable[str]) -> None:
        """Set the names of the sources; with a single one their column is hidden."""
        names = tuple(sources)
        self._sources = frozenset(names)
        self.filter_bar.set_sources(names)
        self._hide_columns()

    def show_watched(self, names: Sequence[str]) -> None:
        """Offer the watched sounds in the filter, and name them where there are no events yet."""
        if tuple(names) != self._watched or not self._hint.text():
            self._watched = tuple(names)
            self.filter_bar.set_sounds(self._watched)
            self._show_hint()

    def show_events(self, events: Sequence[Event]) -> None:
        """Show these events, given in the order in which they began."""
        if events is not self.model.given:
            self._show(events, self.model.filter)

    def select(self, event: Event) -> None:
        """Select the event with the same id; a filter that hides it is cleared."""
        row = self.model.row_of(event)
        if row is None and any(event.id == other.id for other in self.model.given):
            self.filter_bar.clear()
            row = self.model.row_of(event)
        if row is not None:
            self.table.selectRow(row)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.model.apply_style(style, self.devicePixelRatioF())
        side = style.px(PICTOGRAM_SIDE)
        self.table.setIconSize(QSize(side, side))
        self.table.verticalHeader().setMinimumSectionSize(style.px(_ROW_HEIGHT))
        self.table.verticalHeader().setDefaultSectionSize(style.px(_ROW_HEIGHT))
        self.table.horizontalHeader().setFixedHeight(style.px(24))
        self.table.horizontalHeader().setMinimumSectionSize(style.px(22))
        self.filter_bar.apply_style(style)
        self._limit_source_width()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size; the hint is in the middle."""
        super().resizeEvent(event)
        self._hint.setGeometry(self.table.rect())
        self._hide_columns()

    def _filter(self, chosen: EventFilter) -> None:
        self._show(self.model.given, chosen)
        self.table.scrollToTop()

    def _show(self, events: Sequence[Event], chosen: EventFilter) -> None:
        if self.model.show(events, chosen):
            self._span_days()
            self._show_hint()
            self._limit_source_width()
        self._hide_columns()

    def _span_days(self) -> None:
        """Let the names of days take the whole width."""
        days = self.model.day_rows()
        if days != self._spans:
            self._spans = days
            self.table.clearSpans()
            for row in days:
                self.table.setSpan(row, 0, 1, len(self.model.titles))

    def _show_hint(self) -> None:
        """Say in an empty list why it is empty."""
        if self.model.given:
            text = "No event matches the filter"
        elif self._watched:
            text = f"No events yet. Watching for:\n{', '.join(self._watched)}"
        else:
            text = "No sound is watched"
        self._hint.setText(text)
        self._hint.setVisible(not self.model.rows)

    def _hide_columns(self) -> None:
        """Hide the source if there is only one; if the list is narrow, hide the source and then the score."""
        single = len(self._sources.union(event.source for event in self.model.given)) == 1
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
        event = self.model.event_at(index.row()) if index.isValid() else None
        if event is not None:
            self.table.selectRow(index.row())
            self.menu_wanted.emit(event, self.table.viewport().mapToGlobal(place))

    def _clicked(self, index: QModelIndex) -> None:
        event = self.model.event_at(index.row())
        if event is None:
            return
        if self.model.titles[index.column()] == "" and self.model.playable(event):
            self.clip_chosen.emit(event.clip)
        else:
            self.event_chosen.emit(event)


def _table(model: EventModel) -> QTableView:
    """Return the table of events."""
    table = QTableView()
    table.setModel(model)
    table.setAccessibleName("Events")
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setResizeContentsPrecision(0)  # only the rows on screen: there may be thousands
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(model.titles.index("Sound"), QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(model.titles.index("Source"), QHeaderView.ResizeMode.Fixed)
    return table
