"""The command ``replay``."""

from pathlib import Path

import typer

from .. import settings
from ..options import takes
from .occurrences import require_one_format, write_events


@takes("replay")
def replay(context: typer.Context, *, log: Path, as_csv: bool, as_json: bool) -> None:
    """Try other settings on logged scores.

    Lists the events that these settings make of scores that --score-log has written.
    """
    from streamer.commands.replay_log import replay as decide
    from streamer.events.watchlist import WatchLists
    from streamer.sinks.score_log import reading_scores

    require_one_format(as_csv=as_csv, as_json=as_json)
    chosen = settings.load(context)
    with reading_scores(log) as logged:
        watchlists = WatchLists(chosen.watched, chosen.watch_overrides, logged.labels, logged.thresholds)
        found = decide(logged.messages(), watchlists.shared.sounds, watchlists.sound_overrides)
        ended = (event for event in found if event.kind == "ended")
        write_events(ended, as_csv=as_csv, as_json=as_json)
