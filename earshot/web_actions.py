"""Functions of the program that the page for browsers calls."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.commands.live_calibration import LiveCalibration
    from streamer.events.watchlist import WatchLists
    from streamer.live.changes import LiveSettings
    from streamer.live.switches import Switches
    from streamer.sinks.history.store import History
    from web.actions import Actions


def web_actions(
    settings: "LiveSettings",
    watchlists: "WatchLists",
    listen: Callable[[str, bool], None],
    switches: "Switches",
    history: "History | None",
    calibration: "LiveCalibration",
) -> "Actions":
    """Return the actions of the page.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force.
    watchlists : WatchLists
        Sounds that are watched.
    listen : callable
        Switches a source, by name, on or off.
    switches : Switches
        The state of these switches.
    history : History, optional
        Events that can be marked and deleted.
    calibration : LiveCalibration
        Calibration of thresholds.
    """
    from models.short_names import short_names
    from streamer.events.names import names_in
    from streamer.runtime.version import own_version
    from web.actions import Actions, NoteActions

    from .web_errors import with_web_errors
    from .web_events import EventAccess, exports
    from .web_maintenance import maintenance_actions

    events = EventAccess(settings, history)
    notes = NoteActions(
        mark=with_web_errors(events.mark),
        keep_clip=with_web_errors(events.keep_clip),
        delete=with_web_errors(events.delete),
    )
    return Actions(
        version=own_version(),
        sounds=partial(_watchable, watchlists),
        names=lambda language: short_names() if language == "en" else names_in(language),
        watched=lambda source: watchlists.of(source).shown,
        watch=with_web_errors(lambda source, name, limit: watchlists.of(source).watch(name, limit)),
        unwatch=with_web_errors(lambda source, name: watchlists.of(source).unwatch(name)),
        set_quiet=with_web_errors(lambda source, name, quiet: watchlists.of(source).set_quiet(name, quiet)),
        set_listening=listen,
        is_listening=switches.is_on,
        save_settings=with_web_errors(lambda: str(settings.save({}))),
        read_events=with_web_errors(events.read),
        find_clip=with_web_errors(events.find_clip),
        read_clip=with_web_errors(events.read_clip),
        maintenance=maintenance_actions(settings, calibration),
        exports=exports(),
        notes=None if history is None else notes,
    )


def _watchable(watchlists: "WatchLists") -> tuple[str, ...]:
    """Return the names of all sounds that can be watched, which change as sounds are taught."""
    from streamer.events.catalogue import catalogue

    named = (sound.name for sound in catalogue() if not sound.is_by_level)
    names = (*named, *watchlists.shared.labels)
    return tuple(dict.fromkeys(filter(None, names)))
