"""False detections on noise: ``evaluate --background``."""

import json
import re
from typing import TYPE_CHECKING

import typer

from ..failures import UsageError
from ..progress import bar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.training.agreement import Scorer
    from models.training.background import FalseAlarms

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Read a duration such as 90, 90s, 10m or 1h.

    Raises
    ------
    UsageError
        It is not one, or is 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise UsageError(f"--background: '{text}' is not a duration; give one such as 90s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def measure_background(tagger: "Scorer", seconds: float, hop_seconds: float, *, as_json: bool) -> None:
    """Run a model on each kind of noise; print its false detections.

    Parameters
    ----------
    tagger : Scorer
        The model. The thresholds are those of a `Tagger` if it has any, else 0.3.
    seconds : float
        Length of each kind.
    hop_seconds : float
        Time between windows, at most `seconds`.
    as_json : bool
        Print a JSON object.
    """
    from models.tagger import Tagger
    from models.training import background

    if seconds < hop_seconds:
        raise UsageError(f"--background must be at least as long as a hop, {hop_seconds:g} s")
    thresholds = tagger.thresholds if isinstance(tagger, Tagger) else None
    with bar("windows") as progress:
        heard = background.measure_background(
            tagger, seconds, thresholds=thresholds, hop_seconds=hop_seconds, progress=progress
        )
    own = thresholds is not None
    if as_json:
        figures = {name: _figures(noise) for name, noise in heard.items()}
        setting = {"seconds": seconds, "hop_seconds": hop_seconds, "own_thresholds": own}
        typer.echo(json.dumps({"model": tagger.name, **setting, **figures}, ensure_ascii=False))
    else:
        _print(
            tagger.name, heard, "the thresholds of the model" if own else "a threshold of 0.3 for all classes"
        )


def _figures(heard: "FalseAlarms") -> dict[str, object]:
    return {
        "windows": heard.windows,
        "label": heard.label,
        "score": round(heard.score, 4),
        "false_events_per_hour": round(heard.false_events_per_hour, 3),
    }


def _print(name: str, heard: "Mapping[str, FalseAlarms]", thresholds: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("background", title=escape(name), title_style="bold", caption=f"with {thresholds}")
    table.add_column("windows", justify="right")
    table.add_column("highest false score", justify="right")
    table.add_column("of")
    table.add_column("false events per hour", justify="right")
    for background, there in heard.items():
        table.add_row(
            background,
            str(there.windows),
            f"{there.score:.2f}",
            escape(there.label),
            f"{there.false_events_per_hour:.1f}",
        )
    Console().print(table)
