"""Settings that are read again while listening goes on: all that can be taken up is taken up at once, or nothing is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from .errors import StreamerError
from .live import LiveSession
from .settings import Settings
from .sinks import RankingSink, Sink
from .sinks.clips import Clips
from .sinks.history import History
from .sources import open_source
from .watchlist import WatchList

_log = logging.getLogger(__name__)

Change: TypeAlias = Callable[[Settings, Settings], Callable[[], None] | None]
"""Looks at the settings in force and at new ones, and changes nothing; returns what takes those up, or None where only the next
start can.

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
            changed = self._settings.differing(wanted)
            for names, change in self._changes.items():
                if not changed.isdisjoint(names) and (step := change(self._settings, wanted)) is not None:
                    steps[names] = step
        except StreamerError as error:
            _log.warning("The settings stay as they are: %s", error)
            return
        for step in steps.values():
            step()
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
    watchlist: WatchList,
    session: LiveSession,
    history: History | None,
    sinks: Sequence[Sink | None],
    make_clips: Callable[[Settings, Sequence[str]], Clips | None],
) -> Mapping[tuple[str, ...], Change]:
    """Return what takes up settings while a session listens: the watched sounds, its sources, and what is kept and shown."""
    names_of_clips = tuple(name for name in Settings.model_fields if name.startswith("clips"))
    return {
        ("watch",): partial(_watch, watchlist),
        ("source",): partial(_exchange, session),
        ("top",): partial(_show, sinks),
        ("history_days", "history_events"): partial(_limit, history),
        # The last one, since it tends the folder as soon as it is made.
        names_of_clips: lambda _, new: partial(session.keep_clips, make_clips(new, session.names)),
    }


def _watch(watchlist: WatchList, _old: Settings, new: Settings) -> Callable[[], None]:
    watchlist.check(new.watched)
    return partial(watchlist.begin_anew, new.watched)


def _exchange(session: LiveSession, old: Settings, new: Settings) -> Callable[[], None] | None:
    """Put other sources in the place of those whose names they have; sources don't come, go or change their order."""
    names = dict(zip(old.source, session.names, strict=True))
    others = {spec: open_source(spec, fast=new.fast) for spec in new.source if spec not in names}
    names |= {spec: other.name for spec, other in others.items()}
    if [names[spec] for spec in new.source] != list(session.names):
        return None

    def exchange() -> None:
        for other in others.values():
            session.exchange(other.name, other)

    return exchange


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
