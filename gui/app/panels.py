"""Panels of the live window and their layout."""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from ..data.columns import Columns
from ..data.viewstate import ViewState
from ..data.watching import Watching
from ..errors import ActionError
from ..style.theme import Style, Tone
from ..widgets.eventlist import EventList
from ..widgets.header import Header
from ..widgets.level import LevelView
from ..widgets.spectrogram import SpectrogramView
from ..widgets.statusline import StatusLine
from ..widgets.tags import TagsView
from ..widgets.timeline import TimelineView

_NOT_LISTENING = "Not listening: press P to start again"


class Panels:
    """Panels of the live window: header on top, four panels in two columns, status line below.

    Parameters
    ----------
    window : QWidget
        Window that the panels fill.
    title : str
        Name of the program.
    labels : sequence of str
        Name of each score.
    columns : Columns
        Spectrogram to show at the start.
    with_clips : bool
        True if clips can be played.

    Attributes
    ----------
    header, spectrogram, level, tags, timeline, events, status : QWidget
        The panels.
    """

    def __init__(
        self, window: QWidget, *, title: str, labels: Sequence[str], columns: Columns, with_clips: bool
    ) -> None:
        self.header = Header(title)
        self.spectrogram = SpectrogramView(columns)
        self.level = LevelView()
        self.tags = TagsView(labels)
        self.timeline = TimelineView(labels)
        self.events = EventList(with_clips=with_clips)
        self.status = StatusLine()
        direction = QBoxLayout.Direction
        self._sound = QBoxLayout(direction.LeftToRight)
        self._sound.addWidget(self.spectrogram, stretch=1)
        self._sound.addWidget(self.level)
        self._frames = [
            _frame(self._sound),
            *(_frame(_filled(view)) for view in (self.tags, self.timeline, self.events)),
        ]
        self._left, self._right = QVBoxLayout(), QVBoxLayout()
        for column, indices in ((self._left, (0, 2)), (self._right, (1, 3))):
            for index, share in zip(indices, (60, 40), strict=True):
                column.addWidget(self._frames[index], stretch=share)
        self._body = QBoxLayout(direction.LeftToRight)
        self._body.addLayout(self._left, stretch=64)
        self._body.addLayout(self._right, stretch=36)
        self._rows = QVBoxLayout(window)
        self._rows.addWidget(self.header)
        self._rows.addLayout(self._body, stretch=1)
        self._rows.addWidget(self.status)

    def set_sources(self, sources: Sequence[str], shown: str) -> None:
        """Show these sources in the header and in the list of events."""
        self.header.set_sources(sources, shown)
        self.events.set_sources(sources)

    def show_columns(self, columns: Columns) -> None:
        """Clear the panels for another source, and show its spectrogram."""
        self.spectrogram.show_columns(columns)
        self.level.clear()
        self.tags.clear("")
        self.timeline.heat.show_preview(None)

    def show(self, state: ViewState, watching: Watching, seconds: float, *, paused: bool) -> None:
        """Show the newest data, and advance the animations.

        Parameters
        ----------
        state : ViewState
            Data to show.
        watching : Watching
            Watched sounds.
        seconds : float
            Time since the last call.
        paused : bool
            True if the source on screen is switched off.
        """
        view, snapshot = state.view, state.snapshot
        self.spectrogram.advance(state.frozen_at)
        self.level.advance(state.history.newest_samples, seconds)
        is_off = paused and state.frozen_at is None
        if is_off and self.tags.shown:
            self.tags.clear(_NOT_LISTENING)
        self.tags.set_hint(_NOT_LISTENING if is_off else snapshot.hint)
        self.tags.set_thresholds(watching.thresholds())
        self.tags.show_tagging(None if is_off else state.tagging, dimmed=view.offline)
        self.tags.advance(seconds)
        self.timeline.show_history(view.taggings, state.events, watching.sounds(), state.frozen_at)
        if not snapshot.events:
            self.events.show_watched([sound.name for sound in watching.sounds()])
        self.events.show_events(snapshot.events)
        self.status.show_state(state.source, view.status, snapshot.health, view.tagging)
        self.status.advance(seconds)
        self._show_badge(state, paused=paused)
        self._colour_tabs(state)

    def report(self, act: Callable[[], str | None]) -> None:
        """Do something, and show its result or its error in the status line."""
        try:
            result = act()
        except ActionError as error:
            result = str(error)
        if result:
            self.status.show_message(result)

    def apply_style(self, style: Style, *, upright: bool) -> None:
        """Apply sizes and colours; in an upright window the columns stand one below the other."""
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.TopToBottom if upright else direction.LeftToRight)
        edge, gap = style.px(16), style.px(10)
        self._rows.setContentsMargins(edge, gap, edge, style.px(8))
        self._rows.setSpacing(style.px(8))
        for layout in (self._body, self._left, self._right):
            layout.setSpacing(gap)
        self._sound.setSpacing(0)
        self._frames[0].setContentsMargins(style.px(4), gap, gap, style.px(4))
        self._frames[1].setContentsMargins(edge, gap, edge, gap)
        self._frames[2].setContentsMargins(gap, gap, gap, style.px(4))
        self._frames[3].setContentsMargins(gap, style.px(4), gap, gap)
        for widget in (self.header, self.spectrogram, self.level, self.tags, self.timeline):
            widget.apply_style(style)
        self.events.apply_style(style)
        self.status.apply_style(style)

    def _show_badge(self, state: ViewState, *, paused: bool) -> None:
        badge = self.header.state
        newest_at = state.newest_at if state.view.chunk_count else None
        if state.frozen_at is not None:
            badge.show_state("FROZEN", Tone.WARNING, state.frozen_at)
        elif paused:
            badge.show_state("OFF", Tone.WARNING, newest_at)
        elif state.view.offline:
            badge.show_state("OFFLINE", Tone.BAD, newest_at)
        elif newest_at is None:
            badge.show_state("WAITING", Tone.WARNING, None)
        else:
            badge.show_state("LIVE", Tone.GOOD, newest_at)

    def _colour_tabs(self, state: ViewState) -> None:
        """Colour the tabs of sources that are offline or have an event that goes on."""
        if len(state.sources) == 1:
            return
        active = {event.source for event in state.snapshot.events if event.ended_at is None}
        for source, view in state.snapshot.sources.items():
            tone = Tone.BAD if view.offline else Tone.WARNING if source in active else Tone.PLAIN
            self.header.set_tone(source, tone)


def _frame(content: QBoxLayout) -> QFrame:
    frame = QFrame()
    frame.setObjectName("panel")
    frame.setLayout(content)
    content.setContentsMargins(0, 0, 0, 0)
    return frame


def _filled(widget: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.addWidget(widget)
    return layout
