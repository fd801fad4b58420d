"""Live table of all sources in a terminal; plain lines if the output is not a terminal."""

import logging
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from ...messages import Event, Health, Message, SourceStatus, Tagging
from ...runtime.timing import format_duration
from ...text import printable
from ..payloads import LabelSet
from .lines import format_tags
from .output import LineWriter
from .source_view import SourceView

if TYPE_CHECKING:  # rich is loaded on first use, so that --help is instant
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

_MAX_WIDTH = 120
_MAX_EVENTS = 3


class LiveTable:
    """Shows the tags and level of every source, the newest events, and a status line.

    If the output is not a terminal, each tagging and event is printed on a plain line instead.

    While the table is on the screen, output to ``sys.stdout`` and ``sys.stderr`` appears above it, including that of the
    root logger's handlers. If standard error is not a terminal (``2> log.txt``), it is left alone.

    Parameters
    ----------
    label_set : LabelSet
        Labels of the scores.
    top : int
        Number of tags per source; fewer if the terminal is too low.
    sources : iterable of str
        Names of the sources in order; others are added as they appear.
    console : rich.console.Console or None
        Console to draw on; standard output if None.
    names : mapping of str to str
        Name in the table of each label that has another one; plain lines have the labels.
    live : bool or None
        True for the table, False for plain lines; None for the table if the console is a terminal.
    repaints_per_second : float
        Frame rate of the table.

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
        names: Mapping[str, str] = MappingProxyType({}),
        live: bool | None = None,
        repaints_per_second: float = 6.0,
    ) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False)
        self._label_set = label_set
        self._labels: list[str] = []
        self._labels_shown: list[str] = []
        self._names = names
        self.top = top
        self._is_live = self._is_terminal() if live is None else live
        self._repaints_per_second = repaints_per_second
        self._writer = LineWriter(self.console.file)
        self._live: Live | None = None
        self._log_handlers: list[logging.StreamHandler[Any]] = []
        self._lock = (
            threading.Lock()
        )  # guards the attributes below, which `accept` shares with the repainting thread
        self._views = {name: SourceView(name) for name in sources}
        self._health: Health | None = None
        self._events = _Events(names)
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
                    view.animate(math.inf)
            self._live.stop()
            self._live = None
            for handler in self._log_handlers:
                handler.setStream(sys.stderr)

    def accept(self, message: Message) -> None:
        """Process a message, from any thread, at once; the table shows it in its next frame.

        Raises
        ------
        OutputClosed
            The reader of the plain lines has gone.
        SinkError
            A plain line can't be written.
        """
        with self._lock:
            match message:
                case Tagging():
                    self._view(message.source).update(message, self.top)
                case SourceStatus():
                    self._view(message.source).set_status(message)
                case Health():
                    self._health = message
                case Event():
                    self._events.add(message)
                case _:
                    return
        if not self._is_live:
            self._print_plainly(message)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Replace the list of sources, in this order; from any thread, at once."""
        with self._lock:
            self._views = {name: self._view(name) for name in sources}

    def render(self) -> "RenderableType":
        """Return the next frame; the bars move by the time since the last one."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.table import Table

        width, height = min(self.console.width, _MAX_WIDTH), self.console.height
        now = time.monotonic()
        with self._lock:
            elapsed_seconds, self._repainted_at = now - self._repainted_at, now
            views = list(self._views.values())
            loading = "" if self._health is None else self._health.loading
            # A blank line above, one between sources, one before the footer; each source has a title.
            events = self._events.lines(max(0, height - 4 * len(views) - 2))
            room_for_tags = height - 2 * len(views) - 2 - len(events)
            rows_each = max(
                1, min(self.top, room_for_tags // max(1, sum(view.is_listening for view in views)))
            )
            table = Table.grid(padding=(0, 1, 0, 0))
            table.width = width - 2
            table.add_column(width=max(14, min(36, width * 2 // 5)), no_wrap=True, overflow="ellipsis")
            table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            table.add_column(width=7, justify="right", no_wrap=True)
            for number, view in enumerate(views):
                view.animate(elapsed_seconds)
                if number > 0:
                    table.add_row()
                for row in view.rows(self._printable_labels(), rows_each, loading=loading):
                    table.add_row(*row)
            footer = _footer(self._health, width - 2)
        return Padding(Group("", table, "", *events, footer), (0, 1))

    def _is_terminal(self) -> bool:
        # Not console.is_terminal: FORCE_COLOR, which asks for colours in a pipe, makes that true.
        return self.console.file.isatty() and not self.console.is_dumb_terminal

    def _printable_labels(self) -> Sequence[str]:
        """Return the labels, which change as sounds are taught."""
        if self._labels != self._label_set.labels:
            self._labels = list(self._label_set.labels)
            self._labels_shown = [printable(self._names.get(label, label)) for label in self._labels]
        return self._labels_shown

    def _view(self, source: str) -> SourceView:
        if source not in self._views:
            self._views[source] = SourceView(source)
        return self._views[source]

    def _print_plainly(self, message: Message) -> None:
        match message:
            case Tagging():
                text = format_tags(message, self._label_set, self.top)
                clock = time.strftime("%H:%M:%S", time.localtime(message.ended_at))
            case Event():
                text = _event_text(message, message.label)
                at = message.started_at if message.ended_at is None else message.ended_at
                clock = time.strftime("%H:%M:%S", time.localtime(at))
            case SourceStatus():
                text = "online" if message.online else f"offline: {printable(message.reason)}".rstrip(": ")
                clock = time.strftime("%H:%M:%S")
            case _:
                return
        self._writer.write(f"{clock}  {printable(message.source)}  {text}")


class _Events:
    """Newest events, a line each."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._newest: OrderedDict[str, Event] = OrderedDict()

    def add(self, event: Event) -> None:
        self._newest[event.id] = event
        if len(self._newest) > _MAX_EVENTS:
            self._newest.popitem(last=False)

    def lines(self, room: int) -> "list[Text]":
        """Return the lines for which there is room, the newest last, and a blank one."""
        from rich.text import Text

        found = []
        for event in list(self._newest.values())[-max(0, room - 1) :] if room > 1 else []:
            clock = time.strftime("%H:%M:%S", time.localtime(event.started_at))
            text = Text(f"{clock}  ", "dim", no_wrap=True, overflow="ellipsis")
            text.append(
                f"{printable(event.source)}  {_event_text(event, self._names.get(event.label, event.label))}",
                "" if event.ended_at else "bold",
            )
            found.append(text)
        return [*found, Text("")] if found else []


def _event_text(event: Event, name: str) -> str:
    """Return an event as text for people."""
    if event.withdrawn:
        return f"{printable(name)} taken back {_scores(event)}"
    if event.ended_at is None:
        began = "confirmed" if event.kind == "confirmed" else "began" if event.confirmed else "seems to begin"
        return f"{printable(name)} {began} {_scores(event)}"
    lasted = format_duration(event.ended_at - event.started_at)
    return f"{printable(name)} ended after {lasted} {_scores(event)}"


def _scores(event: Event) -> str:
    """Return the score of an event, and that of the fast window."""
    fast = "" if event.fast_score is None else f", fast {event.fast_score:.2f}"
    return f"({event.score:.2f}{fast})"


def _redirect_logging(old: IO[str], new: IO[str]) -> "list[logging.StreamHandler[Any]]":
    """Redirect the root logger's handlers of one stream to another, and return them."""
    moved = []
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is old:
            handler.setStream(new)
            moved.append(handler)
    return moved


def _footer(health: Health | None, width: int) -> "Text":
    """Return the status line; the least important parts are left out if the line is too short."""
    from rich.text import Text

    hint = "Ctrl+C ends"
    if health is None:
        return Text(hint, "dim")
    # (importance, text, style), in the order of the line
    parts = [(3, f"{printable(health.model)} on {printable(health.device)}", "")] if health.model else []
    parts += [(6, f"loading {printable(health.loading)}", "")] if health.loading else []
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
        (health.dropped_windows, _dropped(health)),
        (health.overrun_seconds, f"{health.overrun_seconds:.1f} s lost"),
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
        ok = health.broker == "connected"
        parts.append(
            (
                4 if ok else 8,
                f"broker {printable(health.broker.partition(':')[0])}",
                "" if ok else "yellow",
            )
        )
    parts.append((0, hint, ""))
    while len(parts) > 1 and len(" · ".join(text for _, text, _ in parts)) > width:
        parts.remove(min(parts))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (_, text, style) in enumerate(parts):
        line.append(" · " if number else "", "dim").append(text, style or "dim")
    return line


def _dropped(health: Health) -> str:
    if not health.unanswered_windows:
        return f"{health.dropped_windows} dropped"
    due = health.windows + health.dropped_windows
    return f"{health.dropped_windows} of {due} dropped, {health.unanswered_windows} unanswered"
