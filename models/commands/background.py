"""``evaluate --background``: what a model hears where nothing is to be heard."""

import json
import re
from typing import TYPE_CHECKING

import typer

from .progress import bar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..training.agreement import Scorer
    from ..training.background import Heard

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Read a length of time: 90, 90s, 10m or 1h.

    Raises
    ------
    typer.BadParameter
        It is something else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise typer.BadParameter(f"'{text}' is no length of time: give seconds, or such as 10m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def measure(tagger: "Scorer", seconds: float, hop_seconds: float, as_json: bool) -> None:
    """Let a model listen to each background; print what it hears that isn't there.

    Parameters
    ----------
    tagger : Scorer
        The model. A `Tagger`'s thresholds count, if it has any; else 0.3 for all classes.
    seconds : float
        How long, of each background.
    hop_seconds : float
        From window to window, at most `seconds`.
    as_json : bool
        Print a JSON object.
    """
    from rich.console import Console

    from ..tagger import Tagger
    from ..training.background import measure_background

    if seconds < hop_seconds:
        raise typer.BadParameter(f"the time must be as long as a hop, {hop_seconds:g} s, or longer")
    thresholds = tagger.thresholds if isinstance(tagger, Tagger) else None
    with bar(Console(stderr=True), "windows") as progress:
        heard = measure_background(
            tagger, seconds, thresholds=thresholds, hop_seconds=hop_seconds, progress=progress
        )
    own = thresholds is not None
    if as_json:
        figures = {name: _figures(background) for name, background in heard.items()}
        setting = {"seconds": seconds, "hop_seconds": hop_seconds, "own_thresholds": own}
        typer.echo(json.dumps({"model": tagger.name, **setting, **figures}, ensure_ascii=False))
    else:
        _print(tagger.name, heard, "its own thresholds" if own else "a threshold of 0.3 for all classes")


def _figures(background: "Heard") -> dict[str, object]:
    return {
        "windows": background.windows,
        "label": background.label,
        "score": round(background.score, 4),
        "false_events_per_hour": round(background.false_events_per_hour, 3),
    }


def _print(name: str, heard: "Mapping[str, Heard]", thresholds: str) -> None:
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
