"""The strip on top: whose window this is, which source it shows, and whether that one is live."""

import time
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QTabBar, QToolButton, QWidget

from ..style.theme import Look, Tone, paint_mark

_ROOM_FOR_TABS = 160


class Header(QWidget):
    """Title, a tab for each source where there are several, buttons, and the state of the source on show.

    Parameters
    ----------
    title : str
        The program's name.
    """

    source_chosen = Signal(str)

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = _Title(title)
        self._sources: tuple[str, ...] = ()
        self._look = Look()
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tabs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.tabs.currentChanged.connect(lambda place: self.source_chosen.emit(self._sources[place]))
        self.buttons: dict[str, QToolButton] = {}
        self.state = StateBadge()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self._title)
        self._row.addWidget(self.tabs, stretch=1)
        self._row.addStretch()  # takes the room where there are no tabs
        self._tools = QHBoxLayout()
        self._row.addLayout(self._tools)
        self._row.addWidget(self.state)

    def add_button(self, action: QAction) -> None:
        """Offer an action."""
        button = self._add(action.text())
        button.setDefaultAction(action)

    def add_menu(self, title: str, menu: QMenu) -> None:
        """Offer a menu."""
        button = self._add(title)
        button.setText(f"{title} ▾")
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def follow(self, sources: Sequence[str], shown: str) -> None:
        """Offer these from now on; one of them is on show."""
        self._sources = tuple(sources)
        with QSignalBlocker(self.tabs):
            while self.tabs.count():
                self.tabs.removeTab(0)
            for source in sources:
                self.tabs.addTab(source.replace("&", "&&"))
            self.choose(shown)
        self.tabs.setVisible(len(sources) > 1)
        self._fit()

    def choose(self, source: str) -> None:
        """Choose a source."""
        self.tabs.setCurrentIndex(self._sources.index(source))

    def show_next(self) -> None:
        """Choose the next source."""
        self.tabs.setCurrentIndex((self.tabs.currentIndex() + 1) % len(self._sources))

    def mark(self, source: str, tone: Tone) -> None:
        """Colour a source's tab: something goes on there."""
        place = self._sources.index(source)
        colour = QColor() if tone is Tone.PLAIN else self._look.colours.of(tone)
        if self.tabs.tabTextColor(place) != colour:
            self.tabs.setTabTextColor(place, colour)

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(32))
        self._row.setSpacing(look.px(16))
        self._tools.setSpacing(look.px(6))
        self._title.dress(look)
        self.state.dress(look)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the view's own size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Leave out the name, and then the clock too, where buttons and tabs need the room."""
        tools = self._tools.sizeHint().width() + 3 * self._row.spacing()
        tabs = min(self.tabs.sizeHint().width(), self._look.px(_ROOM_FOR_TABS))
        room = self.width() - tools - (0 if self.tabs.isHidden() else tabs)
        title, state = self._title, self.state
        clock = title.width_with(name=False) + state.width_with(clock=True) <= room
        name = title.width_with(name=True) + state.width_with(clock=True) <= room
        title.setFixedWidth(title.width_with(name=name))
        state.setFixedWidth(state.width_with(clock=clock))

    def _add(self, name: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName("tool")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.buttons[name] = button
        self._tools.addWidget(button)
        return button


class _Title(QWidget):
    """The mark and the name."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._text = title
        self._look = Look()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(32))

    def width_with(self, *, name: bool) -> int:
        """Return the width with the name, or with the mark alone."""
        width = QFontMetrics(self._font()).horizontalAdvance(self._text)
        return self._look.px(36) + width + 2 if name else self._look.px(24)

    def _font(self) -> QFont:
        return self._look.font(18, QFont.Weight.DemiBold)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = self._look.px(24)
        paint_mark(painter, QRectF(0, (self.height() - side) / 2, side, side), self._look)
        painter.setFont(self._font())
        painter.setPen(self._look.colours.text)
        painter.drawText(
            self.rect().adjusted(self._look.px(34), 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text
        )
        painter.end()


class StateBadge(QWidget):
    """A coloured dot, a word, and the time at which the newest sound on show was captured."""

    def __init__(self) -> None:
        super().__init__()
        self._look = Look()
        self._showing: tuple[str, int | None] = ("", None)
        self._shown: tuple[str, Tone, str] = ("", Tone.PLAIN, "")

    def text(self) -> str:
        """Return what it says."""
        return f"{self._shown[0]} {self._shown[2]}".strip()

    def show_state(self, word: str, tone: Tone, captured_at: float | None) -> None:
        """Say something else from now on; ``captured_at`` is a Unix time in seconds."""
        second = None if captured_at is None else int(captured_at)
        if (word, second) == self._showing:
            return
        self._showing = word, second
        clock = "" if second is None else time.strftime("%H:%M:%S", time.localtime(second))
        self._shown = (word, tone, clock)
        self.update()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(32))
        self.update()

    def width_with(self, *, clock: bool) -> int:
        """Return the width with the clock, or with dot and word alone."""
        text = "OFFLINE 00:00:00" if clock else "OFFLINE"
        return QFontMetrics(self._look.font(14)).horizontalAdvance(text) + self._look.px(34)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw dot, word and clock, flush right."""
        del event
        word, tone, clock = self._shown
        if self.width() < self.width_with(clock=True):
            clock = ""
        colour = self._look.colours.of(tone)
        look = self._look
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = look.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        right, vertical = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self._look.colours.soft)
        painter.drawText(self.rect(), right | vertical, clock)
        painter.setPen(colour)
        room = self.rect().adjusted(0, 0, -metrics.horizontalAdvance(clock) - look.px(14 if clock else 0), 0)
        painter.drawText(room, right | vertical, word)
        if word:
            side = look.px(9)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            left = room.right() + 1 - metrics.horizontalAdvance(word) - look.px(8) - side
            painter.drawEllipse(QRectF(left, (self.height() - side) / 2, side, side))
        painter.end()
