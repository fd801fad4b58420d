"""Settings that are read again while listening goes on: all that can be taken up is taken up at once, or nothing is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from ..errors import StreamerError
from ..events.watchlist import WatchList, WatchLists
from ..settings.schema import Settings
from ..sinks import RankingSink, Sink
from ..sinks.clips.recorder import Clips
from ..sinks.history.store import History
from .session import LiveSession
from .source_changes import CLIPS, take_sources

_log = logging.getLogger(__name__)

Change: TypeAlias = Callable[[Settings, Settings], Callable[[], None]]
"""Looks at the settings in force and at new ones, and changes nothing; returns what takes those up.

What is wrong with them it raises, as a `StreamerError`.
"""


class Reloader:
    """Takes up changed settings.

    Parameters
    ----------
    settings : Settings
        Those in force.
    load : callable
        Reads the settings again.
    changes : mapping of tuple of str to callable
        What takes up the settings of these names, where any of them has changed. What is in no tuple waits for the next start.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        changes: Mapping[tuple[str, ...], Change],
    ) -> None:
        self._settings = settings
        self._load = load
        self._changes = changes

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    def reload(self) -> None:
        """Read the settings again and say in a line what becomes of them. If anything is wrong, all stays as it is."""
        steps: dict[tuple[str, ...], Callable[[], None]] = {}
        try:
            wanted = self._load()
            changed = self._settings.changes_from(wanted)
            for names, change in self._changes.items():
                if not changed.isdisjoint(names):
                    steps[names] = change(self._settings, wanted)
            for step in steps.values():
                step()
        except StreamerError as error:  # of a step: listening has just come to its end
            _log.warning("The settings stay as they are: %s", error)
            return
        taken = changed.intersection(name for names in steps for name in names)
        self._settings = self._settings.model_copy(update={name: getattr(wanted, name) for name in taken})
        self._tell(taken, changed - taken)

    @staticmethod
    def _tell(taken: set[str], waiting: set[str]) -> None:
        if taken:
            _log.info("Settings taken up: %s.", _listed(taken))
        if waiting:
            _log.warning("Only the next start takes up: %s.", _listed(waiting))
        if not (taken or waiting):
            _log.info("The settings have not changed.")


def _listed(names: set[str]) -> str:
    """List settings as users call them."""
    return ", ".join(sorted(Settings.model_fields[name].alias or name for name in names))


def live_changes(
    watchlists: WatchLists,
    session: LiveSession,
    history: History | None,
    sinks: Sequence[Sink | None],
    make_clips: Callable[[Settings, Sequence[str]], Clips | None],
) -> Mapping[tuple[str, ...], Change]:
    """Return what takes up settings while a session listens: the watched sounds, its sources, and what is kept and shown.

    Parameters
    ----------
    watchlists : WatchLists
        What is watched; the session follows it.
    session : LiveSession
        Which listens.
    history : History, optional
        Where events are kept.
    sinks : sequence of Sink or None
        Of these, those that show the highest tags follow how many that are to be.
    make_clips : callable
        Makes what keeps the sound of events, from settings and the names of the sources whose sound is kept.
    """
    return {
        ("watch",): partial(_watch, watchlists.shared),
        ("top",): partial(_show, sinks),
        ("history_days", "history_events"): partial(_limit, history),
        # The last one, since clips tend their folder as soon as they are made.
        ("source", "hop", *CLIPS): partial(take_sources, watchlists, session, make_clips),
    }


def _watch(watchlist: WatchList, _old: Settings, new: Settings) -> Callable[[], None]:
    watchlist.check(new.watched)
    return partial(watchlist.replace, new.watched)


def _show(sinks: Sequence[Sink | None], _old: Settings, new: Settings) -> Callable[[], None]:
    def show() -> None:
        for sink in sinks:
            if isinstance(sink, RankingSink):
                sink.top = new.top

    return show


def _limit(history: History | None, _old: Settings, new: Settings) -> Callable[[], None]:
    def limit() -> None:
        if history is not None:
            history.keep(days=new.history_days, events=new.history_events)

    return limit
