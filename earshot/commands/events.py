"""The command ``events``."""

import logging
import math
from datetime import datetime

import typer

from .. import settings
from ..failures import UsageError
from ..options import takes
from .occurrences import require_one_format, write_events

_log = logging.getLogger(__name__)


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
    from streamer.sinks.history.database import is_there

    require_one_format(as_csv=as_csv, as_json=as_json)
    try:
        earliest = (
            occurrences.parse_since(since, datetime.now().astimezone()) if since is not None else -math.inf
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    file = settings.load(context).history_file
    if file is None:
        raise SettingsError("the history is off: name a file with --history FILE")
    if not is_there(file):
        _log.info("there are no events yet: the history %s begins with the first one", file)
        write_events((), as_csv=as_csv, as_json=as_json)
        return
    found = occurrences.read_occurrences(file, since=earliest, labels=label or (), sources=source or ())
    write_events(found, as_csv=as_csv, as_json=as_json)
