"""Status line: source, model, latency, drops, broker, and short messages."""

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Health, SourceHealth, SourceStatus, Tagging

from ..style.theme import Style, Tone

_MESSAGE_SECONDS = 6.0

_MAX_DROPPED_SHARE = 0.01
_MAX_LOST_SHARE = 0.001
"""Shares of dropped windows and of lost sound above which the line warns."""


@dataclass(frozen=True, slots=True)
class Field:
    """Caption with a value.

    Attributes
    ----------
    caption : str
        Caption before the value.
    value : str
        Value as a text.
    priority : int
        Priority; if the line is narrow, fields of the lowest priority are left out first.
    tone : Tone
        Colour of the value.
    """

    caption: str
    value: str
    priority: int
    tone: Tone = Tone.PLAIN

    def __str__(self) -> str:
        return f"{self.caption} {self.value}".strip()


def status_fields(
    source: str, status: SourceStatus | None, health: Health | None, tagging: Tagging | None
) -> tuple[Field, ...]:
    """Return the fields for a source and the program."""
    if status is not None and not status.online:
        first = Field(source, status.reason or "is offline", 9, Tone.BAD)
    else:
        first = Field("source", source, 9)
    latency = tagging.latency_seconds if tagging is not None else None
    if latency is None and health is not None:
        latency = health.latency_p50_seconds
    fields = [first, *_source_problems(source, health)]
    if health is not None:
        fields += [Field("model", health.model, 6), Field("device", health.device, 4)] if health.model else []
        fields += [Field("loading", health.loading, 6)] if health.loading else []
    if latency is not None:
        fields.append(Field("latency", _duration(latency), 8))
    if health is not None:
        if health.real_time_factor is not None:
            load = health.real_time_factor
            fields.append(Field("load", f"{load:.0%}", 3, _warning_if(load > 1)))
        dropped, all_windows = health.dropped_windows, health.windows + health.dropped_windows
        audio_seconds = health.uptime_seconds * max(1, len(health.sources))
        fields += [
            Field("drops", f"{dropped}", 7, _warning_if(dropped > _MAX_DROPPED_SHARE * all_windows)),
            Field(
                "lost",
                _duration(health.lost_seconds),
                7,
                _warning_if(health.lost_seconds > _MAX_LOST_SHARE * audio_seconds),
            ),
            Field("broker", health.broker, 5, _warning_if(health.broker not in {"connected", "none"})),
        ]
    return tuple(fields)


def _source_problems(source: str, health: Health | None) -> Iterator[Field]:
    """Yield the problems with the sound of a source, then those of the other sources."""
    bad = [entry for entry in health.sources if entry.state != "ok"] if health is not None else []
    for entry in sorted(bad, key=lambda entry: entry.source != source):
        shown = entry.source == source
        yield Field("sound" if shown else entry.source, entry.state, 9 if shown else 8, Tone.WARNING)


def status_details(source: str, health: Health | None) -> str:
    """Return more figures about a source and the program, one on each line."""
    if health is None:
        return ""
    lines = [line for entry in health.sources if entry.source == source for line in _source_details(entry)]
    percentiles = (health.latency_p50_seconds, health.latency_p95_seconds, health.latency_p99_seconds)
    known = [_duration(seconds) for seconds in percentiles if seconds is not None]
    if known:
        lines.append(f"latency p50, p95, p99: {', '.join(known)}")
    lines.append(f"windows: {health.windows} tagged, {health.dropped_windows} dropped")
    if health.resident_bytes is not None:
        lines.append(f"memory: {health.resident_bytes / 1e6:.0f} MB")
    return "\n".join(lines)


def _source_details(health: SourceHealth) -> Iterator[str]:
    yield f"sound: {health.state}, {health.clipped_share:.2%} of the last minute clipped"
    if health.floor_dbfs is not None:
        yield f"noise floor: {health.floor_dbfs:.0f} dBFS"
    yield f"lost: {_duration(health.lost_seconds)} in {health.gaps} gaps, {health.overruns} of them overruns"
    if health.drift_ppm is not None:
        yield f"clock: {health.drift_ppm:+.0f} ppm"


def _warning_if(condition: bool) -> Tone:
    return Tone.WARNING if condition else Tone.PLAIN


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.1f} s"


class StatusLine(QWidget):
    """Source, its problems, model, device, latency, load, drops, lost sound, broker; and a message for some seconds.

    Attributes
    ----------
    message : str
        Message on screen; empty for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._style = Style()
        self._fields: tuple[Field, ...] = ()
        self._remaining_seconds = 0.0
        self.message = ""
        self._known: tuple[object, ...] = (None,) * 4

    def text(self) -> str:
        """Return all fields, including those that are left out because the line is narrow."""
        return "  ".join(str(field) for field in self._fields)

    def show_state(
        self, source: str, status: SourceStatus | None, health: Health | None, tagging: Tagging | None
    ) -> None:
        """Show the state of a source and of the program."""
        known = (source, status, health, tagging)
        if all(new is old for new, old in zip(known, self._known, strict=True)):
            return
        self._known = known
        fields = status_fields(source, status, health, tagging)
        if fields != self._fields:
            self._fields = fields
            self.setAccessibleName(self.text())
            self.update()
        self.setToolTip(f"{self.text()}\n{status_details(source, health)}".strip())

    def show_message(self, message: str, seconds: float = _MESSAGE_SECONDS) -> None:
        """Show a message instead of the fields for some seconds."""
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

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the fields that fit, from left to right."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self._style.colours.background)
        font = self._style.font(14)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        gap, space = self._style.px(24), self._style.px(6)
        fields = [Field("", self.message, 9)] if self.message else self._fitting_fields(metrics, gap + space)
        x = 0
        for field in fields:
            colours = self._style.colours
            for text, colour in ((field.caption, colours.soft), (field.value, colours.of(field.tone))):
                if not text:
                    continue
                elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, self.width() - x)
                width = metrics.horizontalAdvance(elided)
                painter.setPen(colour)
                painter.drawText(QRect(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, elided)
                x += width + space
            x += gap
        painter.end()

    def _fitting_fields(self, metrics: QFontMetrics, gap: int) -> list[Field]:
        fields = list(self._fields)
        while len(fields) > 1:
            needed = sum(metrics.horizontalAdvance(str(field)) + gap for field in fields) - gap
            if needed <= self.width():
                break
            fields.remove(min(fields, key=lambda field: field.priority))
        return fields
