"""One line on how things stand."""

from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from streamer.messages import Health, SourceHealth, SourceStatus, Tagging

from ..style.theme import Look, Tone

_NOTICE_SECONDS = 6.0

_MOST_DROPPED = 0.01
_MOST_LOST = 0.001
"""Shares of windows and of sound, above which they are a reason to worry."""


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
    fields = [first, *_troubles(source, health)]
    if health is not None:
        fields += [Field("model", health.model, 6), Field("device", health.device, 4)]
    if latency is not None:
        fields.append(Field("latency", _duration(latency), 8))
    if health is not None:
        if health.real_time_factor is not None:
            load = health.real_time_factor
            fields.append(Field("load", f"{load:.0%}", 3, _warning_if(load > 1)))
        dropped, all_windows = health.dropped_windows, health.windows + health.dropped_windows
        heard_seconds = health.uptime_seconds * max(1, len(health.sources))
        fields += [
            Field("drops", f"{dropped}", 7, _warning_if(dropped > _MOST_DROPPED * all_windows)),
            Field(
                "lost",
                _duration(health.lost_seconds),
                7,
                _warning_if(health.lost_seconds > _MOST_LOST * heard_seconds),
            ),
            Field("broker", health.broker, 5, _warning_if(health.broker not in {"connected", "none"})),
        ]
    return tuple(fields)


def _troubles(source: str, health: Health | None) -> Iterator[Field]:
    """Say what is wrong with the sound of a source, then with that of the others."""
    bad = [entry for entry in health.sources if entry.state != "ok"] if health is not None else []
    for entry in sorted(bad, key=lambda entry: entry.source != source):
        shown = entry.source == source
        yield Field("sound" if shown else entry.source, entry.state, 9 if shown else 8, Tone.WARNING)


def details_of(source: str, health: Health | None) -> str:
    """Return what else is known about a source and the program, a line for each figure."""
    if health is None:
        return ""
    lines = [line for entry in health.sources if entry.source == source for line in _source_details(entry)]
    percentiles = (health.latency_p50_seconds, health.latency_p95_seconds, health.latency_p99_seconds)
    known = [_duration(seconds) for seconds in percentiles if seconds is not None]
    if known:
        lines.append(f"latency of 50, 95, 99 %: {', '.join(known)}")
    lines.append(f"windows: {health.windows} tagged, {health.dropped_windows} dropped")
    if health.resident_bytes is not None:
        lines.append(f"memory: {health.resident_bytes / 1e6:.0f} MB")
    return "\n".join(lines)


def _source_details(health: SourceHealth) -> Iterator[str]:
    yield f"sound: {health.state}, {health.clipped_share:.2%} of the last minute clipped"
    if health.floor_dbfs is not None:
        yield f"usual floor: {health.floor_dbfs:.0f} dBFS"
    yield f"lost: {_duration(health.lost_seconds)} in {health.gaps} gaps, {health.overruns} of them overruns"
    if health.drift_ppm is not None:
        yield f"clock: {health.drift_ppm:+.0f} ppm"


def _warning_if(so: bool) -> Tone:
    return Tone.WARNING if so else Tone.PLAIN


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if 0 < seconds < 1 else f"{seconds:.1f} s"


class StatusLine(QWidget):
    """Source, what is wrong with its sound, model, device, latency, drops, losses, broker; and for a moment, what has just been done.

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
            self.setAccessibleName(self.text())
            self.update()
        self.setToolTip(f"{self.text()}\n{details_of(source, health)}".strip())

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
