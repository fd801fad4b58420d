"""Status line: a health light with a word and its reasons, and short messages. A click on it shows the figures."""

from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QWidget

from streamer.messages import Health, SourceStatus, Tagging

from ..data.condition import Condition, Figure, Light, condition_of, details_of
from ..style.theme import Style, Tone

_MESSAGE_SECONDS = 6.0
_TONES = {Light.OK: Tone.GOOD, Light.DEGRADED: Tone.WARNING, Light.TROUBLE: Tone.BAD}
_MORE = "Figures ▴"


class StatusLine(QWidget):
    """Health light, with its word and reasons, or the model where all is well; and a message for some seconds.

    Each light has its own shape as well as its colour.

    Parameters
    ----------
    notice : str
        Problem that lasts as long as the program; empty for none.

    Attributes
    ----------
    message : str
        Message on screen; empty for none.
    condition : Condition
        Condition on screen.
    details : tuple of Figure
        More figures about source and program.
    """

    clicked = Signal()
    changed = Signal()

    def __init__(self, notice: str = "") -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("Click for the figures (I)")
        self._style = Style()
        self._notice = notice
        self._remaining_seconds = 0.0
        self.message = ""
        self.condition = Condition()
        self.details: tuple[Figure, ...] = ()
        self._known: tuple[object, ...] = (None,) * 5

    def text(self) -> str:
        """Return all figures, of which the line shows those that matter now."""
        return str(self.condition)

    def show_state(
        self,
        source: str,
        status: SourceStatus | None,
        health: Health | None,
        tagging: Tagging | None,
        *,
        paused: bool = False,
    ) -> None:
        """Show the condition of a source and of the program."""
        known = (source, status, health, tagging, paused)
        if all(new is old for new, old in zip(known, self._known, strict=True)):
            return
        self._known = known
        self.details = details_of(source, health)
        condition = condition_of(source, status, health, tagging, paused=paused, notice=self._notice)
        if condition != self.condition:
            self.condition = condition
            self.setAccessibleName(f"{self.line()}. {self.text()}")
            self.setAccessibleDescription("\n".join(map(str, self.details)))
            self.update()
        self.changed.emit()

    def line(self) -> str:
        """Return the words on screen, while there is no message."""
        return f"{self.condition.light.value}: {self._reasons()}".removesuffix(": ")

    def show_message(self, message: str, seconds: float = _MESSAGE_SECONDS) -> None:
        """Show a message instead of the condition for some seconds."""
        self.message = message
        self._remaining_seconds = seconds
        self.update()

    def advance(self, seconds: float) -> None:
        """Hide the message once its time is over."""
        if self.message:
            self._remaining_seconds -= seconds
            if self._remaining_seconds <= 0:
                self.message = ""
                self.update()

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._style = style
        self.setFixedHeight(style.px(24))
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Emit `clicked`."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw light, word and reasons, or the message."""
        style, colours = self._style, self._style.colours
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.background)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = style.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        end = self.width() - metrics.horizontalAdvance(_MORE) - style.px(20)
        painter.setPen(colours.soft)
        painter.drawText(
            self.rect(), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{_MORE} "
        )
        if self.message:
            self._paint_text(painter, self.message, colours.text, 0, end)
        else:
            light = self.condition.light
            side = style.px(11)
            _paint_light(
                painter, light, QRectF(1, (self.height() - side) / 2, side, side), colours.of(_TONES[light])
            )
            bold = style.font(14, QFont.Weight.DemiBold)
            painter.setFont(bold)
            left = side + style.px(9)
            self._paint_text(painter, light.value, colours.of(_TONES[light]), left, end)
            left += QFontMetrics(bold).horizontalAdvance(light.value) + style.px(14)
            painter.setFont(font)
            self._paint_text(
                painter, self._reasons(), colours.soft if light is Light.OK else colours.text, left, end
            )
        painter.end()

    def _reasons(self) -> str:
        """Return the problems; if there are none, the model and how it is getting on."""
        if problems := self.condition.problems:
            return problems
        shown = {figure.caption: str(figure) for figure in self.condition.figures}
        return " · ".join(shown[caption] for caption in ("model", "loading", "latency") if caption in shown)

    def _paint_text(self, painter: QPainter, text: str, colour: QColor, left: int, end: int) -> None:
        box = QRect(left, 0, max(0, end - left), self.height())
        elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.setPen(colour)
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, elided)


def _paint_light(painter: QPainter, light: Light, box: QRectF, colour: QColor) -> None:
    """Draw a light: a disc, a triangle or a square."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    if light is Light.OK:
        painter.drawEllipse(box)
    elif light is Light.DEGRADED:
        painter.drawPolygon(
            QPolygonF([box.bottomLeft(), box.bottomRight(), QPointF(box.center().x(), box.top())])
        )
    else:
        painter.drawRect(box)
