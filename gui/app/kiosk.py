"""The kiosk: a window for a screen on the wall, with large tags and pictograms."""

from collections.abc import Collection

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from ..actions import Actions
from ..data.feed import Feed, Snapshot
from ..data.histories import SourceHistories
from ..look import KioskLook
from ..style import theme
from ..style.logo import load_logo
from ..style.theme import Style, Tone
from ..widgets.banner import Banner
from ..widgets.tile import Tile

HOLD_SECONDS = 1.5
"""Time for which Escape must be held to leave."""

_MAX_STEP_SECONDS = 0.25
_PLAIN = KioskLook()


class KioskWindow(QWidget):
    """Tile for each source, with its tags, a strip of spectrogram and its problem, if any; and the time.

    Nothing is pushed into the window: its owner calls `refresh`. It has no mouse pointer and no buttons; holding Escape
    closes it. Tiles come and go with the sources.

    Parameters
    ----------
    feed : Feed
        Newest data of all sources.
    histories : SourceHistories
        Sound of all sources; it outlives the window.
    title : str
        Name of the program.
    actions : Actions, optional
        Functions of the program; only `families`, `names` and `watched` are used.
    colours : Palette
        Colours of the window.
    look : KioskLook
        Words, logo, and sounds that are not shown.

    Attributes
    ----------
    tiles : list of Tile
        Tile of each source.

    Raises
    ------
    LookError
        The logo can't be read.
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
        look: KioskLook = _PLAIN,
    ) -> None:
        super().__init__()
        self._feed = feed
        self._actions = actions or Actions()
        self._colours = colours
        self._look = look
        self._logo = load_logo(look)
        self._histories = histories
        self._refreshed_at: float | None = None
        self._held_seconds: float | None = None
        self.tiles: list[Tile] = []
        self._time_banner = Banner(logo=self._logo, invitation=look.text)
        self._grid = QGridLayout()
        self._rows = QVBoxLayout(self)
        self._rows.addLayout(self._grid, stretch=1)
        self._rows.addWidget(self._time_banner)
        self.setObjectName("window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(480, 320)
        self.resize(1280, 720)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self._set_sources(feed.sources)

    @property
    def banner(self) -> Banner:
        """Banner with the time: that of the tile if there is only one, else the one below the tiles."""
        return self.tiles[0].banner if len(self.tiles) == 1 else self._time_banner

    def refresh(self, now_seconds: float) -> None:
        """Show the newest data; see `LiveWindow.refresh`."""
        elapsed = now_seconds - (now_seconds if self._refreshed_at is None else self._refreshed_at)
        seconds = min(elapsed, _MAX_STEP_SECONDS)
        self._refreshed_at = now_seconds
        snapshot = self._update(now_seconds)
        for tile in self.tiles:
            self._show_tile(tile, snapshot)
            tile.tags.advance(seconds)
        if self._held_seconds is not None:
            self._held_seconds += seconds
            if self._held_seconds >= HOLD_SECONDS:
                self.close()
            self.banner.show_message(self._look.say("hold"), Tone.WARNING)
        elif len(self.tiles) > 1:
            self.banner.show_message("", Tone.PLAIN)

    def collect(self, now_seconds: float) -> None:
        """Collect new sound without drawing; see `LiveWindow.collect`."""
        if self._histories.due(now_seconds):
            self._update(now_seconds)

    def _update(self, now_seconds: float) -> Snapshot:
        """Fetch the newest data and follow the list of sources."""
        snapshot = self._feed.snapshot()
        if list(snapshot.sources) != [tile.source for tile in self.tiles]:
            self._set_sources(snapshot.sources)
            self._apply_style()
        self._histories.extend(snapshot, now_seconds, shown=snapshot.sources)
        return snapshot

    def _set_sources(self, sources: Collection[str]) -> None:
        """Show a tile for each source; those that exist stay."""
        self._histories.set_sources(sources)
        old = {tile.source: tile for tile in self.tiles}
        self.tiles = [old[source] if source in old else self._new_tile(source) for source in sources]
        for source, tile in old.items():
            if source not in sources:
                self._grid.removeWidget(tile)
                tile.hide()
                tile.deleteLater()
        alone = len(self.tiles) == 1
        for tile in self.tiles:
            tile.set_alone(alone=alone)
        self._time_banner.setVisible(not alone)

    def _new_tile(self, source: str) -> Tile:
        return Tile(
            source,
            labels=self._feed.labels,
            actions=self._actions,
            look=self._look,
            logo=self._logo,
            columns=self._histories[source].columns,
        )

    def _show_tile(self, tile: Tile, snapshot: Snapshot) -> None:
        active = {event.label for event in snapshot.ongoing if event.source == tile.source}
        alarming = frozenset(
            self._feed.labels[label]
            for sound in self._actions.watched(tile.source)
            if sound.name in active
            for label in sound.labels
        )
        tile.tags.set_hint(self._look.hint(snapshot.loading, inviting=len(self.tiles) == 1))
        tile.show_view(snapshot.sources[tile.source], alarming, active=bool(active))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Start to leave with Escape."""
        if event.key() == Qt.Key.Key_Escape and not event.isAutoRepeat():
            self._held_seconds = 0.0

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Stay if Escape is released early."""
        if event.key() == Qt.Key.Key_Escape and not event.isAutoRepeat():
            self._held_seconds = None

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Emit `closed`."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the style of the new size."""
        super().resizeEvent(event)
        self._apply_style()

    def _apply_style(self) -> None:
        style = Style(theme.scale_for(self.width(), self.height()), self._colours)
        edge = style.px(28)
        self._rows.setContentsMargins(edge, style.px(16), edge, edge)
        self._rows.setSpacing(style.px(10))
        self.setStyleSheet(f"#window {{ background: {self._colours.background.name()}; }}")
        self._time_banner.apply_style(style)
        self._arrange_tiles(style)

    def _arrange_tiles(self, style: Style) -> None:
        """Arrange the tiles so that they are as large as possible."""
        columns = columns_for(len(self.tiles), self.width(), self.height())
        rows = -(-len(self.tiles) // columns)
        scale = theme.scale_for(self.width() // columns, self.height() // rows)
        self._grid.setSpacing(style.px(36))
        for index in range(max(len(self.tiles), self._grid.columnCount(), self._grid.rowCount())):
            self._grid.setColumnStretch(index, int(index < columns))
            self._grid.setRowStretch(index, int(index < rows))
        for index, tile in enumerate(self.tiles):
            self._grid.addWidget(tile, index // columns, index % columns)
            tile.apply_style(Style(scale, self._colours))


def columns_for(tiles: int, width: int, height: int) -> int:
    """Return the number of columns in which 16:9 tiles are largest, for a window of a size in pixels."""

    def scale(columns: int) -> float:
        rows = -(-tiles // columns)
        return min(width / columns / 16, height / rows / 9)

    return max(range(tiles, 0, -1), key=scale)
