"""What people and pipes read in a terminal: JSON lines, plain lines, or a calm live view."""

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import OutputClosed, SinkError
from ..messages import (
    SAMPLE_RATE_HZ,
    Event,
    Health,
    Message,
    Samples,
    SourceStatus,
    Tagging,
)
from ..text import printable
from .payloads import (
    LabelSet,
    line_payload,
    to_json,
    top_tags,
)

if TYPE_CHECKING:  # rich is loaded where a view is made, so that --help is instant
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.live import Live
    from rich.measure import Measurement
    from rich.text import Text

_SMOOTHING_SECONDS = 1.0  # of the scores, in the stream's own time
_GLIDE_SECONDS = 0.25  # of the bars, on their way to the scores
_OVERTAKING_MARGIN = 0.05  # by which a tag must lead before it moves up
_QUIETEST_DBFS = -60.0
_MENTIONED_SCORE = 0.05  # of all but the first tag on a plain line
_WIDEST_VIEW = 120


class JsonLines:
    """Writes a JSON object per tagging, each on its own line and flushed.

    Parameters
    ----------
    stream : text stream
        Where to write, such as ``sys.stdout``.
    label_set : LabelSet
        What the scores of taggings stand for.
    top : int
        How many tags to name.
    """

    def __init__(self, stream: IO[str], label_set: LabelSet, top: int = 10) -> None:
        self._lines = Lines(stream)
        self._label_set = label_set
        self.top = top

    def accept(self, message: Message) -> None:
        """Write a tagging; everything else is ignored.

        A slow reader holds up the caller, as it does with any program in a pipe.

        Raises
        ------
        OutputClosed
            Nobody reads any more.
        SinkError
            The line can't be written, as on a full disk.
        """
        if isinstance(message, Tagging):
            self._lines.write(to_json(line_payload(message, self._label_set, self.top)))


class RecordingLines:
    """Writes a line per tagging for people: where in the recording, and what is heard there.

    Parameters
    ----------
    stream : text stream
        Where to write, such as ``sys.stdout``.
    label_set : LabelSet
        What the scores of taggings stand for.
    top : int
        How many tags to name, at most.
    """

    def __init__(self, stream: IO[str], label_set: LabelSet, top: int = 5) -> None:
        self._lines = Lines(stream)
        self._label_set = label_set
        self._top = top
        self._source: str | None = None

    def accept(self, message: Message) -> None:
        """Write a tagging, below the name of its recording; everything else is ignored.

        Raises
        ------
        OutputClosed
            Nobody reads any more.
        SinkError
            The line can't be written, as on a full disk.
        """
        if not isinstance(message, Tagging):
            return
        if message.source != self._source:
            self._source = message.source
            self._lines.write(printable(message.source))
        start, end = message.start_sample / SAMPLE_RATE_HZ, message.end_sample / SAMPLE_RATE_HZ
        said = _said(message, self._label_set, self._top)
        self._lines.write(f"{start:9.2f} - {end:8.2f} s  {said}")


class RecordingEvents:
    """Writes a line for each sound of a recording, once it has ended: from when to when, and how surely.

    Parameters
    ----------
    stream : text stream
        Where to write, such as ``sys.stdout``.
    as_json : bool
        Whether for programs, as a JSON object, rather than for people.
    """

    def __init__(self, stream: IO[str], *, as_json: bool) -> None:
        self._lines = Lines(stream)
        self._as_json = as_json
        self._source: str | None = None

    def accept(self, message: Message) -> None:
        """Write the end of a sound; everything else is ignored.

        Raises
        ------
        OutputClosed
            Nobody reads any more.
        SinkError
            The line can't be written, as on a full disk.
        """
        if not isinstance(message, Event) or message.start_sample is None or message.end_sample is None:
            return
        start, end = message.start_sample / SAMPLE_RATE_HZ, message.end_sample / SAMPLE_RATE_HZ
        if self._as_json:
            self._lines.write(
                to_json(
                    {
                        "source": message.source,
                        "label": message.label,
                        "score": round(message.score, 4),
                        "start_seconds": round(start, 3),
                        "end_seconds": round(end, 3),
                    }
                )
            )
            return
        if message.source != self._source:
            self._source = message.source
            self._lines.write(printable(message.source))
        self._lines.write(f"{start:9.2f} - {end:8.2f} s  {printable(message.label)} {message.score:.2f}")


class LiveTable:
    """Shows what every source hears: bars that glide, tags that keep their places, a line on how it is going.

    Where the output is no terminal, each tagging is printed on a plain line instead.

    While the view is on the screen, what is printed to ``sys.stdout`` or ``sys.stderr`` appears above it, and
    so do the lines of the root logger's handlers that write to ``sys.stderr``. Where standard error is no
    terminal (``2> log.txt``), it is left alone. A handler of another kind can print to `console`.

    Parameters
    ----------
    label_set : LabelSet
        What the scores of taggings stand for.
    top : int
        How many tags to show for each source; fewer where the terminal is low.
    sources : iterable of str
        Names of the sources, in the order in which to show them; others are added as they appear.
    console : rich.console.Console or None
        Where to draw; standard output unless given.
    live : bool or None
        Whether to draw a view or to print plain lines; None draws where the console is a terminal.
    repaints_per_second : float
        How often the view is drawn.

    Examples
    --------
    >>> logging.basicConfig()  # doctest: +SKIP
    >>> with LiveTable(label_set, sources=["desk"]) as table:  # doctest: +SKIP
    ...     run(sinks=[table])
    """

    def __init__(
        self,
        label_set: LabelSet,
        top: int = 5,
        *,
        sources: Iterable[str] = (),
        console: "Console | None" = None,
        live: bool | None = None,
        repaints_per_second: float = 6.0,
    ) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False)
        self._label_set = label_set
        self._labels = tuple(printable(label) for label in label_set.labels)
        self.top = top
        self._is_live = self._is_terminal() if live is None else live
        self._repaints_per_second = repaints_per_second
        self._lines = Lines(self.console.file)
        self._live: Live | None = None
        self._log_handlers: list[logging.StreamHandler[Any]] = []
        self._lock = threading.Lock()  # guards what follows, which `accept` shares with the repainting thread
        self._views = {name: _SourceView(name) for name in sources}
        self._health: Health | None = None
        self._repainted_at = time.monotonic()

    def __enter__(self) -> Self:
        if self._is_live:
            from rich.live import Live

            errors_before = sys.stderr
            self._live = Live(
                console=self.console,
                get_renderable=self.render,
                refresh_per_second=self._repaints_per_second,
                redirect_stderr=errors_before.isatty(),
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)
            self._log_handlers = _redirect_logging(errors_before, sys.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with self._lock:
                for view in self._views.values():
                    view.glide(math.inf)
            self._live.stop()
            self._live = None
            for handler in self._log_handlers:
                handler.setStream(sys.stderr)

    def accept(self, message: Message) -> None:
        """Take a message; from any thread, at once. The view shows it when it is next drawn.

        Raises
        ------
        OutputClosed
            Nobody reads the plain lines any more.
        SinkError
            A plain line can't be written.
        """
        with self._lock:
            match message:
                case Tagging():
                    self._view(message.source).take(message, self.top)
                case SourceStatus():
                    self._view(message.source).change(message)
                case Health():
                    self._health = message
                case _:
                    return
        if not self._is_live:
            self._print_plainly(message)

    def follow(self, sources: Sequence[str]) -> None:
        """Show these from now on, in this order, and forget the others; from any thread, at once."""
        with self._lock:
            self._views = {name: self._view(name) for name in sources}

    def render(self) -> "RenderableType":
        """Draw the view as it is now; the bars move on by the time since it was last drawn."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.table import Table

        width, height = min(self.console.width, _WIDEST_VIEW), self.console.height
        now = time.monotonic()
        with self._lock:
            elapsed_seconds, self._repainted_at = now - self._repainted_at, now
            views = list(self._views.values())
            # A blank line above, one between sources, one before the footer; each source has a title.
            room_for_tags = height - 2 * len(views) - 2
            rows_each = max(
                1, min(self.top, room_for_tags // max(1, sum(view.is_listening for view in views)))
            )
            table = Table.grid(padding=(0, 1, 0, 0))
            table.width = width - 2
            table.add_column(width=max(14, min(36, width * 2 // 5)), no_wrap=True, overflow="ellipsis")
            table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            table.add_column(width=7, justify="right", no_wrap=True)
            for number, view in enumerate(views):
                view.glide(elapsed_seconds)
                if number > 0:
                    table.add_row()
                for row in view.rows(self._labels, rows_each):
                    table.add_row(*row)
            footer = _footer(self._health, width - 2)
        return Padding(Group("", table, "", footer), (0, 1))

    def _is_terminal(self) -> bool:
        # Not console.is_terminal: FORCE_COLOR, which asks for colours in a pipe, makes that true.
        return self.console.file.isatty() and not self.console.is_dumb_terminal

    def _view(self, source: str) -> "_SourceView":
        if source not in self._views:
            self._views[source] = _SourceView(source)
        return self._views[source]

    def _print_plainly(self, message: Message) -> None:
        match message:
            case Tagging():
                said = _said(message, self._label_set, self.top)
                clock = time.strftime("%H:%M:%S", time.localtime(message.ended_at))
            case SourceStatus():
                said = "online" if message.online else f"offline: {printable(message.reason)}".rstrip(": ")
                clock = time.strftime("%H:%M:%S")
            case _:
                return
        self._lines.write(f"{clock}  {printable(message.source)}  {said}")


@dataclass(eq=False)
class _Bar:
    """A class that has a place in the view."""

    index: int
    drawn: float = 0.0


@dataclass(eq=False)
class _SourceView:
    """What is known of a source, and how it is drawn."""

    name: str
    status: SourceStatus | None = None
    smoothed: Samples | None = None
    bars: list[_Bar] = field(default_factory=list)
    level_dbfs: float = -math.inf
    drawn_level: float = 0.0
    end_sample: int = 0

    @property
    def is_listening(self) -> bool:
        """Whether it has tags to show."""
        return self.smoothed is not None and (self.status is None or self.status.online)

    def take(self, tagging: Tagging, count: int) -> None:
        """Smooth the scores, and let a tag move up or in only where it clearly leads."""
        scores = np.where(np.isfinite(tagging.scores), tagging.scores, 0.0).astype(np.float32)
        seconds = (tagging.end_sample - self.end_sample) / SAMPLE_RATE_HZ
        if self.smoothed is None or seconds <= 0:
            self.smoothed = scores
        else:
            share = 1.0 - math.exp(-seconds / _SMOOTHING_SECONDS)
            self.smoothed = self.smoothed + np.float32(share) * (scores - self.smoothed)
        self.end_sample = tagging.end_sample
        self.level_dbfs = tagging.level_dbfs

        shown = {bar.index: bar for bar in self.bars}
        lead = self.smoothed.copy()
        lead[list(shown)] += _OVERTAKING_MARGIN
        chosen = [int(index) for index in np.argsort(-lead, kind="stable")[:count]]
        stay = [bar.index for bar in self.bars if bar.index in chosen]
        order = stay + [index for index in chosen if index not in shown]
        self.bars = [shown.get(index) or _Bar(index) for index in _reorder(order, self.smoothed)]

    def change(self, status: SourceStatus) -> None:
        """Go on- or offline; what was heard before is forgotten."""
        self.status = status
        if not status.online:
            self.smoothed, self.bars = None, []

    def glide(self, seconds: float) -> None:
        """Move what is drawn towards what is so."""
        share = 1.0 - math.exp(-seconds / _GLIDE_SECONDS)
        if self.smoothed is not None:
            for bar in self.bars:
                bar.drawn += share * (float(self.smoothed[bar.index]) - bar.drawn)
        loudness = 1.0 - self.level_dbfs / _QUIETEST_DBFS
        self.drawn_level += share * (min(max(loudness, 0.0), 1.0) - self.drawn_level)

    def rows(self, labels: tuple[str, ...], count: int) -> "list[tuple[RenderableType, ...]]":
        """Draw a line for the source and one for each of its tags."""
        from rich.text import Text

        name = printable(self.name)
        if self.status is not None and not self.status.online:
            reason = printable(self.status.reason)
            return [(Text(f"○ {name}", "dim"), Text(reason, "yellow"), Text("offline", "yellow"))]
        if self.smoothed is None:
            waiting = "listening for the first second …" if self.status is not None else "starting …"
            return [(Text(f"○ {name}", "dim"), Text(waiting, "dim"), "")]
        title = Text.assemble(("● ", "green"), (name, "bold"))
        loud = self.level_dbfs > -3.0
        meter = _Gauge(self.drawn_level, "red" if loud else "green")
        rows: list[tuple[RenderableType, ...]] = [(title, meter, Text(_decibels(self.level_dbfs), "dim"))]
        for bar in self.bars[:count]:
            score = float(self.smoothed[bar.index])
            style = "bold" if score >= 0.5 else "" if score >= 0.1 else "dim"
            colour = "bright_cyan" if score >= 0.5 else "cyan" if score >= 0.1 else "bright_black"
            label = Text("  " + labels[bar.index], style)
            rows.append((label, _Gauge(bar.drawn, colour), Text(f"{score:.2f}", style)))
        return rows


@dataclass(frozen=True, slots=True)
class _Gauge:
    """A line as wide as its column; the part in colour is also the heavier one, for those who see no colour."""

    share: float
    colour: str

    def __rich_console__(self, _console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        full, half, rest = ("=", "-", " ") if options.ascii_only else ("━", "╸", "─")
        halves = round(min(max(self.share, 0.0), 1.0) * 2 * options.max_width)
        drawn = full * (halves // 2) + half * (halves % 2)
        text = Text(drawn, self.colour, no_wrap=True, end="")
        yield text.append(rest * (options.max_width - len(drawn)), "dim bright_black")

    def __rich_measure__(self, _console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        return Measurement(1, options.max_width)


class Lines:
    """Writes whole lines from any thread, and notices when nobody reads them."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._closed = False

    def write(self, line: str) -> None:
        """Write a line and flush; once nobody reads, every further line says so."""
        with self._lock:
            if self._closed:
                raise OutputClosed("nobody reads the output any more")
            try:
                self._stream.write(_encodable(line, self._stream) + "\n")
                self._stream.flush()
            except BrokenPipeError:
                self._closed = True
                _swallow_the_rest(self._stream)
                raise OutputClosed("nobody reads the output any more") from None
            except OSError as error:
                raise SinkError(
                    f"the output can't be written ({error.strerror}): see where it goes"
                ) from None


def _said(tagging: Tagging, label_set: LabelSet, top: int) -> str:
    """Name the highest tag, and others that are worth it."""
    return " · ".join(
        f"{printable(tag.label)} {tag.score or 0:.2f}"
        for place, tag in enumerate(top_tags(tagging.scores, label_set, top))
        if place == 0 or (tag.score or 0) >= _MENTIONED_SCORE
    )


def _redirect_logging(old: IO[str], new: IO[str]) -> "list[logging.StreamHandler[Any]]":
    """Let the root logger's handlers of one stream write to another one; those that now do."""
    moved = []
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)
            moved.append(handler)
    return moved


def _swallow_the_rest(stream: IO[str]) -> None:
    """Let what is still in the stream's buffer go nowhere, or Python complains about it when it ends."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - os.devnull is no path to join
        os.dup2(nowhere.fileno(), stream.fileno())


def _encodable(line: str, stream: IO[str]) -> str:
    """Replace what the stream's encoding lacks, as in a terminal that knows only ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)


def _reorder(order: list[int], scores: Samples) -> list[int]:
    """Sort by score, but let one pass its neighbour above only by a clear lead."""
    moved = True
    while moved:
        moved = False
        for place in range(1, len(order)):
            above, below = order[place - 1], order[place]
            if scores[below] > scores[above] + _OVERTAKING_MARGIN:
                order[place - 1], order[place] = below, above
                moved = True
    return order


def _decibels(level_dbfs: float) -> str:
    return f"{level_dbfs:.0f} dB" if math.isfinite(level_dbfs) else "- dB"


def _footer(health: Health | None, width: int) -> "Text":
    """Say on one line how the program is doing; what matters least goes where the line is too short."""
    from rich.text import Text

    hint = "Ctrl+C ends"
    if health is None:
        return Text(hint, "dim")
    # (how much it matters, text, style), in the order of the line
    parts = [(3, f"{printable(health.model)} on {printable(health.device)}", "")]
    parts += [
        (9, f"{printable(source.source)} {source.state}", "yellow")
        for source in health.sources
        if source.state != "ok"
    ]
    if health.latency_p50_seconds is not None:
        parts.append((6, f"latency {health.latency_p50_seconds:.2f} s", ""))
    if health.real_time_factor is not None:
        slow = health.real_time_factor > 1.0
        parts.append((7 if slow else 1, f"load {health.real_time_factor:.0%}", "yellow" if slow else ""))
    for count, text in (
        (health.dropped_windows, f"{health.dropped_windows} dropped"),
        (health.lost_seconds, f"{health.lost_seconds:.1f} s lost"),
    ):
        parts.append((5 if count else 2, text, "yellow" if count else ""))
    losses = health.losses
    parts += [
        (7, f"{count} events {fate}", "yellow")
        for count, fate in (
            (losses.undelivered_events + losses.lost_events, "lost"),
            (losses.unsaved_events, "unsaved"),
        )
        if count
    ]
    if health.broker != "none":
        well = health.broker == "connected"
        parts.append(
            (
                4 if well else 8,
                f"broker {printable(health.broker.partition(':')[0])}",
                "" if well else "yellow",
            )
        )
    parts.append((0, hint, ""))
    while len(parts) > 1 and len(" · ".join(text for _, text, _ in parts)) > width:
        parts.remove(min(parts))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (_, text, style) in enumerate(parts):
        line.append(" · " if number else "", "dim").append(text, style or "dim")
    return line
