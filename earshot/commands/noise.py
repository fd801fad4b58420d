"""The command ``noise``."""

import logging
import math
import sys
from datetime import datetime

import typer

from .. import settings
from ..failures import UsageError
from ..options import takes
from .occurrences import require_one_format

_log = logging.getLogger(__name__)


@takes("noise")
def noise(
    context: typer.Context,
    *,
    since: str | None,
    source: list[str] | None,
    hours: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List past noise levels, by the minute or by the hour.

    They are in the history if earshot listened with --noise.
    """
    from streamer.errors import SettingsError
    from streamer.sinks.history import noise_levels
    from streamer.sinks.history.database import is_there
    from streamer.sinks.history.occurrences import parse_since
    from streamer.text import printable

    require_one_format(as_csv=as_csv, as_json=as_json)
    try:
        earliest = parse_since(since, datetime.now().astimezone()) if since is not None else -math.inf
    except ValueError as error:
        raise UsageError(str(error)) from None
    file = settings.load(context).history_file
    if file is None:
        raise SettingsError("the history is off: name a file with --history FILE")
    found = (
        noise_levels.read_minutes(file, since=earliest, sources=source or ()) if is_there(file) else iter(())
    )
    write = (
        noise_levels.write_csv if as_csv else noise_levels.write_json if as_json else noise_levels.write_table
    )
    if not write(noise_levels.by_hour(found) if hours else found, sys.stdout):
        _log.info(
            "there are no noise levels%s%s: measure them with --noise",
            f" of {' or '.join(map(printable, source))}" if source else "",
            " since then" if since else " yet",
        )
