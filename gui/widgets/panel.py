"""Frame around a part of the window, with a title, an explanation and a key of colours."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ..style.theme import Style

_STEPS = 16


class Panel(QFrame):
    """Frame with a title above its content. The "?" beside the title explains the panel: as a tooltip, and on a click.

    Parameters
    ----------
    title : str
        Title in plain words.
    explanation : str
        Sentences that explain it.
    content : QWidget
        Content below the title.
    tools : sequence of QWidget
        Widgets at the right end of the title.

    Attributes
    ----------
    what : QToolButton
        The "?".
    """

    def __init__(self, title: str, explanation: str, content: QWidget, *tools: QWidget) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._title = QLabel(title)
        self._title.setObjectName("title")
        self._title.setToolTip(_wrapped(explanation))
        self.what = QToolButton()
        self.what.setObjectName("what")
        self.what.setText("?")
        self.what.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.what.setToolTip(_wrapped(explanation))
        self.what.setAccessibleName(f"About: {title}")
        self.what.setAccessibleDescription(explanation)
        self._bar = QHBoxLayout()
        self._bar.addWidget(self._title)
        self._bar.addWidget(self.what)
        self._bar.addStretch(1)
        for tool in tools:
            self._bar.addWidget(tool)
        self._rows = QVBoxLayout(self)
        self._rows.addLayout(self._bar)
        self._rows.addWidget(content, stretch=1)

    @property
    def title(self) -> str:
        """Title on screen."""
        return self._title.text()

    def apply_style(self, style: Style, left: int, right: int, bottom: int) -> None:
        """Apply sizes: the title has margins of its own, the content those that are given, in pixels."""
        edge = style.px(14)
        self._bar.setContentsMargins(max(0, edge - left), 0, max(0, edge - right), 0)
        self._bar.setSpacing(style.px(6))
        self._rows.setContentsMargins(left, style.px(5), right, bottom)
        self._rows.setSpacing(style.px(3))
        side = style.px(18)
        self.what.setFixedSize(side, side)


class ColourKey(QWidget):
    """Strip of colours with a word at each end.

    Parameters
    ----------
    low, high : str
        Words at the ends.
    scores : bool
        True for the colours of scores, False for those of the spectrogram.
    explanation : str
        Tooltip.
    """

    def __init__(self, low: str, high: str, *, scores: bool, explanation: str) -> None:
        super().__init__()
        self._low, self._high, self._scores = low, high, scores
        self._style = Style()
        self.setToolTip(_wrapped(explanation))
        self.setAccessibleName(explanation)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        low, high = self._widths()
        self.setFixedSize(low + high + style.px(74), style.px(22))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw words and strip."""
        del event
        style = self._style
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(style.font(12))
        painter.setPen(style.colours.soft)
        low, high = self._widths()
        painter.drawText(QRect(0, 0, low, self.height()), Qt.AlignmentFlag.AlignVCenter, self._low)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect(), right, self._high)
        gap, thick = style.px(7), style.px(8)
        strip = QRect(low + gap, (self.height() - thick) // 2, self.width() - low - high - 2 * gap, thick)
        gradient = QLinearGradient(strip.left(), 0, strip.right(), 0)
        table = style.score_table() if self._scores else style.colour_table()
        for step in range(_STEPS + 1):
            gradient.setColorAt(step / _STEPS, QColor(int(table[1 + round(253 * step / _STEPS)])))
        painter.setPen(style.colours.edge)
        painter.setBrush(gradient)
        painter.drawRoundedRect(strip, thick / 2, thick / 2)
        painter.end()

    def _widths(self) -> tuple[int, int]:
        metrics = QFontMetrics(self._style.font(12))
        return metrics.horizontalAdvance(self._low) + 2, metrics.horizontalAdvance(self._high) + 2


def _wrapped(text: str) -> str:
    """Return a tooltip that Qt wraps: only rich text is."""
    return f"<qt>{text.replace('&', '&amp;').replace('<', '&lt;')}</qt>"
