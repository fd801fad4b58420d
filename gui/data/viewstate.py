"""Source, time and data on screen: the state that the window and its controls share."""

from streamer.messages import Event, Tagging

from .feed import Feed, SourceView
from .histories import SourceHistories, SourceHistory


class ViewState:
    """Source and time on screen, with the data behind them.

    Parameters
    ----------
    feed : Feed
        Newest data of all sources.
    histories : SourceHistories
        Sound of all sources.
    theme : {"dark", "light"}
        Colours at the start.

    Attributes
    ----------
    snapshot : Snapshot
        Data of the last update.
    sources : tuple of str
        Names of all sources, in the order of their tabs.
    source : str
        Name of the source on screen.
    frozen_at : float or None
        Unix time in seconds at which the view is frozen; None while it is live.
    theme : {"dark", "light"}
        Colours on screen.
    """

    def __init__(self, feed: Feed, histories: SourceHistories, theme: str) -> None:
        self._feed = feed
        self._histories = histories
        self.theme = theme
        self.snapshot = feed.snapshot()
        self.sources = tuple(self.snapshot.sources)
        self.source = self.sources[0]
        self.frozen_at: float | None = None
        self._chosen_of: tuple[tuple[Event, ...], str] | None = None
        self._chosen: tuple[Event, ...] = ()
        histories.set_sources(self.sources)

    def update(self, now_seconds: float) -> None:
        """Fetch the newest data.

        If the source on screen has been removed, the source that takes its place comes on screen, live.
        """
        self.snapshot = self._feed.snapshot()
        sources = tuple(self.snapshot.sources)
        if sources != self.sources:
            if self.source not in sources:
                self.source = sources[min(self.sources.index(self.source), len(sources) - 1)]
                self.frozen_at = None
            self.sources = sources
            self._histories.set_sources(sources)
        self._histories.extend(self.snapshot, now_seconds, shown=(self.source,))

    def due(self, now_seconds: float) -> bool:
        """Return True if a hidden window must update now to lose no sound."""
        return self._histories.due(now_seconds)

    @property
    def view(self) -> SourceView:
        """Newest data of the source on screen."""
        return self.snapshot.sources[self.source]

    @property
    def history(self) -> SourceHistory:
        """Sound of the source on screen."""
        return self._histories[self.source]

    @property
    def newest_at(self) -> float:
        """Unix time in seconds of the newest sound."""
        columns = self.history.columns
        return columns.time_of(columns.end)

    @property
    def shown_until(self) -> float:
        """Unix time in seconds at the right edge of the spectrogram."""
        return self.newest_at if self.frozen_at is None else self.frozen_at

    @property
    def tagging(self) -> Tagging | None:
        """Tagging on screen."""
        return self.view.tagging if self.frozen_at is None else self.view.tagging_at(self.frozen_at)

    @property
    def events(self) -> tuple[Event, ...]:
        """Events of the source on screen; the same object until there are others."""
        events, source = self.snapshot.events, self.source
        if self._chosen_of is None or self._chosen_of[0] is not events or self._chosen_of[1] != source:
            self._chosen_of = events, source
            self._chosen = tuple(event for event in events if event.source == source)
        return self._chosen

    @property
    def active_sources(self) -> frozenset[str]:
        """Names of the sources with an event that goes on."""
        return frozenset(event.source for event in self.snapshot.ongoing)

    def keeps_sound_of(self, time_seconds: float) -> bool:
        """Return True if the sound of the source on screen at a Unix time is kept, or there is none yet."""
        columns = self.history.columns
        return not columns.started or time_seconds >= columns.time_of(columns.oldest)

    def freeze(self, time_seconds: float) -> bool:
        """Freeze the view at a Unix time, or at the nearest one with sound.

        Returns
        -------
        bool
            False if there is no sound yet.
        """
        columns = self.history.columns
        if not columns.started:
            return False
        oldest, newest = columns.time_of(columns.oldest), columns.time_of(columns.end)
        self.frozen_at = min(max(time_seconds, oldest), newest)
        return True
