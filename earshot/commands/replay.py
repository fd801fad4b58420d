"""The command ``replay``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings
from ..options import takes
from .occurrences import require_one_format, write_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.messages import Event
    from streamer.settings.schema import Settings
    from streamer.sinks.score_log import LoggedScores


@takes("replay")
def replay(context: typer.Context, *, log: Path, taught: bool, as_csv: bool, as_json: bool) -> None:
    """Try other settings on logged scores.

    Lists the events that these settings make of scores that --score-log has written.
    """
    from streamer.sinks.score_log import reading_scores

    require_one_format(as_csv=as_csv, as_json=as_json)
    chosen = settings.load(context)
    with reading_scores(log) as logged:
        found = _with_taught(chosen, logged) if taught else _as_logged(chosen, logged)
        write_events(found, as_csv=as_csv, as_json=as_json)
        if taught:
            _compare(chosen, logged)


def _as_logged(chosen: "Settings", logged: "LoggedScores") -> "Iterator[Event]":
    """Yield the events of the scores as they were logged, each once it has ended."""
    from streamer.commands.replay_log import replay as decide
    from streamer.events.watchlist import WatchLists

    watchlists = WatchLists(chosen.watched, chosen.watch_overrides, logged.labels, logged.thresholds)
    found = decide(logged.messages(), watchlists.shared.sounds, watchlists.sound_overrides)
    return (event for event in found if event.kind == "ended")


def _with_taught(chosen: "Settings", logged: "LoggedScores") -> "Iterator[Event]":
    """Yield the events with the sounds and corrections that are taught now, each once it has ended.

    Raises
    ------
    SinkError
        The log has no embeddings.
    """
    from streamer.commands.replay_log import replay as decide
    from streamer.events.watchlist import WatchLists

    from .replay_taught import TaughtReplay

    again = TaughtReplay(logged)
    watchlists = WatchLists(chosen.watched, chosen.watch_overrides, again.labels, again.thresholds)
    found = decide(again.messages(), watchlists.shared.sounds, watchlists.sound_overrides)
    return (event for event in found if event.kind == "ended")


def _compare(chosen: "Settings", logged: "LoggedScores") -> None:
    """Print how many events of each sound there are as logged, and with what is taught now."""
    from streamer.errors import SettingsError

    try:
        before = Counter(event.label for event in _as_logged(chosen, logged))
    except SettingsError:  # a sound that was taught later is watched
        return
    after = Counter(event.label for event in _with_taught(chosen, logged))
    for label in sorted(before.keys() | after.keys()):
        if before[label] != after[label]:
            typer.echo(
                f"{label}: {_events(before[label])} as logged, {after[label]} with what is taught now.",
                err=True,
            )


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
