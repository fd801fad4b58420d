"""The parts of the live program, made from the settings."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ..errors import SettingsError, SinkError, SourceError
from ..events.catalogue import WatchedSound, catalogue, known_sound_name, resolve_scored_sounds
from ..events.watchlist import WatchLists
from ..health import HealthMeter
from ..messages import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Samples
from ..runtime.threads import ThreadGroup
from ..runtime.version import own_version
from ..settings.schema import Settings
from ..sinks import Sink, WatchedSink
from ..sinks.clips.recorder import ClipLimits, Clips
from ..sinks.history.noise_log import NoiseLog
from ..sinks.history.store import History
from ..sinks.model_score_log import ModelScoreLog
from ..sinks.mqtt.broker import Broker
from ..sinks.mqtt.homeassistant import Discovery
from ..sinks.payloads import LabelSet
from ..sources import Source, is_standard_input, open_source
from ..stream.fallback import FallbackScorer
from ..stream.scoring import RemoteScorer, Scorer
from .channel import ChunkTap, Input, Mode
from .session import LiveSession, Outputs
from .switches import Switches

if TYPE_CHECKING:
    from ..sinks.metrics import Metrics
    from ..sinks.mqtt.memory import AnnouncedNames
    from ..sinks.mqtt.publisher import MqttPublisher
    from ..sinks.notify.notifier import Draw, Notifier, Plan

_log = logging.getLogger(__name__)

_LAST_MESSAGES_SECONDS = 5.0
"""Time that the last messages may take at a broker that answers slowly."""

_STALL_SECONDS = 2.0
"""Time that listening may take beyond the set duration, if a source stalls."""


class Model(Protocol):
    """Description of a model."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes."""

    @property
    def thresholds(self) -> Samples | None:
        """Thresholds of the model itself, float32 (classes,), if it has any."""


class TaughtModel(Model, Protocol):
    """Description of a model with taught sounds."""

    @property
    def model_labels(self) -> Sequence[str]:
        """Names of the classes of the model itself, with which `labels` begins."""


class Tagger(Model, Protocol):
    """A model that scores."""

    @property
    def window_samples(self) -> int:
        """Length of a window."""

    def __call__(self, samples: Samples, /) -> Samples:
        """Samples float32 (batch, n) -> scores float32 (batch, classes)."""


class TaughtTagger(Tagger, TaughtModel, Protocol):
    """A model with taught sounds that scores."""


def open_sources(settings: Settings) -> list[Source]:
    """Open all sources.

    Raises
    ------
    SourceError
        A source is not available, or two have the same name.
    """
    sources = [
        open_source(
            source.address, name=source.name, fast=settings.fast, allow_missing=settings.waits_for_sources
        )
        for source in settings.sources
    ]
    check_apart([source.name for source in sources], settings)
    return sources


def check_apart(names: Sequence[str], settings: Settings) -> None:
    """Check that the sources of settings have different names.

    Raises
    ------
    SourceError
        Two have the same name, or both are standard input.
    """
    if sum(is_standard_input(source.address) for source in settings.sources) > 1:
        raise SourceError("standard input can be one source only; give - once")
    for name in names:
        if names.count(name) > 1:
            raise SourceError(
                f"{names.count(name)} sources have the name '{name}': give each its own name, as NAME=SOURCE"
            )


def make_switches(settings: Settings, names: Sequence[str]) -> Switches:
    """Load the switches, and log which sources are switched off.

    Raises
    ------
    SettingsError
        The file of switches can't be read.
    """
    switches = Switches(settings.switches_file)
    switches.log(names)
    return switches


def make_clips(settings: Settings, names: Sequence[str], *, model: Model) -> Clips | None:
    """Make the clips that keep the sound of events; None if no source has clips.

    Parameters
    ----------
    settings : Settings
        Settings of the program.
    names : sequence of str
        Names of the sources whose sound is kept.
    model : Model
        Model that finds the events.

    Raises
    ------
    SettingsError
        A sound of `clips_never` is unknown.
    SinkError
        The folder can't be written.
    """
    if not names:
        return None
    never = sounds_never_kept(settings, model.labels, model.thresholds)
    return Clips(
        settings.clips_path,
        sources=names,
        model=model.name,
        limits=ClipLimits(
            pre_samples=round(settings.clips_pre_seconds * SAMPLE_RATE_HZ),
            post_samples=round(settings.clips_post_seconds * SAMPLE_RATE_HZ),
            longest_samples=round(settings.clips_longest_seconds * SAMPLE_RATE_HZ),
        ),
        never=never,
        days=settings.clips_days,
        max_bytes=settings.clips_megabytes * 1_000_000,
        fast=settings.fast,
    )


def sounds_never_kept(
    settings: Settings, labels: Sequence[str], thresholds: Samples | None
) -> Sequence[WatchedSound]:
    """Return the sounds that clips must not contain, found among the labels of a model.

    Raises
    ------
    SettingsError
        A sound of `clips_never` is unknown.
    """
    try:
        return resolve_scored_sounds(settings.excluded_from_clips, labels, thresholds)
    except SettingsError as error:
        raise SettingsError(f"clips_never: {error}") from None


@contextmanager
def open_history(settings: Settings) -> Iterator[History | None]:
    """Open the history of events, and close it afterwards.

    Where the user did not ask for a history, and another Earshot has it open, there is none.

    Raises
    ------
    SinkError
        The user asked for a history that can't be opened.
    """
    if settings.history_file is None:
        yield None
        return
    try:
        history = History(
            settings.history_file,
            days=settings.history_days,
            events=settings.history_events,
            outgoing=settings.mqtt is not None,
        )
    except SinkError as error:
        if settings.history is not None:
            raise
        _log.warning("%s; until then, events are not stored and can't be marked", error)
        yield None
        return
    with history:
        yield history


def noise_log(history: History | None) -> NoiseLog | None:
    """Return the sink that writes noise to a history; None without one."""
    return None if history is None else NoiseLog(history)


@contextmanager
def open_score_log(settings: Settings, model: TaughtModel | None) -> Iterator[ModelScoreLog | None]:
    """Open the log of all scores of a model, if there is to be one, and close it afterwards.

    Without a model, the log begins later.
    """
    if settings.score_log_file is None:
        yield None
        return
    with ModelScoreLog(settings.score_log_file) as log:
        if model is not None:
            log.begin(model.name, model.labels, model.thresholds, len(model.model_labels))
        yield log


def start_mqtt(
    threads: ThreadGroup,
    broker: Broker | None,
    settings: Settings,
    names: Sequence[str],
    *,
    label_set: LabelSet,
    watchlists: WatchLists,
    history: History | None,
    switches: Switches,
) -> "MqttPublisher | None":
    """Start a thread that publishes over MQTT; None without a broker.

    Parameters
    ----------
    threads : ThreadGroup
        Group of the new threads.
    broker : Broker, optional
        Broker to publish to, unless the settings ask for an embedded one.
    settings : Settings
        Settings of the program.
    names : sequence of str
        Names of the sources.
    label_set : LabelSet
        Names of the labels.
    watchlists : WatchLists
        Sounds that have topics.
    history : History, optional
        Keeps events until they are delivered.
    switches : Switches
        Switches of the sources.
    """
    if settings.embedded_broker:
        broker = _serve_mqtt(threads)
    if broker is None:
        return None
    from ..sinks.mqtt.memory import AnnouncedNames
    from ..sinks.mqtt.publisher import MqttOptions, MqttPublisher

    announced = AnnouncedNames(
        settings.announced_file, names if history is not None and history.existed else ()
    )
    _report_move(settings, announced)
    units = noise_units(settings, names)
    mqtt = MqttPublisher(
        broker,
        node=settings.node,
        sources=names,
        label_set=label_set,
        top=settings.top,
        watched_at=partial(_watched_names, watchlists),
        outbox=history,
        switches=switches,
        discovery=_discovery(settings),
        options=MqttOptions(
            base_topic=settings.base_topic, names=announced, quiet=watchlists, noise_units=units
        ),
    )
    threads.start("mqtt", mqtt.run, mqtt.close, patience_seconds=_LAST_MESSAGES_SECONDS)
    return mqtt


def noise_units(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """Return the unit of the noise levels of each source, by its name; none if noise is not measured."""
    return {
        name: "dBFS" if source.noise_offset_db is None else "dBA"
        for name, source in zip(names, settings.sources, strict=False)
        if settings.noise
    }


def make_session(
    settings: Settings,
    sources: Sequence[Source],
    tagger: Tagger | None,
    *,
    sinks: Sequence[Sink | None],
    switches: Switches,
    watchlists: WatchLists | None = None,
    taps: Sequence[ChunkTap] = (),
    clips: Clips | None = None,
    device: str = "",
    mqtt: "MqttPublisher | None" = None,
    fallback: Tagger | None = None,
) -> LiveSession:
    """Make the session that listens.

    Parameters
    ----------
    settings : Settings
        Settings of the program.
    sources : sequence of Source
        The sources of the settings.
    tagger : Tagger, optional
        Scores their sound; None if it follows with `LiveSession.set_tagger`.
    sinks : sequence of Sink or None
        Receive every message.
    switches : Switches
        Sources that are switched off.
    watchlists : WatchLists, optional
        Sounds that become events; without them there are no events.
    taps : sequence of callable
        Receive every chunk.
    clips : Clips, optional
        Keeps the sound of events.
    device : str
        Device that the tagger runs on, for people.
    mqtt : MqttPublisher, optional
        Publisher whose connection health reports.
    fallback : Tagger, optional
        Scores windows for which workers have no answer.
    """
    return LiveSession(
        _inputs(settings, sources, watchlists),
        tagger if settings.fast else _scorer(tagger, fallback),
        Mode(
            _window_samples(settings) if tagger is None else tagger.window_samples,
            fast_window_samples=None if watchlists is None else settings.fast_window_samples,
            fast=settings.fast,
            stay=not settings.windowless and settings.duration is None,
            limit_samples=settings.limit_samples,
            noise=settings.noise,
        ),
        Outputs([sink for sink in sinks if sink is not None], taps, clips),
        switches=switches,
        meter=HealthMeter(model="" if tagger is None else tagger.name, device=device),
        broker_state=(lambda: "none") if mqtt is None else (lambda: mqtt.state),
    )


def ending(
    settings: Settings, threads: ThreadGroup, is_loading: Callable[[], bool] = lambda: False
) -> Callable[[], bool]:
    """Return a function that returns True once there is nothing more to listen to, or a thread failed.

    A window stays open when its sources have ended, unless a duration is set. Sound that came before the first model was ready is tagged.

    Parameters
    ----------
    settings : Settings
        Settings of the program.
    threads : ThreadGroup
        Threads of the program.
    is_loading : callable
        Returns True while the first model is being loaded.
    """
    ends = settings.windowless or settings.duration is not None
    seconds = math.inf if settings.fast or settings.duration is None else settings.duration + _STALL_SECONDS
    latest = time.monotonic() + seconds

    def over() -> bool:
        nonlocal latest
        now = time.monotonic()
        if is_loading():
            latest = max(latest, now + _STALL_SECONDS)
        return threads.failed or now > latest or (ends and not threads.is_running("tagger"))

    return over


def start_metrics(threads: ThreadGroup, settings: Settings) -> "Metrics | None":
    """Start a thread that serves Prometheus; None without a port."""
    if not settings.metrics_port:
        return None
    from ..sinks.metrics import Metrics

    metrics = Metrics(settings.metrics_port, host=settings.metrics_host, version=own_version())
    threads.start("metrics", metrics.run, metrics.close)
    return metrics


def plan_notifications(settings: Settings, labels: Sequence[str]) -> "Plan":
    """Return the notifications that the settings want.

    Parameters
    ----------
    settings : Settings
        Settings of the program.
    labels : sequence of str
        Labels of the model.

    Raises
    ------
    SettingsError
        An address is not known to Apprise, Apprise is missing, or a sound is unknown.
    """
    from ..sinks.notify.notifier import Plan, Wording
    from ..sinks.notify.rules import Rules
    from ..sinks.notify.targets import AppriseTarget, CommandTarget, Target

    targets: list[Target] = [AppriseTarget(address) for address in settings.notify_addresses()]
    if settings.notify_command:
        targets.append(CommandTarget(settings.notify_command))
    return Plan(
        targets,
        Rules(
            when=settings.notify_when,
            sounds=_known_names("notify_sounds", settings.notify_sounds, labels),
            cooldown_seconds=settings.notify_cooldown,
            quiet=[
                replace(span, sound=name)
                for span in settings.quiet_hours
                for name in _known_names("notify_quiet", [span.sound], labels)
            ],
        ),
        Wording(
            settings.notify_title,
            settings.notify_text,
            attaches_clip=settings.notify_clip,
            attaches_picture=settings.notify_picture,
        ),
    )


def _known_names(setting: str, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the names of sounds that a setting names, which may be slugs; an empty name stays empty."""
    try:
        return [known_sound_name(name, labels) if name else "" for name in names]
    except SettingsError as error:
        raise SettingsError(f"{setting}: {error}") from None


def start_notifier(
    threads: ThreadGroup, settings: Settings, labels: Sequence[str], draw: "Draw | None" = None
) -> "Notifier":
    """Start a thread that notifies people of events, as soon as the settings name somebody.

    Parameters
    ----------
    threads : ThreadGroup
        Group of the new thread.
    settings : Settings
        Settings of the program.
    labels : sequence of str
        Labels of the model.
    draw : callable, optional
        Draws the picture of a clip.

    Raises
    ------
    SettingsError
        An address is not known to Apprise, Apprise is missing, or a sound is unknown.
    """
    from ..sinks.notify.notifier import Notifier
    from ..sinks.notify.outbox import NotifyOutbox

    plan = plan_notifications(settings, labels)
    outbox = NotifyOutbox(settings.notifications_file, [target.key for target in plan.targets])
    notifier = Notifier(plan.targets, rules=plan.rules, wording=plan.wording, outbox=outbox, draw=draw)
    threads.start("notify", notifier.run, notifier.close, patience_seconds=_LAST_MESSAGES_SECONDS)
    return notifier


def connect_watchlists(
    watchlists: WatchLists,
    session: LiveSession,
    mqtt: "MqttPublisher | None",
    sinks: Sequence[Sink | None] = (),
) -> None:
    """Connect the watched sounds to their users: whenever they change, a session detects them, MQTT has topics for them and views show them.

    Parameters
    ----------
    watchlists : WatchLists
        Watched sounds.
    session : LiveSession
        Session that listens.
    mqtt : MqttPublisher, optional
        Publisher.
    sinks : sequence of Sink or None
        Those that show watched sounds follow them.
    """

    def change(source: str | None) -> None:
        if mqtt is not None:
            mqtt.update_watched()  # first, so that there is a topic when a sound starts
        for name in session.channels.names if source is None else (source,):
            session.channels.watch(name, watchlists.of(name).sounds)
        show()

    def show() -> None:
        for sink in sinks:
            if isinstance(sink, WatchedSink):
                sink.renew_sources()

    watchlists.on_change, watchlists.on_model = change, show


def _inputs(settings: Settings, sources: Sequence[Source], watchlists: WatchLists | None) -> list[Input]:
    """Return the sources with their hops and watched sounds."""
    return [
        Input(
            source,
            own.hop_samples,
            () if watchlists is None else watchlists.of(source.name).sounds,
            noise_offset_db=own.noise_offset_db,
        )
        for source, own in zip(sources, settings.sources, strict=True)
    ]


def _scorer(tagger: Tagger | None, fallback: Tagger | None) -> Scorer | None:
    """Return the scorer of live sound: the tagger, with the one that scores while workers don't answer."""
    if fallback is None or not isinstance(tagger, RemoteScorer):
        return tagger
    return FallbackScorer(tagger, fallback, local_samples=fallback.window_samples, name=fallback.name)


def _window_samples(settings: Settings) -> int:
    """Return the length of a window that is set, or the longest one of all models."""
    return WINDOW_SAMPLES if settings.window is None else round(settings.window * SAMPLE_RATE_HZ)


def _watched_names(watchlists: WatchLists, source: str) -> list[str]:
    """Return the names of the sounds that are watched at a source."""
    return [entry.sound.name for entry in watchlists.of(source).sounds]


def _serve_mqtt(threads: ThreadGroup) -> Broker:
    """Start the embedded broker."""
    from ..sinks.mqtt.embedded import EmbeddedBroker

    server = EmbeddedBroker()
    threads.start("broker", server.run, server.close)
    return server.broker


def _report_move(settings: Settings, announced: "AnnouncedNames") -> None:
    """Log that the topics are not those of the start before, whose devices remain in Home Assistant."""
    from ..sinks.mqtt.memory import Place

    prefix = "" if settings.discovery == "off" else settings.discovery_prefix
    before = announced.move_to(Place(settings.node, settings.base_topic, prefix))
    if before is not None and (before.node, before.base_topic) != (settings.node, settings.base_topic):
        _log.warning(
            "the topics are under %s now, and those under %s remain at the broker, with their devices in Home Assistant; to remove "
            "them, run: earshot forget --node %s%s",
            settings.base_topic,
            before.base_topic,
            before.node,
            ""
            if before.base_topic == f"earshot/{before.node}" and settings.mqtt_topic is None
            else f" --mqtt-topic '{before.base_topic}'",
        )


def _discovery(settings: Settings) -> Discovery | None:
    """Return the discovery for Home Assistant; None if it is off."""
    if settings.discovery == "off":
        return None
    return Discovery(catalogue(), settings.discovery, settings.discovery_prefix, own_version())
