"""The live view: the window and what it can do, the table in the terminal, or lines of JSON."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .failures import UsageError
from .recordings import read_recording

if TYPE_CHECKING:
    from gui.actions import Actions, AudioInput, Span, TeachActions
    from gui.data.feed import Feed
    from gui.look import KioskLook
    from streamer.events.watchlist import WatchLists
    from streamer.live.changes import LiveSettings
    from streamer.live.channel import ChunkTap
    from streamer.live.switches import Switches
    from streamer.messages import Mark, Tagging, Watched
    from streamer.settings.schema import Settings
    from streamer.sinks import Sink
    from streamer.sinks.history.store import History
    from streamer.sinks.payloads import LabelSet
    from streamer.stream.sound_memory import SoundMemory

_POLL_SECONDS = 0.1
_PAST_EVENTS = 1000
"""Events of the history with which the window's list begins."""

_log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class View:
    """A view of what is heard.

    Attributes
    ----------
    sink, taps
        Receive messages, and chunks of audio.
    show : callable
        Occupies the main thread as long as its first argument returns True. The second one sleeps for some seconds, the
        third returns the actions of the window.
    memory : SoundMemory, optional
        The last minutes of sound, for a window in which sounds can be taught; a sink too.
    """

    sink: "Sink"
    taps: "Sequence[ChunkTap]"
    show: "Callable[[Callable[[], bool], Callable[[float], None], Callable[[], Actions]], None]"
    memory: "SoundMemory | None" = None


@contextmanager
def display_check(settings: "Settings") -> "Iterator[Callable[[], Settings]]":
    """Begin to check the display, if a window is wanted.

    Yields
    ------
    callable
        Function that waits for the result, and returns the settings for this display: without one, the terminal takes the place of a window,
        and a kiosk is a `DisplayError`.
    """
    if settings.windowless:
        yield lambda: settings
        return
    from gui.app.display import display_check
    from gui.errors import DisplayError

    with display_check() as require_display:

        def settings_shown() -> "Settings":
            try:
                require_display()
            except DisplayError as error:
                if settings.kiosk:
                    raise
                _log.warning("%s: listening in the terminal", error.reason)
                return settings.model_copy(update={"headless": True})
            return settings

        yield settings_shown


@contextmanager
def open_view(
    settings: "Settings", names: Sequence[str], label_set: "LabelSet", history: "History | None" = None
) -> Iterator[View]:
    """Set up the window, the live table in the terminal, or lines on standard output.

    The window's list begins with the newest events of the history.
    """
    if not settings.windowless:
        from gui.data.feed import Feed
        from streamer.stream.sound_memory import SoundMemory

        from .web_events import past_events

        look = _look(settings, label_set.labels)
        feed = Feed(sources=names, labels=label_set.labels)
        if not settings.kiosk:  # which has no list
            feed.add_past(past_events(settings, history, _PAST_EVENTS))
        memory = None if settings.kiosk else SoundMemory(is_long=settings.remember)
        taps = [feed.add_chunk, *([memory.add_chunk] if memory else [])]
        yield View(feed, taps, partial(_show_window, feed, settings, look), memory)
        return
    from streamer.sinks.terminal.lines import JsonLines
    from streamer.sinks.terminal.table import LiveTable

    if settings.prints_json:
        lines = JsonLines(sys.stdout, label_set, settings.top, events=settings.json_events)
        yield View(lines, [], _wait)
        return

    with LiveTable(label_set, settings.top, sources=names, names=shown_names(settings)) as table:
        yield View(table, [], _wait)


def _show_window(
    feed: "Feed",
    settings: "Settings",
    look: "KioskLook",
    keep_on: Callable[[], bool],
    _sleep: Callable[[float], None],
    actions: "Callable[[], Actions]",
) -> None:
    from gui.app.run import run
    from gui.errors import LookError
    from models.log_mel import log_mel
    from streamer.errors import SettingsError

    try:
        run(
            feed,
            log_mel=log_mel,
            poll=keep_on,
            kiosk=settings.kiosk,
            actions=actions(),
            theme=settings.theme,
            look=look,
        )
    except LookError as error:
        raise SettingsError(str(error)) from None


def _look(settings: "Settings", labels: "Sequence[str]") -> "KioskLook":
    """Return the look of the kiosk.

    Raises
    ------
    SettingsError
        The logo can't be read, or a sound to hide is unknown.
    """
    from gui.errors import LookError
    from gui.look import KioskLook
    from models.short_names import short_names
    from streamer.errors import SettingsError
    from streamer.events.catalogue import Watch, resolve_scored_sounds
    from streamer.settings.fields import expand

    full = {
        shown.casefold(): label for label, shown in [*short_names().items(), *shown_names(settings).items()]
    }
    try:
        hidden = [
            labels[index]
            for name in settings.kiosk_hide
            for sound in resolve_scored_sounds([Watch(_watchable(name, labels, full))], labels)
            for index in sound.indices
        ]
        look = KioskLook(
            text=settings.kiosk_text,
            logo=expand(settings.kiosk_logo),
            language=settings.language,
            hidden=frozenset(hidden),
        )
        look.check()
    except SettingsError as error:
        raise SettingsError(f"kiosk_hide: {error}") from None
    except LookError as error:
        raise SettingsError(str(error)) from None
    return look


def _watchable(name: str, labels: "Sequence[str]", full: Mapping[str, str]) -> str:
    """Return a name as in `watch`, if the user has written one that is only shown.

    "Gunshot" is both: a sound of several labels, and the short name of one of them.
    """
    from streamer.errors import SettingsError
    from streamer.events.catalogue import known_sound_name

    try:
        return known_sound_name(name, labels)
    except SettingsError:
        return full.get(name.casefold(), name)


def shown_names(settings: "Settings") -> Mapping[str, str]:
    """Return the names of sounds on screen: short ones, or those in the language that is set."""
    from models.short_names import short_names
    from streamer.events.names import names_in

    return {**short_names(), **names_in(settings.language)}


def _wait(
    keep_on: Callable[[], bool], sleep: Callable[[float], None], _actions: "Callable[[], Actions]"
) -> None:
    while keep_on():
        sleep(_POLL_SECONDS)


def window_actions(
    settings: "LiveSettings",
    watchlists: "WatchLists",
    listen: Callable[[str, bool], None],
    switches: "Switches",
    history: "History | None" = None,
    teach: "TeachActions | None" = None,
    on_mark: "Callable[[str, Mark | None], None]" = lambda _identifier, _mark: None,
) -> "Actions":
    """Return the actions of the window.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force, and the sources that can be changed.
    watchlists : WatchLists
        Sounds that are watched.
    listen : callable
        Switches a source, by name, on or off.
    switches : Switches
        The state of these switches.
    history : History, optional
        Events that can be marked.
    teach : TeachActions, optional
        Functions with which sounds are taught.
    on_mark : callable, optional
        Takes the id of an event and its new mark.
    """
    from platformdirs import user_pictures_path

    from gui.actions import Actions
    from streamer.sources.microphone import play

    from .web_events import EventAccess

    watch = _Watching(watchlists)
    events = EventAccess(settings, history, on_mark)
    return Actions(
        watched=watch.watched,
        watch=with_action_errors(watch.watch),
        unwatch=with_action_errors(watch.unwatch),
        preview_events=with_action_errors(watch.preview_events),
        list_inputs=with_action_errors(lambda source: _inputs(settings.address_of(source))),
        set_input=with_action_errors(partial(_choose, settings)),
        set_listening=listen,
        is_listening=switches.is_on,
        play_clip=with_action_errors(lambda clip: play(read_recording(Path(clip)))),
        mark_event=None if history is None else with_action_errors(events.mark),
        mark_of=with_action_errors(events.mark_of),
        save_settings=with_action_errors(partial(_save, settings)),
        teach=teach,
        export_folder=user_pictures_path() / "Earshot",
        families=_families(watchlists.shared.labels),
        names=shown_names(settings.current),
        notice=_notice(settings, history),
    )


def _notice(settings: "LiveSettings", history: "History | None") -> str:
    """Return what the window must say all the time."""
    if history is None and settings.current.history_file is not None:
        return "another Earshot uses this data folder, so events are not stored"
    return ""


def _families(labels: "Sequence[str]") -> dict[str, str]:
    """Return the kind of sound of each label, and of each sound to watch for: that of its first class."""
    from models.labels import family_of
    from streamer.events.catalogue import catalogue

    sounds = {sound.name: family_of(sound.classes[0]) for sound in catalogue() if sound.classes}
    return sounds | {label: family_of(label) for label in labels}


class _Watching:
    """The actions that concern watched sounds."""

    def __init__(self, watchlists: "WatchLists") -> None:
        self._watchlists = watchlists

    def watched(self, source: str) -> "Sequence[Watched]":
        """Return the sounds that are watched at a source."""
        return self._watchlists.of(source).shown

    def watch(self, source: str, name: str, threshold: float | None) -> None:
        """Watch for a sound at a source."""
        self._watchlists.of(source).watch(name, threshold)

    def unwatch(self, source: str, name: str) -> None:
        """Stop watching for a sound at a source."""
        self._watchlists.of(source).unwatch(name)

    def preview_events(
        self, source: str, taggings: "Sequence[Tagging]", name: str, threshold: float
    ) -> "list[Span]":
        """Return the events that a threshold makes of taggings."""
        from streamer.events.detector import detect_events

        events = detect_events(self._watchlists.of(source).with_threshold(name, threshold), taggings)
        return [(event.started_at, event.ended_at) for event in events]


def _inputs(current: str) -> "list[AudioInput]":
    """Return the microphones of this machine, the demo, and the input at the current address, which is marked."""
    from gui.actions import AudioInput
    from streamer.sources.devices import list_devices, microphone_at
    from streamer.sources.url import without_secrets

    devices = list_devices()
    chosen = microphone_at(current, devices)
    found = [
        AudioInput(
            f"mic:{device.stable_name}",
            f"{device.stable_name}{' *' if device.is_default else ''}",
            current=device == chosen,
        )
        for device in devices
    ]
    found.append(AudioInput("demo", "The demo", current=current == "demo"))
    if current and not any(entry.current for entry in found):
        found.append(AudioInput(current, without_secrets(current), current=True))
    return found


def _choose(settings: "LiveSettings", source: str, address: str) -> str:
    """Switch a source to another input; return its address without a password."""
    from streamer.sources.url import without_secrets

    settings.choose(source, address)
    return without_secrets(address)


def _save(settings: "LiveSettings", theme: str) -> str:
    """Save what was changed in the window; return the path of the settings file."""
    from gui.style.theme import palette_for

    changes = {} if theme == palette_for(settings.current.theme).name else {"theme": theme}
    return str(settings.save(changes))


def with_action_errors(do: Callable[Given, Result]) -> Callable[Given, Result]:
    """Translate errors of the layers below to the window's `ActionError`."""
    from gui.errors import ActionError
    from models.errors import ModelError
    from streamer.errors import StreamerError

    @wraps(do)
    def done(*arguments: Given.args, **named: Given.kwargs) -> Result:
        try:
            return do(*arguments, **named)
        except (StreamerError, ModelError) as error:
            raise ActionError(str(error)) from error
        except UsageError as error:
            raise ActionError(error.message) from error

    return done
