"""One line on how things stand."""

from dataclasses import dataclass

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Health, SourceStatus, Tagging

from .theme import Look, Tone

_NOTICE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Field:
    """A caption and its value. Where the line is narrow, fields of the lowest weight go first."""

    caption: str
    value: str
    weight: int
    tone: Tone = Tone.PLAIN

    def __str__(self) -> str:
        return f"{self.caption} {self.value}".strip()


def fields_of(
    source: str, status: SourceStatus | None, health: Health | None, tagging: Tagging | None
) -> tuple[Field, ...]:
    """Return what the line says about a source and the program."""
    if status is not None and not status.online:
        first = Field(source, status.reason or "is offline", 9, Tone.BAD)
    else:
        first = Field("source", source, 9)
    latency = tagging.latency_seconds if tagging is not None else None
    if latency is None and health is not None:
        latency = health.latency_p50_seconds
    fields = [first]
    if health is not None:
        fields += [Field("model", health.model, 6), Field("device", health.device, 4)]
    if latency is not None:
        fields.append(Field("latency", _duration(latency), 8))
    if health is not None:
        if health.real_time_factor is not None:
            late = health.real_time_factor > 1
            fields.append(
                Field("load", f"{health.real_time_factor:.0%}", 3, Tone.WARNING if late else Tone.PLAIN)
            )
        fields += [
            Field("drops", f"{health.dropped_windows}", 7),
            Field("lost", _duration(health.lost_seconds), 7),
            Field("broker", health.broker, 5),
        ]
    return tuple(fields)


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.1f} s"


class StatusLine(QWidget):
    """Source, model, device, latency, drops, losses, broker; and for a moment, what has just been done.

    Attributes
    ----------
    notice : str
        The sentence that stands there now; empty for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._look = Look()
        self._fields: tuple[Field, ...] = ()
        self._left_seconds = 0.0
        self.notice = ""
        self._known: tuple[object, ...] = (None,) * 4

    def text(self) -> str:
        """Return what it says, also what is left out for want of room."""
        return "  ".join(str(field) for field in self._fields)

    def show_state(
        self, source: str, status: SourceStatus | None, health: Health | None, tagging: Tagging | None
    ) -> None:
        """Say how a source and the program are from now on."""
        known = (source, status, health, tagging)
        if all(new is old for new, old in zip(known, self._known, strict=True)):
            return
        self._known = known
        fields = fields_of(source, status, health, tagging)
        if fields != self._fields:
            self._fields = fields
            self.setToolTip(self.text())
            self.setAccessibleName(self.text())
            self.update()

    def say(self, sentence: str, seconds: float = _NOTICE_SECONDS) -> None:
        """Show a sentence in place of everything else for a while."""
        self.notice = sentence
        self._left_seconds = seconds
        self.update()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if self.notice:
            self._left_seconds -= seconds
            if self._left_seconds <= 0:
                self.notice = ""
                self.update()

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._look = look
        self.setFixedHeight(look.px(24))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the fields that there is room for, from left to right."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._look.colours.background)
        font = self._look.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        gap, space = self._look.px(24), self._look.px(6)
        fields = [Field("", self.notice, 9)] if self.notice else self._fitting(metrics, gap + space)
        x = 0
        for field in fields:
            colours = self._look.colours
            for text, colour in ((field.caption, colours.soft), (field.value, colours.of(field.tone))):
                if not text:
                    continue
                text_ = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width() - x)
                width = metrics.horizontalAdvance(text_)
                painter.setPen(colour)
                painter.drawText(QRect(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, text_)
                x += width + space
            x += gap
        painter.end()

    def _fitting(self, metrics: QFontMetrics, gap: int) -> list[Field]:
        fields = list(self._fields)
        while len(fields) > 1:
            needed = sum(metrics.horizontalAdvance(str(field)) + gap for field in fields) - gap
            if needed <= self.width():
                break
            fields.remove(min(fields, key=lambda field: field.weight))
        return fields
