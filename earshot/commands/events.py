"""The command ``events``."""

import math
from datetime import datetime

import typer

from .. import settings
from ..failures import UsageError
from ..options import takes
from .occurrences import require_one_format, write_events


@takes("events")
def events(
    context: typer.Context,
    *,
    since: str | None,
    label: list[str] | None,
    source: list[str] | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List past events: which sound, where, when, how long."""
    from streamer.errors import SettingsError
    from streamer.sinks.history import occurrences

    require_one_format(as_csv=as_csv, as_json=as_json)
    try:
        earliest = occurrences.parse_since(since, datetime.now().astimezone()) if since else -math.inf
    except ValueError as error:
        raise UsageError(str(error)) from None
    file = settings.load(context).history_file
    if file is None:
        raise SettingsError("the history is off: name a file with --history FILE")
    found = occurrences.read_occurrences(file, since=earliest, labels=label or (), sources=source or ())
    write_events(found, as_csv=as_csv, as_json=as_json)
