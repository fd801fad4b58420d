"""Panels of the live window and their layout."""

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QBoxLayout, QLabel, QVBoxLayout, QWidget

from ..actions import Actions
from ..data.columns import Columns
from ..data.viewstate import ViewState
from ..data.watching import Watching
from ..errors import ActionError
from ..style.theme import Style, Tone
from ..widgets import texts
from ..widgets.eventlist import EventList
from ..widgets.header import Header
from ..widgets.level import LevelView
from ..widgets.panel import ColourKey, Panel
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
    actions : Actions
        Functions of the program, and the names of sounds.

    Attributes
    ----------
    header, spectrogram, level, tags, timeline, events, status : QWidget
        Contents of the window.
    frames : tuple of Panel
        Frames with titles around sound, tags, timeline and events.
    """

    def __init__(
        self, window: QWidget, *, title: str, labels: Sequence[str], columns: Columns, actions: Actions
    ) -> None:
        self.header = Header(title)
        self.spectrogram = SpectrogramView(columns)
        self.level = LevelView()
        self.tags = TagsView(labels, actions.name_of)
        self.timeline = TimelineView(labels, actions.name_of)
        self.events = EventList(
            with_clips=actions.play_clip is not None, name_of=actions.name_of, families=actions.families
        )
        self.status = StatusLine(actions.notice)
        direction = QBoxLayout.Direction
        self._sound = QBoxLayout(direction.LeftToRight)
        self._sound.addWidget(self.spectrogram, stretch=1)
        self._sound.addWidget(self.level)
        sound = QWidget()
        sound.setLayout(self._sound)
        self.frames = _frames(sound, self.tags, self.timeline, self.events)
        self._keys = [key for frame in self.frames for key in frame.findChildren(ColourKey)]
        self._left, self._right = QVBoxLayout(), QVBoxLayout()
        for column, indices in ((self._left, (0, 2)), (self._right, (1, 3))):
            for index, share in zip(indices, (60, 40), strict=True):
                column.addWidget(self.frames[index], stretch=share)
        self._body = QBoxLayout(direction.LeftToRight)
        self._body.addLayout(self._left, stretch=60)
        self._body.addLayout(self._right, stretch=40)
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
        self.events.show_watched([sound.name for sound in watching.sounds()])
        self.events.show_events(snapshot.events)
        self.status.show_state(state.source, view.status, snapshot.health, view.tagging, paused=paused)
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
        self._sound.setContentsMargins(0, 0, 0, 0)
        self._sound.setSpacing(0)
        self.frames[0].apply_style(style, style.px(4), gap, style.px(4))
        self.frames[1].apply_style(style, edge, edge, gap)
        self.frames[2].apply_style(style, gap, gap, style.px(4))
        self.frames[3].apply_style(style, gap, gap, gap)
        for key in self._keys:
            key.apply_style(style)
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
        active = state.active_sources
        for source, view in state.snapshot.sources.items():
            tone = Tone.BAD if view.offline else Tone.WARNING if source in active else Tone.PLAIN
            self.header.set_tone(source, tone)


def _frames(
    sound: QWidget, tags: TagsView, timeline: TimelineView, events: EventList
) -> tuple[Panel, Panel, Panel, Panel]:
    """Return the four panels with their titles, explanations and keys."""
    energies = ColourKey("quiet", "loud", scores=False, explanation=texts.ENERGIES)
    decibels = QLabel("dBFS")
    decibels.setObjectName("unit")
    decibels.setToolTip(f"<qt>{texts.DBFS}</qt>")
    now, then = (ColourKey("0", "1", scores=True, explanation=texts.SCORES) for _ in range(2))
    return (
        Panel("Spectrogram", texts.SPECTROGRAM, sound, energies, decibels),
        Panel("Sounds now", texts.TAGS, tags, now),
        Panel("Last minutes", texts.TIMELINE, timeline, then),
        Panel("Events", texts.EVENTS, events, events.filter_bar),
    )
