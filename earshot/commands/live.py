"""The program without a command: it listens live."""

import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import model_loading, pictures, settings, tagger, web_view, window, workers
from ..failures import EXIT_INTERRUPTED
from ..options import takes

if TYPE_CHECKING:
    from gui.actions import Actions
    from streamer.events.watchlist import WatchLists
    from streamer.live.changes import LiveSettings, Running
    from streamer.live.channel import ChunkTap
    from streamer.live.session import LiveSession
    from streamer.live.switches import Switches
    from streamer.messages import Samples
    from streamer.runtime.systemd import ServiceManager
    from streamer.runtime.threads import ThreadGroup
    from streamer.settings.schema import Settings
    from streamer.sinks import Sink
    from streamer.sinks.clips.recorder import Clips
    from streamer.sinks.history.store import History
    from streamer.sinks.model_score_log import ModelScoreLog
    from streamer.sinks.mqtt.broker import Broker
    from streamer.sinks.mqtt.publisher import MqttPublisher
    from streamer.sinks.notify.notifier import Notifier
    from streamer.sinks.payloads import LabelSet
    from streamer.sources import Source

    from ..own_sounds import OwnColumns, SoundTagger
    from ..taught_changes import TaughtChanges

_TICKS_BEFORE_LOADING = 3
"""The window is drawn first: the model's libraries take the processor for seconds."""

_READ_NO_SETTINGS = {"models", "bench", "evaluate", "finetune"}

_log = logging.getLogger(__name__)


@takes("live")
def live(context: typer.Context, *, config: Path | None, debug: bool, version: bool) -> None:
    """Earshot recognises 500 everyday sounds live (a smoke alarm, barking, a doorbell, speech) on your own machine, and turns them into events for Home Assistant and MQTT.

    Without a command it listens. Settings come from the command line, the environment (EARSHOT_…) and earshot.toml.
    """
    from streamer.runtime.logs import configure_logging
    from streamer.runtime.signals import hangups
    from streamer.runtime.version import own_version

    if version:
        typer.echo(f"earshot {own_version()}")
        raise typer.Exit
    configure_logging("earshot", "streamer", "models", "gui", "web", debug=debug)
    if (command := context.invoked_subcommand) is not None:
        reads_settings = command not in _READ_NO_SETTINGS
        settings.hand_down(context, instead={"debug"} if reads_settings else {"debug", "config", "offline"})
        if not reads_settings:
            settings.respect_offline(context)
        gc.enable()
        return
    load = partial(settings.load, context)
    with hangups() as hung_up:
        raise typer.Exit(_listen(load(), config, load, hung_up))


def _listen(
    chosen: "Settings", config: Path | None, load: "Callable[[], Settings]", hung_up: Callable[[], bool]
) -> int:
    """Listen until the sources end, the window is closed or the program is interrupted; return the exit code."""
    from streamer.live import assembly
    from streamer.live.changes import LiveSettings
    from streamer.runtime.signals import interruptible
    from streamer.runtime.systemd import ServiceManager
    from streamer.runtime.threads import ThreadGroup
    from streamer.sinks.health_log import HealthLog

    with ExitStack() as stack:
        with window.display_check(chosen) as settings_shown:
            sources = assembly.open_sources(chosen)
            names = [source.name for source in sources]
            broker = chosen.broker()
            history = stack.enter_context(assembly.open_history(chosen))
            shown, parts = _shown_parts(chosen, sources, settings_shown)
        page = web_view.open_web_view(chosen, names, parts.label_set, parts.watchlists)
        manager = ServiceManager()
        interrupted = stack.enter_context(interruptible())
        view = stack.enter_context(window.open_view(shown, names, parts.label_set, history))
        log = stack.enter_context(assembly.open_score_log(chosen, parts.tagger))
        threads = stack.enter_context(ThreadGroup())
        metrics = assembly.start_metrics(threads, chosen)
        notifier = assembly.start_notifier(threads, chosen, parts.model.labels, pictures.draw_clip)
        mqtt = _start_mqtt(threads, broker, chosen, names, parts, history)
        pages = page.sinks if page else ()
        noise = assembly.noise_log(history)
        shown_by = (view.sink, view.memory, mqtt, *pages)
        health_log = HealthLog(has_fast_window=lambda: live_settings.current.fast_window > 0.0)
        sinks = (history, noise, log, *shown_by, metrics, health_log, manager, notifier)
        session = _session(shown, sources, parts, [*view.taps, *(page.taps if page else [])], sinks, mqtt)
        assembly.connect_watchlists(parts.watchlists, session, mqtt, pages)
        following = _Following((view.sink, mqtt, *pages), notifier, page)
        running = _running(session, parts, history, following)
        live_settings = LiveSettings(chosen, load, config, running)
        session.start(threads)
        stack.enter_context(manager.listening())
        over = assembly.ending(shown, threads, lambda: session.awaits_model)
        follow = _followers(live_settings, session, parts, log, threads)

        def keep_on() -> bool:
            follow()
            if page is not None:
                page.go_on()
            _tick(session, manager, live_settings, hung_up)
            return not (over() or interrupted())

        switch = partial(_switch, parts.switches, mqtt)
        if page is not None:
            page.start(threads, live_settings, parts.watchlists, switch, parts.switches, history)
        actions = _window_actions(live_settings, parts, switch, history, view, threads, page)
        gc.freeze()  # the libraries stay
        gc.enable()
        view.show(keep_on, threads.wait, actions)
    return _outcome(session, live_settings.current, interrupted=interrupted())


@dataclass(frozen=True, slots=True)
class _Parts:
    """Parts that the settings and the model make together; without a tagger, one is loaded while listening goes on."""

    tagger: "SoundTagger | None"
    fallback: "SoundTagger | None"
    model: "_Model"
    columns: "OwnColumns"
    label_set: "LabelSet"
    watchlists: "WatchLists"
    switches: "Switches"
    make_clips: "Callable[[Settings, Sequence[str]], Clips | None]"
    clips: "Clips | None"


@dataclass(slots=True)
class _Model:
    """The model that tags now, or is about to."""

    name: str
    columns: "OwnColumns"
    tagger: "SoundTagger | None" = None

    @property
    def labels(self) -> "Sequence[str]":
        """Names of its classes, then those of the taught sounds."""
        return self.columns.labels

    @property
    def thresholds(self) -> "Samples | None":
        """Thresholds of the classes, if it is loaded and has some."""
        return None if self.tagger is None else self.tagger.thresholds


def _shown_parts(
    chosen: "Settings", sources: "Sequence[Source]", settings_shown: "Callable[[], Settings]"
) -> "tuple[Settings, _Parts]":
    """Return the settings for this display, and the parts that the model makes.

    The display is checked meanwhile; where a model is loaded first, as for a recording, a missing display is reported before.
    """
    from streamer.sources import is_patient

    shown = settings_shown() if any(map(is_patient, sources)) else None
    parts = _parts(chosen, sources)
    return shown or settings_shown(), parts


def _parts(chosen: "Settings", sources: "Sequence[Source]") -> _Parts:
    """Make what depends on the model's classes; load the model, unless listening begins before."""
    from models.known_labels import known_labels
    from streamer.events.watchlist import WatchLists
    from streamer.live import assembly
    from streamer.sources import is_patient

    from ..own_sounds import OwnColumns

    for name in filter(None, (chosen.model, chosen.fallback)):
        tagger.require_window(chosen, name)
    names = [source.name for source in sources]
    loaded = fallback = None
    patient = any(map(is_patient, sources))
    labels = None if patient else known_labels(chosen.model)
    if labels is None:
        loaded, fallback = workers.load(chosen, waits=not patient)
        columns = OwnColumns(loaded.model_labels)
        model = _Model(loaded.name, columns, loaded)
    else:
        columns = OwnColumns(labels)
        model = _Model(chosen.model, columns)
    watchlists = WatchLists(chosen.watched, chosen.watch_overrides, model.labels, model.thresholds)
    make_clips = partial(assembly.make_clips, model=model)
    return _Parts(
        tagger=loaded,
        fallback=fallback,
        model=model,
        columns=columns,
        label_set=tagger.label_set(model.labels),
        watchlists=watchlists,
        make_clips=make_clips,
        clips=make_clips(chosen, chosen.with_clips(names)),
        switches=assembly.make_switches(chosen, names),
    )


@dataclass(frozen=True, slots=True)
class _Following:
    """Sinks, notifications and the page, which follow changed settings."""

    sinks: "Sequence[Sink | None]"
    notifier: "Notifier"
    page: "web_view.WebView | None"


def _running(
    session: "LiveSession", parts: _Parts, history: "History | None", following: _Following
) -> "Running":
    """Return the parts of the program that follow changed settings."""
    from streamer.live.changes import Running

    return Running(
        session,
        parts.watchlists,
        parts.make_clips,
        history,
        following.sinks,
        notifier=following.notifier,
        set_access=following.page.set_access if following.page else None,
    )


def _start_mqtt(
    threads: "ThreadGroup",
    broker: "Broker | None",
    chosen: "Settings",
    names: Sequence[str],
    parts: _Parts,
    history: "History | None",
) -> "MqttPublisher | None":
    from streamer.live import assembly

    return assembly.start_mqtt(
        threads,
        broker,
        chosen,
        names,
        label_set=parts.label_set,
        watchlists=parts.watchlists,
        history=history,
        switches=parts.switches,
    )


def _session(
    chosen: "Settings",
    sources: "Sequence[Source]",
    parts: _Parts,
    taps: "Sequence[ChunkTap]",
    sinks: "Sequence[Sink | None]",
    mqtt: "MqttPublisher | None",
) -> "LiveSession":
    from streamer.live import assembly

    return assembly.make_session(
        chosen,
        sources,
        parts.tagger,
        sinks=sinks,
        switches=parts.switches,
        watchlists=parts.watchlists,
        taps=taps,
        clips=parts.clips,
        device="" if parts.tagger is None else parts.tagger.engine.description,
        mqtt=mqtt,
        fallback=parts.fallback,
    )


def _window_actions(
    live_settings: "LiveSettings",
    parts: _Parts,
    switch: Callable[[str, bool], None],
    history: "History | None",
    view: window.View,
    threads: "ThreadGroup",
    page: "web_view.WebView | None",
) -> "Callable[[], Actions]":
    """Return a function that returns the actions of the window, which needs Qt."""
    teach = None
    if view.memory is not None:
        from .teaching_controller import TeachingController

        teach = TeachingController(live_settings, parts.watchlists, view.memory, threads).actions()
    return partial(
        window.window_actions,
        live_settings,
        parts.watchlists,
        switch,
        parts.switches,
        history,
        teach,
        *([] if page is None else [page.note_mark]),
    )


def _followers(
    live_settings: "LiveSettings",
    session: "LiveSession",
    parts: _Parts,
    log: "ModelScoreLog | None",
    threads: "ThreadGroup",
) -> Callable[[], None]:
    """Return a function that follows models that are ready, and sounds that are taught; it is called often."""
    from ..taught_changes import TaughtChanges

    taught = TaughtChanges(parts.columns, parts.label_set, parts.watchlists, log)
    change = _ModelChange(live_settings, session, parts, log, taught)
    models = _Workers(change, parts.tagger) if parts.tagger else _Models(change, threads)

    def follow() -> None:
        models.go_on()
        taught.go_on()

    return follow


class _ModelChange:
    """Change to another model, with all that follows the model.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force.
    session, parts, log, taught
        Parts of the program that follow the model.
    """

    def __init__(
        self,
        live_settings: "LiveSettings",
        session: "LiveSession",
        parts: _Parts,
        log: "ModelScoreLog | None",
        taught: "TaughtChanges",
    ) -> None:
        self.settings, self.session, self.parts, self._log = live_settings, session, parts, log
        self._taught = taught
        taught.use([model for model in (parts.tagger, parts.fallback) if model is not None])

    def __call__(self, new: "SoundTagger", reason: str, *, is_first: bool = False) -> None:
        """Change over with the next batch; a model that is only the first one is not logged with its scores."""
        from streamer.live.assembly import sounds_never_kept
        from streamer.live.tagger import Replacement

        model, watchlists = self.parts.model, self.parts.watchlists
        model.name, model.tagger = new.name, new
        if new is not self.parts.tagger:
            self._taught.use([new])
        watchlists.set_model(model.labels, new.thresholds)
        clips = self.session.channels.clips
        labels = model.columns.labels_so_far  # a sound that was removed may still be named in the settings
        never = () if clips is None else sounds_never_kept(self.settings.current, labels, new.thresholds)

        def on_use() -> None:
            if clips is not None:
                clips.set_model(new.name, never)
            if self._log is not None and not is_first:
                self._log.go_on(new.name, labels, new.thresholds, len(model.columns.base))
            tagger.log_model(new, reason)

        self.session.set_tagger(
            Replacement(
                scorer=None if new is self.parts.tagger else new,
                window_samples=new.window_samples,
                model=new.name,
                device=new.engine.description,
                sounds_of=lambda name: watchlists.of(name).sounds,
                on_use=on_use,
            )
        )


class _Models:
    """Models that are loaded while the session listens.

    Parameters
    ----------
    change : callable
        Changes to a model.
    threads : ThreadGroup
        Group of the thread that loads.
    """

    def __init__(self, change: _ModelChange, threads: "ThreadGroup") -> None:
        self._loading = model_loading.ModelLoading(
            tagger.ModelRequest.of(change.settings.current),
            change.parts.columns.labels,
            change.parts.columns.names,
        )
        self._change, self._threads = change, threads
        self._ticks = 0

    def go_on(self) -> None:
        """Start to load once the window has been drawn, and change over to each model that is ready; called often."""
        self._ticks += 1
        if self._ticks == _TICKS_BEFORE_LOADING:
            self._threads.start("model", self._loading.run, self._loading.stop)
        self._change.session.loading = self._loading.state
        if (loaded := self._loading.take()) is not None:
            self._change(loaded.tagger, loaded.reason, is_first=loaded.is_first)


class _Workers:
    """Changes of the workers' model while the session listens; a model on this machine does not change.

    Parameters
    ----------
    change : callable
        Changes to a model.
    model : Tagger or RemoteTagger
        Model of the session.
    """

    def __init__(self, change: _ModelChange, model: "SoundTagger") -> None:
        self._change, self._model = change, model
        self._known = _version(model)

    def go_on(self) -> None:
        """Take over the thresholds and the length of windows of a model that the workers have now; called often."""
        version = _version(self._model)
        if version != self._known:
            self._known = version
            self._change(self._model, tagger.AS_REQUESTED)


def _version(model: "SoundTagger") -> str:
    """Return a text that changes with the model of workers."""
    return getattr(model, "fingerprint", "")


def _tick(
    session: "LiveSession",
    manager: "ServiceManager",
    live_settings: "LiveSettings",
    hung_up: Callable[[], bool],
) -> None:
    """Report health, signal the service manager, and reload settings on SIGHUP."""
    session.report_health()
    manager.beat(busy_seconds=session.busy_seconds)
    live_settings.go_on()
    if hung_up():
        with manager.reloading():
            live_settings.reload()


def _switch(switches: "Switches", mqtt: "MqttPublisher | None", source: str, on: bool) -> None:
    """Switch a source on or off, and let its switch in MQTT follow."""
    switches.turn(source, on)
    if mqtt is not None:
        mqtt.set_switch(source, on)


def _outcome(session: "LiveSession", chosen: "Settings", *, interrupted: bool) -> int:
    """Log dropped windows and return the exit code; raise the first error of a source."""
    unanswered = session.health().unanswered_windows
    remedy = "give no --fast-window" if chosen.fast_window else "give a longer --hop"
    for count, reason in (
        (
            session.dropped_windows - unanswered,
            f"because inference was late: {remedy} or a smaller --model, or --fast for files",
        ),
        (unanswered, "because no worker answered in time: check the workers, or add some"),
    ):
        if count > 0:
            _log.warning("%s dropped %s", "1 window was" if count == 1 else f"{count} windows were", reason)
    if interrupted:
        return EXIT_INTERRUPTED
    if session.failure is not None:
        raise session.failure
    return 0
