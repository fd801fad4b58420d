"""The live table of the terminal, as plain text."""

import io

from rich.console import Console

from streamer.sinks.payloads import LabelSet
from streamer.sinks.terminal.table import LiveTable

LABELS = ("Speech", "Dog", "Siren [bold]loud[/bold]", "Bell", "Wind", "Music")


VOCABULARY = LabelSet(LABELS, (None,) * len(LABELS))


def live_table(width: int = 80, height: int = 24, top: int = 3) -> LiveTable:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    return LiveTable(VOCABULARY, top, console=console, live=True)


def picture(table: LiveTable) -> list[str]:
    """Render the view as plain text, with bars at their final length."""
    for view in table._views.values():
        view.animate(1e9)
    console = Console(file=io.StringIO(), width=table.console.width, color_system=None)
    console.print(table.render())
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.rstrip() for line in output.getvalue().splitlines()]
