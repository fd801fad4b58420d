"""Events as a table, CSV or JSON, for the commands ``events`` and ``replay``."""

import sys
from typing import TYPE_CHECKING

import typer

from ..failures import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.messages import Event


def require_one_format(*, as_csv: bool, as_json: bool) -> None:
    """Refuse two formats at once.

    Raises
    ------
    UsageError
        Both are given.
    """
    if as_csv and as_json:
        raise UsageError("give either --csv or --json")


def write_events(found: "Iterable[Event]", *, as_csv: bool, as_json: bool) -> None:
    """Write events that have ended to standard output."""
    from streamer.sinks.history import occurrences

    write = (
        occurrences.write_csv if as_csv else occurrences.write_json if as_json else occurrences.write_table
    )
    if not write(found, sys.stdout) and write is occurrences.write_table:
        typer.echo("No events found.", err=True)
