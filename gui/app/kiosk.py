"""The window for a wall: huge tags with pictures, and as little else as possible."""

from collections.abc import Collection

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from ..actions import Actions
from ..data.feed import Feed, Snapshot
from ..data.histories import Pasts
from ..style import theme
from ..style.theme import Look, Tone
from ..widgets.banner import Banner
from ..widgets.tile import Tile

HOLD_SECONDS = 1.5
"""How long Escape is held to leave."""

_LONGEST_STEP_SECONDS = 0.25


class KioskWindow(QWidget):
    """A tile for each source, with its newest tags, a strip of spectrogram and what is wrong if something is; and the time.

    Nothing pushes into it: whoever owns it calls `refresh`. It has no pointer, and no button; Escape held for a while
    closes it. Tiles come and go with the sources of each snapshot.

    Parameters
    ----------
    feed : Feed
        What it draws from.
    pasts : Pasts
        What is kept of each source's sound, also after this window.
    title : str
        The program's name.
    actions : Actions
        Of these, it uses the families of labels and what is watched.
    colours : Palette
        Its colours.

    Attributes
    ----------
    tiles : list of Tile
        One for each source.
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
        self._colours = colours
        self._pasts = pasts
        self._refreshed_at: float | None = None
        self._held_seconds: float | None = None
        self.tiles: list[Tile] = []
        self._common = Banner()
        self._grid = QGridLayout()
        self._rows = QVBoxLayout(self)
        self._rows.addLayout(self._grid, stretch=1)
        self._rows.addWidget(self._common)
        self.setObjectName("window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(480, 320)
        self.resize(1280, 720)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self._follow(feed.sources)

    @property
    def banner(self) -> Banner:
        """The line with the time: that of the tile, if there is but one."""
        return self.tiles[0].banner if len(self.tiles) == 1 else self._common

    def refresh(self, now_seconds: float) -> None:
        """Show the newest snapshot; see `LiveWindow.refresh`."""
        elapsed = now_seconds - (now_seconds if self._refreshed_at is None else self._refreshed_at)
        seconds = min(elapsed, _LONGEST_STEP_SECONDS)
        self._refreshed_at = now_seconds
        snapshot = self._take(now_seconds)
        for tile in self.tiles:
            self._show_tile(tile, snapshot)
            tile.tags.advance(seconds)
        if self._held_seconds is not None:
            self._held_seconds += seconds
            if self._held_seconds >= HOLD_SECONDS:
                self.close()
            self.banner.say("keep holding Escape to leave", Tone.WARNING)
        elif len(self.tiles) > 1:
            self.banner.say("", Tone.PLAIN)

    def keep(self, now_seconds: float) -> None:
        """Keep what is heard; see `LiveWindow.keep`."""
        if self._pasts.due(now_seconds):
            self._take(now_seconds)

    def _take(self, now_seconds: float) -> Snapshot:
        """Take what is new, sources too."""
        snapshot = self._feed.snapshot()
        if list(snapshot.sources) != [tile.source for tile in self.tiles]:
            self._follow(snapshot.sources)
            self._dress()
        self._pasts.extend(snapshot, now_seconds, shown=snapshot.sources)
        return snapshot

    def _follow(self, sources: Collection[str]) -> None:
        """Show a tile for each of these from now on: that of before, where there is one."""
        self._pasts.follow(sources)
        before = {tile.source: tile for tile in self.tiles}
        self.tiles = [before[source] if source in before else self._new_tile(source) for source in sources]
        for source, tile in before.items():
            if source not in sources:
                self._grid.removeWidget(tile)
                tile.hide()
                tile.deleteLater()
        alone = len(self.tiles) == 1
        for tile in self.tiles:
            tile.settle(alone=alone)
        self._common.setVisible(not alone)

    def _new_tile(self, source: str) -> Tile:
        return Tile(
            source,
            labels=self._feed.labels,
            families=self._actions.families,
            columns=self._pasts[source].columns,
        )

    def _show_tile(self, tile: Tile, snapshot: Snapshot) -> None:
        sounding = {
            event.label for event in snapshot.events if event.source == tile.source and event.ended_at is None
        }
        alarming = frozenset(
            self._feed.labels[label]
            for sound in self._actions.watched(tile.source)
            if sound.name in sounding
            for label in sound.labels
        )
        tile.show_view(snapshot.sources[tile.source], alarming, sounding=bool(sounding))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Begin to leave with Escape."""
        if event.key() == Qt.Key.Key_Escape and not event.isAutoRepeat():
            self._held_seconds = 0.0

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Stay after all."""
        if event.key() == Qt.Key.Key_Escape and not event.isAutoRepeat():
            self._held_seconds = None

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Say that it is over."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Let everything follow the size."""
        super().resizeEvent(event)
        self._dress()

    def _dress(self) -> None:
        look = Look(theme.factor_for(self.width(), self.height()), self._colours)
        edge = look.px(28)
        self._rows.setContentsMargins(edge, look.px(16), edge, edge)
        self._rows.setSpacing(look.px(10))
        self.setStyleSheet(f"#window {{ background: {self._colours.background.name()}; }}")
        self._common.dress(look)
        self._place_tiles(look)

    def _place_tiles(self, look: Look) -> None:
        """Let each tile be as large as it can be."""
        columns = columns_for(len(self.tiles), self.width(), self.height())
        rows = -(-len(self.tiles) // columns)
        factor = theme.factor_for(self.width() // columns, self.height() // rows)
        self._grid.setSpacing(look.px(36))
        for place in range(max(len(self.tiles), self._grid.columnCount(), self._grid.rowCount())):
            self._grid.setColumnStretch(place, int(place < columns))
            self._grid.setRowStretch(place, int(place < rows))
        for place, tile in enumerate(self.tiles):
            self._grid.addWidget(tile, place // columns, place % columns)
            tile.dress(Look(factor, self._colours))


def columns_for(tiles: int, width: int, height: int) -> int:
    """Return in how many columns so many tiles are largest, as wide and as high as a screen is."""

    def size(columns: int) -> float:
        rows = -(-tiles // columns)
        return min(width / columns / 16, height / rows / 9)

    return max(range(tiles, 0, -1), key=size)
