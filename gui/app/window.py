"""The window: it puts the views together and shows them the newest snapshot."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from streamer.messages import Event, Tagging

from ..actions import Actions
from ..data.feed import Feed, Snapshot, SourceView
from ..data.histories import Pasts
from ..data.watching import Watching
from ..style import theme
from ..style.stylesheet import palette, style_sheet
from ..style.theme import Look, Tone
from ..widgets.eventlist import EventList
from ..widgets.header import Header
from ..widgets.level import LevelView
from ..widgets.spectrogram import SpectrogramView
from ..widgets.statusline import StatusLine
from ..widgets.tags import TagsView
from ..widgets.timeline import TimelineView
from .control import Control

_LONGEST_STEP_SECONDS = 0.25


class LiveWindow(QWidget):
    """Spectrogram, level, tags, timeline, events and status of one source at a time.

    Nothing pushes into it: whoever owns it calls `refresh`. It follows sources that come and go.

    Parameters
    ----------
    feed : Feed
        What it draws from.
    pasts : Pasts
        What is kept of each source's sound, also after this window.
    title : str
        The program's name.
    actions : Actions
        What it offers besides looking.
    colours : Palette
        Its colours at first.

    Attributes
    ----------
    source : str
        The source on show.
    snapshot : Snapshot
        What is on show.
    colours : Palette
        Its colours.
    frozen_at : float or None
        Unix time in seconds of the moment on show; None while it is the newest.
    """

    closed = Signal()

    def __init__(
        self,
        feed: Feed,
        *,
        pasts: Pasts,
        title: str,
        actions: Actions | None = None,
        colours: theme.Palette = theme.DARK,
    ) -> None:
        super().__init__()
        self._feed = feed
        self._actions = actions or Actions()
        self.colours = colours
        self._pasts = pasts
        self._refreshed_at: float | None = None
        self.snapshot = feed.snapshot()
        self._sources = tuple(self.snapshot.sources)
        self.source = self._sources[0]
        self._watching = Watching(feed.labels, self._actions, self.source)
        self._pasts.follow(self._sources)
        self.frozen_at: float | None = None
        self.header = Header(title)
        self.spectrogram = SpectrogramView(self._pasts[self.source].columns)
        self.level = LevelView()
        self.tags = TagsView(feed.labels)
        self.timeline = TimelineView(feed.labels)
        self.events = EventList(with_clips=self._actions.play is not None)
        self.status = StatusLine()
        self._lay_out()
        self.control = Control(self, feed, self._actions, self._watching)
        self.setObjectName("window")
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(640, 400)
        self.resize(1280, 720)
        self._offer_sources()
        self.show_source(self.source)

    def show_source(self, source: str) -> None:
        """Show another source from now on: what is kept of it appears at once."""
        self.source = self._watching.source = source
        self.spectrogram.show_columns(self._pasts[source].columns)
        self.level.clear()
        self.tags.clear("Listening…")
        self.timeline.heat.show_trial(None)
        self.control.follow()

    def refresh(self, now_seconds: float) -> None:
        """Show the newest snapshot.

        Parameters
        ----------
        now_seconds : float
            Of any clock that only goes forward: it paces what moves.
        """
        elapsed = now_seconds - (now_seconds if self._refreshed_at is None else self._refreshed_at)
        seconds = min(elapsed, _LONGEST_STEP_SECONDS)
        self._refreshed_at = now_seconds
        self._take(now_seconds)
        snapshot = self.snapshot
        view = snapshot.sources[self.source]
        self.spectrogram.advance(self.frozen_at)
        self.level.advance(self._pasts[self.source].newest_samples, seconds)
        self.tags.mark(self._watching.thresholds())
        self.tags.show_tagging(self._shown_tagging(view), dimmed=view.offline)
        self.tags.advance(seconds)
        self.timeline.show_history(view.taggings, self.own_events(), self._watching.sounds(), self.frozen_at)
        self.events.show_events(snapshot.events)
        self.status.show_state(self.source, view.status, snapshot.health, view.tagging)
        self.status.advance(seconds)
        self._show_states(snapshot)
        self.control.advance(seconds)
        self.control.follow()

    def keep(self, now_seconds: float) -> None:
        """Keep what is heard while the window is not to be seen; called in place of `refresh`."""
        if self._pasts.due(now_seconds):
            self._take(now_seconds)

    def freeze(self, frozen_at: float | None) -> None:
        """Show what was heard up to a Unix time, or what is newest."""
        columns = self._pasts[self.source].columns
        if frozen_at is not None and not columns.begun:
            frozen_at = None
            self.status.say("nothing was heard yet")
        if frozen_at is not None:
            frozen_at = min(max(frozen_at, columns.time_of(columns.oldest)), columns.time_of(columns.end))
        self.frozen_at = frozen_at
        self.control.follow()

    @property
    def moment(self) -> float:
        """Unix time in seconds of what is on show."""
        return self._newest() if self.frozen_at is None else self.frozen_at

    def own_events(self) -> tuple[Event, ...]:
        """Return the events of the source on show."""
        return tuple(event for event in self.snapshot.events if event.source == self.source)

    def change_colours(self) -> None:
        """Change between dark and light."""
        self.colours = theme.LIGHT if self.colours is theme.DARK else theme.DARK
        self._dress()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Scroll through time."""
        steps = (event.angleDelta().y() or event.angleDelta().x()) / 120
        self.control.scroll(-steps)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Say that it is over."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Let everything follow the size."""
        super().resizeEvent(event)
        self._dress()

    def _take(self, now_seconds: float) -> None:
        """Take what is new, sources too."""
        self.snapshot = self._feed.snapshot()
        sources = tuple(self.snapshot.sources)
        if sources != self._sources:
            self._follow(sources)
        self._pasts.extend(self.snapshot, now_seconds, shown=(self.source,))

    def _follow(self, sources: tuple[str, ...]) -> None:
        """Show these from now on. Where the one on show has gone, that is the one in its place, which may be the same with another name."""
        place = self._sources.index(self.source)
        gone = self.source not in sources
        self._sources = sources
        self._pasts.follow(sources)
        if gone:
            self.frozen_at = None
            self.show_source(sources[min(place, len(sources) - 1)])
        self._offer_sources()

    def _offer_sources(self) -> None:
        self.header.follow(self._sources, self.source)
        self.events.follow(self._sources)

    def _newest(self) -> float:
        columns = self._pasts[self.source].columns
        return columns.time_of(columns.end)

    def _shown_tagging(self, view: SourceView) -> Tagging | None:
        return view.tagging if self.frozen_at is None else view.tagging_at(self.frozen_at)

    def _show_states(self, snapshot: Snapshot) -> None:
        badge, view = self.header.state, snapshot.sources[self.source]
        captured_at = self._newest() if view.heard else None
        if self.frozen_at is not None:
            badge.show_state("FROZEN", Tone.WARNING, self.frozen_at)
        elif self.control.paused:
            badge.show_state("PAUSED", Tone.WARNING, captured_at)
        elif view.offline:
            badge.show_state("OFFLINE", Tone.BAD, captured_at)
        elif captured_at is None:
            badge.show_state("WAITING", Tone.WARNING, None)
        else:
            badge.show_state("LIVE", Tone.GOOD, captured_at)
        if len(self._sources) > 1:
            sounding = {event.source for event in snapshot.events if event.ended_at is None}
            for source, other in snapshot.sources.items():
                tone = Tone.BAD if other.offline else Tone.WARNING if source in sounding else Tone.PLAIN
                self.header.mark(source, tone)

    def _lay_out(self) -> None:
        direction = QBoxLayout.Direction
        self._sound = QBoxLayout(direction.LeftToRight)
        self._sound.addWidget(self.spectrogram, stretch=1)
        self._sound.addWidget(self.level)
        self._panels = [
            _panel(self._sound),
            *(_panel(_filled(view)) for view in (self.tags, self.timeline, self.events)),
        ]
        self._left, self._right = QVBoxLayout(), QVBoxLayout()
        for column, places in ((self._left, (0, 2)), (self._right, (1, 3))):
            for place, share in zip(places, (60, 40), strict=True):
                column.addWidget(self._panels[place], stretch=share)
        self._body = QBoxLayout(direction.LeftToRight)
        self._body.addLayout(self._left, stretch=64)
        self._body.addLayout(self._right, stretch=36)
        self._rows = QVBoxLayout(self)
        self._rows.addWidget(self.header)
        self._rows.addLayout(self._body, stretch=1)
        self._rows.addWidget(self.status)

    def _dress(self) -> None:
        look = Look(theme.factor_for(self.width(), self.height()), self.colours)
        upright = self.height() > self.width()
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.TopToBottom if upright else direction.LeftToRight)
        self.setPalette(palette(look))
        self.setStyleSheet(style_sheet(look))
        edge, gap = look.px(16), look.px(10)
        self._rows.setContentsMargins(edge, gap, edge, look.px(8))
        self._rows.setSpacing(look.px(8))
        for layout in (self._body, self._left, self._right):
            layout.setSpacing(gap)
        self._sound.setSpacing(0)
        self._panels[0].setContentsMargins(look.px(4), gap, gap, look.px(4))
        self._panels[1].setContentsMargins(edge, gap, edge, gap)
        self._panels[2].setContentsMargins(gap, gap, gap, look.px(4))
        self._panels[3].setContentsMargins(gap, look.px(4), gap, gap)
        for view in (
            self.header,
            self.spectrogram,
            self.level,
            self.tags,
            self.timeline,
            self.events,
            self.status,
        ):
            view.dress(look)
        self.control.dress(look)


def _panel(content: QBoxLayout) -> QFrame:
    panel = QFrame()
    panel.setObjectName("panel")
    panel.setLayout(content)
    content.setContentsMargins(0, 0, 0, 0)
    return panel


def _filled(widget: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.addWidget(widget)
    return layout
