"""One source in the live table: a level meter, and bars that keep their places."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...messages import SAMPLE_RATE_HZ, Samples, SourceStatus, Tagging, with_classes
from ...text import printable

if TYPE_CHECKING:  # rich is loaded on first use, so that --help is instant
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement

_SMOOTHING_SECONDS = 1.0  # of the scores, in stream time
_ANIMATION_SECONDS = 0.25  # of the bars, on their way to the scores
_DIGITS = 2  # of a score as it is written
_MIN_LEVEL_DBFS = -60.0


@dataclass(eq=False)
class _Bar:
    """Class with a place in the view."""

    index: int
    drawn: float = 0.0


@dataclass(eq=False)
class SourceView:
    """State of a source, and its rows in the table."""

    name: str
    status: SourceStatus | None = None
    smoothed: Samples | None = None
    bars: list[_Bar] = field(default_factory=list)
    level_dbfs: float = -math.inf
    drawn_level: float = 0.0
    end_sample: int = 0

    @property
    def is_listening(self) -> bool:
        """True if there are tags to show."""
        return self.smoothed is not None and (self.status is None or self.status.online)

    def update(self, tagging: Tagging, count: int) -> None:
        """Smooth the scores, and sort the tags by what is written of them."""
        scores = np.where(np.isfinite(tagging.scores), tagging.scores, 0.0).astype(np.float32)
        seconds = (tagging.end_sample - self.end_sample) / SAMPLE_RATE_HZ
        if self.smoothed is None or seconds <= 0:
            self.smoothed = scores
        else:
            share = 1.0 - math.exp(-seconds / _SMOOTHING_SECONDS)
            before = with_classes(self.smoothed, len(scores))  # a sound may have been taught meanwhile
            self.smoothed = before + np.float32(share) * (scores - before)
        self.end_sample = tagging.end_sample
        self.level_dbfs = tagging.level_dbfs

        shown = {bar.index: bar for bar in self.bars}
        place = np.full(len(scores), len(scores))
        place[list(shown)] = range(len(shown))
        order = np.lexsort(
            (-self.smoothed, place, -self.smoothed.round(_DIGITS))
        )  # equal ones stay where they are
        self.bars = [shown.get(index) or _Bar(index) for index in order[:count].tolist()]

    def set_status(self, status: SourceStatus) -> None:
        """Set the source online or offline; going offline removes its tags."""
        self.status = status
        if not status.online:
            self.smoothed, self.bars = None, []

    def animate(self, seconds: float) -> None:
        """Move the drawn values towards the real ones."""
        share = 1.0 - math.exp(-seconds / _ANIMATION_SECONDS)
        if self.smoothed is not None:
            for bar in self.bars:
                bar.drawn += share * (float(self.smoothed[bar.index]) - bar.drawn)
        loudness = 1.0 - self.level_dbfs / _MIN_LEVEL_DBFS
        self.drawn_level += share * (min(max(loudness, 0.0), 1.0) - self.drawn_level)

    def rows(
        self, labels: Sequence[str], count: int, *, loading: str = ""
    ) -> "list[tuple[RenderableType, ...]]":
        """Return a row for the source and one for each of its tags; before the first, the model that is loading."""
        from rich.text import Text

        name = printable(self.name)
        if self.status is not None and not self.status.online:
            reason = printable(self.status.reason)
            return [(Text(f"○ {name}", "dim"), Text(reason, "yellow"), Text("offline", "yellow"))]
        if self.smoothed is None:
            waiting = "listening for the first second …" if self.status is not None else "starting …"
            waiting = f"loading {printable(loading)} …" if loading else waiting
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
    """Bar as wide as its column; the coloured part is also thicker, for terminals and eyes without colour."""

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


def _decibels(level_dbfs: float) -> str:
    return f"{level_dbfs:.0f} dB" if math.isfinite(level_dbfs) else "- dB"
