"""Header of the window: title, tabs of the sources, buttons, and the state of the source on screen."""

import time
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QTabBar, QToolButton, QWidget

from ..style.theme import Style, Tone, paint_logo

_MIN_TABS_WIDTH = 160


class Header(QWidget):
    """Title, a tab for each source (if there are several), buttons, and the state of the source on screen.

    Parameters
    ----------
    title : str
        Name of the program.

    Attributes
    ----------
    tabs : QTabBar
        Tab of each source.
    buttons : dict of str to QToolButton
        Buttons by title.
    state : StateBadge
        State of the source on screen.
    """

    source_chosen = Signal(str)

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = _Title(title)
        self._sources: tuple[str, ...] = ()
        self._style = Style()
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setElideMode(Qt.TextElideMode.ElideNone)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tabs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.tabs.currentChanged.connect(lambda index: self.source_chosen.emit(self._sources[index]))
        self.buttons: dict[str, QToolButton] = {}
        self.state = StateBadge()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self._title)
        self._row.addWidget(self.tabs, stretch=1)
        self._row.addStretch()  # fills the space without tabs
        self._tools = QHBoxLayout()
        self._row.addLayout(self._tools)
        self._row.addWidget(self.state)

    def add_button(self, action: QAction) -> None:
        """Add a button for an action."""
        button = self._add(action.text())
        button.setDefaultAction(action)

    def add_menu(self, title: str, menu: QMenu) -> None:
        """Add a button for a menu."""
        button = self._add(title)
        button.setText(f"{title} ▾")
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def set_sources(self, sources: Sequence[str], shown: str) -> None:
        """Show a tab for each source; one of them is on screen."""
        self._sources = tuple(sources)
        with QSignalBlocker(self.tabs):
            while self.tabs.count():
                self.tabs.removeTab(0)
            for source in sources:
                self.tabs.addTab(source.replace("&", "&&"))
            self.select(shown)
        self.tabs.setVisible(len(sources) > 1)
        self._fit()

    def select(self, source: str) -> None:
        """Select the tab of a source."""
        self.tabs.setCurrentIndex(self._sources.index(source))

    def select_next(self) -> None:
        """Select the next tab."""
        self.tabs.setCurrentIndex((self.tabs.currentIndex() + 1) % len(self._sources))

    def set_tone(self, source: str, tone: Tone) -> None:
        """Set the colour of a source's tab."""
        index = self._sources.index(source)
        colour = QColor() if tone is Tone.PLAIN else self._style.colours.of(tone)
        if self.tabs.tabTextColor(index) != colour:
            self.tabs.setTabTextColor(index, colour)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(32))
        self._row.setSpacing(style.px(16))
        self._tools.setSpacing(style.px(6))
        self._title.apply_style(style)
        self.state.apply_style(style)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Apply the widget's new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Leave out the name, and then the clock, if buttons and tabs need the space."""
        tools = self._tools.sizeHint().width() + 3 * self._row.spacing()
        tabs = min(self.tabs.sizeHint().width(), self._style.px(_MIN_TABS_WIDTH))
        space = self.width() - tools - (0 if self.tabs.isHidden() else tabs)
        title, state = self._title, self.state
        clock = title.width_with(name=False) + state.width_with(clock=True) <= space
        name = title.width_with(name=True) + state.width_with(clock=True) <= space
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
    """Logo and name of the program."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._text = title
        self._style = Style()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(32))

    def width_with(self, *, name: bool) -> int:
        """Return the width with the name, or with the logo alone."""
        width = QFontMetrics(self._font()).horizontalAdvance(self._text)
        return self._style.px(36) + width + 2 if name else self._style.px(24)

    def _font(self) -> QFont:
        return self._style.font(18, QFont.Weight.DemiBold)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = self._style.px(24)
        paint_logo(painter, QRectF(0, (self.height() - side) / 2, side, side), self._style)
        painter.setFont(self._font())
        painter.setPen(self._style.colours.text)
        painter.drawText(
            self.rect().adjusted(self._style.px(34), 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text
        )
        painter.end()


class StateBadge(QWidget):
    """Coloured dot, a word, and the capture time of the newest sound on screen."""

    def __init__(self) -> None:
        super().__init__()
        self._style = Style()
        self._showing: tuple[str, int | None] = ("", None)
        self._shown: tuple[str, Tone, str] = ("", Tone.PLAIN, "")

    def text(self) -> str:
        """Return the text on screen."""
        return f"{self._shown[0]} {self._shown[2]}".strip()

    def show_state(self, word: str, tone: Tone, captured_at: float | None) -> None:
        """Show a word in the colour of a tone, and a time, given as Unix time in seconds."""
        second = None if captured_at is None else int(captured_at)
        if (word, second) == self._showing:
            return
        self._showing = word, second
        clock = "" if second is None else time.strftime("%H:%M:%S", time.localtime(second))
        self._shown = (word, tone, clock)
        self.update()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(32))
        self.update()

    def width_with(self, *, clock: bool) -> int:
        """Return the width with the clock, or with dot and word only."""
        text = "OFFLINE 00:00:00" if clock else "OFFLINE"
        return QFontMetrics(self._style.font(14)).horizontalAdvance(text) + self._style.px(34)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw dot, word and clock, aligned to the right."""
        del event
        word, tone, clock = self._shown
        if self.width() < self.width_with(clock=True):
            clock = ""
        colour = self._style.colours.of(tone)
        style = self._style
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = style.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        right, vertical = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self._style.colours.soft)
        painter.drawText(self.rect(), right | vertical, clock)
        painter.setPen(colour)
        space = self.rect().adjusted(
            0, 0, -metrics.horizontalAdvance(clock) - style.px(14 if clock else 0), 0
        )
        painter.drawText(space, right | vertical, word)
        if word:
            side = style.px(9)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            left = space.right() + 1 - metrics.horizontalAdvance(word) - style.px(8) - side
            painter.drawEllipse(QRectF(left, (self.height() - side) / 2, side, side))
        painter.end()
