"""The window for a wall: huge tags with pictures, and as little else as possible."""

import time

from PySide6.QtCore import QRect, QRectF, Qt, Signal
from PySide6.QtGui import QCloseEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from . import theme
from .actions import Actions
from .bigtags import BigTags
from .columns import RowsFunction
from .feed import Feed, SourceView
from .pasts import Pasts
from .spectrogram import Picture
from .theme import Look

HOLD_SECONDS = 1.5
"""How long Escape is held to leave."""

_LONGEST_STEP_SECONDS = 0.25


class KioskWindow(QWidget):
    """The newest tags of the first source, a strip of spectrogram, the time, and what is wrong if something is.

    Nothing pushes into it: whoever owns it calls `refresh`. It has no pointer, and no button; Escape held for a while
    closes it.

    Parameters
    ----------
    feed : Feed
        What it draws from.
    rows : callable
        Samples to log-mel rows, see `RowsFunction`.
    title : str
        The program's name.
    actions : Actions
        Of these, it uses the families of labels and what is watched.
    colours : Palette
        Its colours.
    """

    closed = Signal()

    def __init__(
        self,
        feed: Feed,
        *,
        rows: RowsFunction,
        title: str,
        actions: Actions | None = None,
        colours: theme.Palette = theme.DARK,
    ) -> None:
        super().__init__()
        actions = actions or Actions()
        self._feed = feed
        self._actions = actions
        self._colours = colours
        self._pasts = Pasts(feed.sources, rows)
        self._refreshed_at: float | None = None
        self._held_seconds: float | None = None
        self.source = feed.sources[0]
        self.tags = BigTags(feed.labels, actions.families)
        self.picture = Picture(self._pasts[self.source].columns, self)
        self.banner = Banner()
        self._rows = QVBoxLayout(self)
        self._rows.addWidget(self.tags, stretch=76)
        self._rows.addWidget(self.banner)
        self._rows.addWidget(self.picture, stretch=14)
        self.setObjectName("window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle(title)
        self.setWindowIcon(theme.icon())
        self.setMinimumSize(480, 320)
        self.resize(1280, 720)
        self.setCursor(Qt.CursorShape.BlankCursor)

    def refresh(self, now_seconds: float) -> None:
        """Show the newest snapshot; see `LiveWindow.refresh`."""
        elapsed = now_seconds - (now_seconds if self._refreshed_at is None else self._refreshed_at)
        seconds = min(elapsed, _LONGEST_STEP_SECONDS)
        self._refreshed_at = now_seconds
        snapshot = self._feed.snapshot()
        self._pasts.extend(snapshot, now_seconds, shown=self.source)
        view = snapshot.sources[self.source]
        self.picture.show_end(None)
        sounding = {event.label for event in snapshot.events if event.ended_at is None}
        alarming = frozenset(
            self._feed.labels[label]
            for sound in self._actions.watched()
            if sound.name in sounding
            for label in sound.labels
        )
        self.tags.show_tagging(view.tagging, alarming, dimmed=view.offline)
        self.tags.advance(seconds)
        if self._held_seconds is not None:
            self._held_seconds += seconds
            if self._held_seconds >= HOLD_SECONDS:
                self.close()
        self._say(view)

    def keep(self, now_seconds: float) -> None:
        """Keep what is heard; see `LiveWindow.keep`."""
        self._pasts.extend_unseen(self._feed, now_seconds)

    def _say(self, view: SourceView) -> None:
        if self._held_seconds is not None:
            self.banner.say("keep holding Escape to leave", theme.Tone.WARNING)
        elif view.status is not None and not view.status.online:
            self.banner.say(view.status.reason or f"{self.source} is offline", theme.Tone.BAD)
        else:
            self.banner.say("", theme.Tone.PLAIN)

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
        look = Look(theme.factor_for(self.width(), self.height()), self._colours)
        edge = look.px(28)
        self._rows.setContentsMargins(edge, look.px(16), edge, edge)
        self._rows.setSpacing(look.px(10))
        self.setStyleSheet(f"#window {{ background: {self._colours.background.name()}; }}")
        for view in (self.tags, self.banner, self.picture):
            view.dress(look)


class Banner(QWidget):
    """A line with the time; or with what is wrong, which can't be overlooked.

    Attributes
    ----------
    text : str
        What is wrong; empty if nothing is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._look = Look()
        self._tone = theme.Tone.PLAIN
        self._clock = ""
        self.text = ""

    def say(self, text: str, tone: theme.Tone) -> None:
        """Say something else from now on, and keep the time."""
        clock = time.strftime("%H:%M")
        if (text, tone, clock) != (self.text, self._tone, self._clock):
            self.text, self._tone, self._clock = text, tone, clock
            self.setAccessibleName(text)
            self.update()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(52))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the mark, the sentence and the clock."""
        look = self._look
        colours = look.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = look.px(34)
        theme.paint_mark(painter, QRectF(0, (self.height() - side) / 2, side, side), look)
        font = look.font(26)
        painter.setFont(font)
        clock = QFontMetrics(font).horizontalAdvance(self._clock)
        right = QRect(self.width() - clock - 2, 0, clock + 2, self.height())
        painter.setPen(colours.soft)
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter, self._clock)
        if self.text:
            room = QRect(side + look.px(18), 0, right.left() - side - look.px(48), self.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.blended(colours.of(self._tone), colours.background, 0.25))
            painter.drawRoundedRect(room, look.px(10), look.px(10))
            painter.setPen(colours.of(self._tone))
            inside = room.adjusted(look.px(16), 0, -look.px(16), 0)
            text = QFontMetrics(font).elidedText(self.text, Qt.TextElideMode.ElideRight, inside.width())
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()
