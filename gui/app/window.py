"""The live window: one source at a time, with everything known about it."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from ..actions import Actions
from ..data.feed import Feed
from ..data.histories import SourceHistories
from ..data.viewstate import ViewState
from ..data.watching import Watching
from ..style import theme
from ..style.stylesheet import palette, style_sheet
from ..style.theme import Style
from .control import Control
from .panels import Panels

_MAX_STEP_SECONDS = 0.25


class LiveWindow(QWidget):
    """Spectrogram, level, tags, timeline, events and status of one source at a time.

    Nothing is pushed into the window: its owner calls `refresh`. Sources may come and go.

    Parameters
    ----------
    feed : Feed
        Newest data of all sources.
    histories : SourceHistories
        Sound of all sources; it outlives the window.
    title : str
        Name of the program.
    actions : Actions, optional
        Functions of the program that the window offers.
    colours : Palette
        Colours at the start.

    Attributes
    ----------
    state : ViewState
        Source, time and data on screen.
    panels : Panels
        Panels of the window.
    control : Control
        Shortcuts, buttons and menus.
    """

    closed = Signal()

    def __init__(
        self,
        feed: Feed,
        *,
        histories: SourceHistories,
        title: str,
        actions: Actions | None = None,
        colours: theme.Palette = theme.DARK,
    ) -> None:
        super().__init__()
        actions = actions or Actions()
        self._refreshed_at: float | None = None
        self.state = ViewState(feed, histories, colours.name)
        self._watching = Watching(feed.labels, actions, self.state)
        self.panels = Panels(
            self,
            title=title,
            labels=feed.labels,
            columns=self.state.history.columns,
            actions=actions,
        )
        self.control = Control(
            self,
            self.state,
            self.panels,
            actions=actions,
            watching=self._watching,
            labels=feed.labels,
            restyle=self._apply_style,
        )
        self.setObjectName("window")
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(640, 400)
        self.resize(1280, 720)
        self.panels.set_sources(self.state.sources, self.state.source)
        self.control.navigation.show_source(self.state.source)

    def refresh(self, now_seconds: float) -> None:
        """Show the newest data.

        Parameters
        ----------
        now_seconds : float
            Time of any monotonic clock; it paces the animations.
        """
        elapsed = now_seconds - (now_seconds if self._refreshed_at is None else self._refreshed_at)
        seconds = min(elapsed, _MAX_STEP_SECONDS)
        self._refreshed_at = now_seconds
        self._update(now_seconds)
        self.panels.show(self.state, self._watching, seconds, paused=self.control.source.paused)
        self.control.advance(seconds)
        self.control.update()

    def collect(self, now_seconds: float) -> None:
        """Collect new sound without drawing; called in place of `refresh` while the window is hidden."""
        if self.state.due(now_seconds):
            self._update(now_seconds)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Scroll through time."""
        steps = (event.angleDelta().y() or event.angleDelta().x()) / 120
        self.control.navigation.scroll(-steps)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Emit `closed`."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the style of the new size."""
        super().resizeEvent(event)
        self._apply_style()

    def _update(self, now_seconds: float) -> None:
        """Fetch the newest data, and show which sources there are if they have changed."""
        sources, source = self.state.sources, self.state.source
        self.state.update(now_seconds)
        if self.state.sources != sources:
            if self.state.source != source:
                self.control.navigation.show_source(self.state.source)
            self.panels.set_sources(self.state.sources, self.state.source)

    def _apply_style(self) -> None:
        style = Style(theme.scale_for(self.width(), self.height()), theme.palette_for(self.state.theme))
        self.setPalette(palette(style))
        self.setStyleSheet(style_sheet(style))
        self.panels.apply_style(style, upright=self.height() > self.width())
        self.control.apply_style(style)
