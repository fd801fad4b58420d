"""The window: it puts the views together and shows them the newest snapshot."""

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples, SourceStatus

from . import theme
from .columns import RowsFunction
from .feed import Feed
from .header import Header
from .level import LevelView
from .spectrogram import SpectrogramView
from .statusline import StatusLine
from .tags import TagsView

_NO_SAMPLES = np.zeros(0, np.float32)
_LONGEST_STEP_SECONDS = 0.25


class LiveWindow(QWidget):
    """Spectrogram, level, tags and status of one source at a time.

    Nothing pushes into it: whoever owns it calls `refresh`.

    Parameters
    ----------
    feed : Feed
        What it draws from.
    rows : callable
        Samples to log-mel rows, see `RowsFunction`.
    title : str
        The program's name.
    kiosk : bool
        Without pointer, larger, and Escape closes it.
    """

    closed = Signal()

    def __init__(self, feed: Feed, *, rows: RowsFunction, title: str, kiosk: bool) -> None:
        super().__init__()
        self._feed = feed
        self._kiosk = kiosk
        self._heard = 0
        self._refreshed_at: float | None = None
        self._captured_at: float | None = None
        self.header = Header(title, feed.sources)
        self.spectrogram = SpectrogramView(rows)
        self.level = LevelView()
        self.tags = TagsView(feed.labels)
        self.status = StatusLine()
        self._lay_out()
        self.setObjectName("window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(480, 320)
        self.resize(1280, 720)
        for keys in (QKeySequence("Ctrl+Q"), QKeySequence("Ctrl+W")):
            QShortcut(keys, self, self.close)
        if kiosk:
            QShortcut(QKeySequence("Escape"), self, self.close)
            self.setCursor(Qt.CursorShape.BlankCursor)
        self.header.source_chosen.connect(self.show_source)
        self.show_source(feed.sources[0])

    def show_source(self, source: str) -> None:
        """Show another source from now on: what is kept of it appears at once."""
        self.source = source
        self._heard = 0
        self._captured_at = None
        self.spectrogram.clear()
        self.level.clear()
        self.tags.clear("Listening…")

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
        snapshot = self._feed.snapshot()
        view = snapshot.sources[self.source]
        chunks = view.chunks_after(self._heard)
        self._heard = view.heard
        if chunks:
            self.spectrogram.extend(chunks)
            newest = chunks[-1]
            self._captured_at = newest.captured_at + len(newest.samples) / SAMPLE_RATE_HZ
        self.level.advance(_newest_samples(chunks), seconds)
        offline = view.status is not None and not view.status.online
        self.tags.show_tagging(view.tagging, dimmed=offline)
        self.tags.advance(seconds)
        self.status.show_state(self.source, view.status, snapshot.health, view.tagging)
        self._show_state(view.status)

    def _show_state(self, status: SourceStatus | None) -> None:
        if status is not None and not status.online:
            self.header.state.show_state("OFFLINE", theme.BAD, self._captured_at)
        elif self._captured_at is None:
            self.header.state.show_state("WAITING", theme.WARNING, None)
        else:
            self.header.state.show_state("LIVE", theme.GOOD, self._captured_at)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Say that it is over."""
        super().closeEvent(event)
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Let everything follow the size."""
        super().resizeEvent(event)
        self._rescale(theme.scale_for(self.width(), self.height(), kiosk=self._kiosk))

    def _lay_out(self) -> None:
        self._sound = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._sound.addWidget(self.spectrogram, stretch=1)
        self._sound.addWidget(self.level)
        self._panels = [_panel(self._sound), _panel(_filled(self.tags))]
        self._body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        for panel, share in zip(self._panels, (62, 38), strict=True):
            self._body.addWidget(panel, stretch=share)
        self._rows = QVBoxLayout(self)
        self._rows.addWidget(self.header)
        self._rows.addLayout(self._body, stretch=1)
        self._rows.addWidget(self.status)

    def _rescale(self, scale: theme.Scale) -> None:
        upright = self.height() > self.width()
        direction = QBoxLayout.Direction
        self._body.setDirection(direction.TopToBottom if upright else direction.LeftToRight)
        self.setStyleSheet(theme.style_sheet(scale))
        edge, gap = scale.px(16), scale.px(12)
        self._rows.setContentsMargins(edge, gap, edge, scale.px(8))
        self._rows.setSpacing(scale.px(8))
        self._body.setSpacing(gap)
        self._sound.setSpacing(0)
        for panel in self._panels:
            panel.setContentsMargins(gap, gap, gap, gap)
        self._panels[0].setContentsMargins(scale.px(4), gap, gap, scale.px(8))
        self._panels[1].setContentsMargins(edge, gap, edge, gap)
        for view in (self.header, self.spectrogram, self.level, self.tags, self.status):
            view.rescale(scale)


def _newest_samples(chunks: tuple[AudioChunk, ...]) -> Samples:
    """Return the samples of the last quarter of a second at most: what is older moves no meter."""
    if not chunks:
        return _NO_SAMPLES
    wanted = int(_LONGEST_STEP_SECONDS * SAMPLE_RATE_HZ)
    parts = []
    for chunk in reversed(chunks):
        parts.append(chunk.samples)
        wanted -= len(chunk.samples)
        if wanted <= 0:
            break
    return np.concatenate(parts[::-1])


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
