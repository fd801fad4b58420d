"""The sink that publishes over MQTT, and what it publishes besides retained states: taggings, events and health."""

import asyncio
import logging
import random
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...messages import Event, Health, Losses, Message, SourceStatus, Tagging
from ..history.outbox import MemoryOutbox, Outbox
from ..payloads import LabelSet
from .broker import Broker, check_base_topic, check_credentials, check_node_name
from .client import Connection, ConnectionOptions
from .commands import Commands, QuietBoard, SwitchBoard
from .events import EventPublisher
from .homeassistant import Discovery, Fits, HomeAssistant, fits_any
from .instances import InstanceWatch
from .limits import UNLIMITED_BYTES, publication_bytes
from .memory import AnnouncedNames
from .newest import HealthPublisher, TagPublisher
from .renewal import Renewal
from .retained import DiscoveryPublisher, PublishedState, RetainedCleaner
from .topics import Topics
from .wire import Client, Received

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttOptions(ConnectionOptions):
    """Rarely changed options of `MqttPublisher`.

    Attributes
    ----------
    base_topic : str or None
        Prefix of all topics; ``earshot/<node>`` if None.
    names : AnnouncedNames
        Names of the sources within topics.
    quiet : QuietBoard or None
        Quiet hours, which MQTT can change; none if None.
    stale_seconds : float
        Maximum age of a tagging that waits for the broker; older ones are not published.
    gauge_seconds : float
        Minimum time between two values of the level, or of the loudest label.
    birth_seconds : float
        Maximum delay before everything is published again after a start of Home Assistant; random, so that many nodes do
        not publish at once.
    pause_seconds : float
        Pause before the broker gets again what it has refused for now, and minimum time between two corrections of the status; see
        `Renewal`.
    noise_units : mapping of str to str
        Unit of the noise levels of each source at the start; see `Topics`.
    """

    base_topic: str | None = None
    names: AnnouncedNames = field(default_factory=AnnouncedNames)
    quiet: QuietBoard | None = None
    stale_seconds: float = 10.0
    gauge_seconds: float = 5.0
    birth_seconds: float = 2.0
    pause_seconds: float = 10.0
    noise_units: Mapping[str, str] = field(default_factory=dict)


class MqttPublisher:
    """Publishes taggings, events, states and health to an MQTT broker, and reconnects whenever the connection is lost.

    - States (status, watched sounds, switches) and health are retained: the newest of each is published after every
      connect, and each change after that.
    - Events wait in the outbox until the broker has acknowledged them, and are published in order.
    - Of the taggings, the newest of each source waits, until it is stale.

    Any thread may call `accept`, which never blocks; one thread is in `run` until `close` is called.

    Parameters
    ----------
    broker : Broker
        Address and credentials. Credentials appear in no log, representation or error.
    node : str
        Name of this machine.
    sources : iterable of str
        Names of the sources at the start; messages of others are ignored.
    label_set : LabelSet
        Labels of the scores.
    top : int
        Number of tags to publish of a tagging.
    watched_at : callable
        Function that returns the names of the sounds of a source that have an ON/OFF topic.
    outbox : Outbox or None
        Storage of events that wait for the broker; it must store an event before `accept` gets it. In memory if None.
    switches : SwitchBoard or None
        Switches that MQTT can turn, on the thread of `run`; no switches if None.
    discovery : Discovery or None
        Options of Home Assistant's discovery; no discovery if None.
    options : MqttOptions, optional
        Timeouts, intervals, the base topic and names.

    Raises
    ------
    SettingsError
        The node name, the base topic, a credential or a file for TLS can't be used.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        node: str,
        sources: Iterable[str],
        label_set: LabelSet,
        top: int = 10,
        watched_at: Callable[[str], Sequence[str]] = lambda _source: (),
        outbox: Outbox | None = None,
        switches: SwitchBoard | None = None,
        discovery: Discovery | None = None,
        options: MqttOptions | None = None,
    ) -> None:
        check_credentials(broker)
        options = MqttOptions() if options is None else options
        self._options = options
        self._node, self._discovery, self._switches = node, discovery, switches
        self._base = check_base_topic(f"earshot/{node}" if options.base_topic is None else options.base_topic)
        self._watched_at = watched_at
        self._noise_units = options.noise_units
        self._following = threading.Lock()  # serializes changes of the topics
        topics = self._make_topics(sources)
        self._state = PublishedState(
            topics,
            (lambda _source: True) if switches is None else switches.is_on,
            *([] if options.quiet is None else [options.quiet.quiet_of]),
        )
        self._taggings = TagPublisher(label_set, top, len(topics.sources), options)
        self._health = HealthPublisher()
        self._memory = MemoryOutbox()
        self._has_outbox = outbox is not None
        instance = secrets.token_hex(4)
        self._handler = _ConnectionHandler(
            self._state,
            self._taggings,
            self._health,
            self._memory if outbox is None else outbox,
            make_home=self._make_home,
            commands=Commands(
                switches, options.quiet, lambda source, on: self._state.set_switch(source, on=on)
            ),
            instances=InstanceWatch(topics.instance, instance, node),
            options=options,
        )
        self._connection = Connection(
            broker,
            self._handler,
            identifier=f"earshot-{check_node_name(node)}-{instance}",
            will_topic=topics.status,
            options=options,
        )

    @property
    def address(self) -> str:
        """Address of the broker, for people."""
        return self._connection.address

    @property
    def state(self) -> str:
        """State of the connection: "connected", "connecting", "refused: …", "unreachable: …" or "closed"."""
        return self._connection.state

    @property
    def top(self) -> int:
        """Number of tags to publish of a tagging."""
        return self._taggings.top

    @top.setter
    def top(self, top: int) -> None:
        self._taggings.top = top

    def losses(self) -> Losses:
        """Return the number of taggings, and of events without an outbox, that were not published so far."""
        return Losses(
            unpublished_taggings=self._taggings.dropped,
            undelivered_events=self._memory.dropped + self._handler.refused_events,
        )

    def accept(self, message: Message) -> None:
        """Queue a message for publication; from any thread, at once."""
        if isinstance(message, Health):
            self._health.put(message)
        elif message.source in self._state.topics.sources:
            match message:
                case Tagging():
                    self._taggings.put(message)
                case SourceStatus():
                    self._state.set_status(message.source, online=message.online)
                case Event() if message.announced:
                    if not self._has_outbox:
                        self._memory.put(message)
                    self._state.set_sound(message)
        self._connection.call_soon(self._handler.wake)

    def set_switch(self, source: str, on: bool) -> None:
        """Publish that a source was switched on or off elsewhere; from any thread, at once."""
        self._state.set_switch(source, on=on)
        self._connection.call_soon(self._handler.wake)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Replace the sources, and clear what is retained of removed ones; from any thread, at once."""
        with self._following:
            self._replace_topics(sources)

    def update_watched(self) -> None:
        """Replace the topics of watched sounds and their quiet hours after a change; from any thread, at once."""
        with self._following:
            self._replace_topics(self._state.topics.sources)
        self._state.renew_quiet()
        self._connection.call_soon(self._handler.wake)

    def set_noise_units(self, units: Mapping[str, str]) -> None:
        """Set the unit of the noise levels of each source; from any thread, at once."""
        self._noise_units = units
        self.update_watched()

    def close(self) -> None:
        """Make `run` publish that everything is offline and return within a second; from any thread, repeatedly."""
        self._connection.close()

    def run(self) -> None:
        """Connect, publish and reconnect until `close` is called."""
        self._connection.run()

    def _make_topics(self, sources: Iterable[str]) -> Topics:
        watched = {source: tuple(self._watched_at(source)) for source in sources}
        return Topics(
            self._base,
            watched,
            watched,
            has_switches=self._switches is not None,
            has_quiet=self._options.quiet is not None,
            parts=self._options.names.parts(watched),
            noise=self._noise_units,
            part_of=self._options.names.part,
        )

    def _make_home(self, topics: Topics, fits: Fits) -> HomeAssistant | None:
        if self._discovery is None:
            return None
        return HomeAssistant(self._discovery, topics, node=self._node, fits=fits)

    def _replace_topics(self, sources: Iterable[str]) -> None:
        topics = self._make_topics(sources)
        before = self._state.topics
        if (list(topics.watched.items()), topics.noise) != (list(before.watched.items()), before.noise):
            self._state.replace_topics(topics)
            self._taggings.resize(len(topics.sources))
            self._connection.call_soon(self._handler.wake)


class _ConnectionHandler:
    """Publishes over one connection after the other. Used on the connection's thread only.

    Parameters
    ----------
    state : PublishedState
        Retained states, with the newest topics.
    taggings : TagPublisher
        Taggings that wait.
    health : HealthPublisher
        Newest health.
    outbox : Outbox
        Events that wait.
    make_home : callable
        Function that returns the discovery messages for topics and a limit of their size; None without discovery.
    commands : Commands
        Commands of others.
    instances : InstanceWatch
        Watch for another Earshot with the same topics.
    options : MqttOptions
        Delays and pauses.
    """

    def __init__(
        self,
        state: PublishedState,
        taggings: TagPublisher,
        health: HealthPublisher,
        outbox: Outbox,
        *,
        make_home: Callable[[Topics, Fits], HomeAssistant | None],
        commands: Commands,
        instances: InstanceWatch,
        options: MqttOptions,
    ) -> None:
        self._state, self._taggings, self._health = state, taggings, health
        self._events = EventPublisher(outbox, self.wake, options.pause_seconds)
        self._renewal = Renewal(state.topics.status, self.wake, options.pause_seconds)
        self._make_home = make_home
        self._commands = commands
        self._instances = instances
        self._max_packet_bytes = UNLIMITED_BYTES
        self._birth_seconds = options.birth_seconds
        self._topics = state.topics  # topics of the connection; `_state` has the newest
        self._cleaner = RetainedCleaner(self._topics)
        home = make_home(self._topics, fits_any)
        self._announcer = None if home is None else DiscoveryPublisher(home, self._cleaner)
        self._wake = asyncio.Event()
        self._finishing = False

    @property
    def refused_events(self) -> int:
        """Number of events that the broker refused for good."""
        return self._events.refused

    def wake(self) -> None:
        """Publish what is new."""
        self._wake.set()

    async def start(self, client: Client) -> None:
        """Publish all states over a new connection."""
        self._events.start()
        self._update_topics()
        self._fit_home(client)
        # First, so that earlier announcements have arrived when `publish` begins.
        if self._announcer is not None:
            await self._announcer.start(client)
        await self._publish_states(client)
        await self._renewal.start(client)
        await self._cleaner.start(client)
        await self._instances.start(client)
        await self._commands.subscribe(client, self._topics)

    async def publish(self, client: Client) -> None:
        """Publish what is new, until cancelled, or until nothing is new after `finish`."""
        while True:
            finishing = self._finishing
            self._wake.clear()
            self._commands.carry_out(self._state.topics.sources)
            await self._catch_up(client)
            await self._instances.publish(client)
            await self._announce(client)
            await self._health.publish(client, self._topics)
            more = await self._events.publish(client, self._topics)
            await self._state.publish(client)
            await self._taggings.publish(client, self._catch_up)
            self._renewal.plan_retry(client)
            if more:
                continue
            if finishing:
                return
            await self._wake.wait()

    def finish(self) -> None:
        """Let `publish` return once nothing is new."""
        self._finishing = True
        self._wake.set()

    async def stop(self, client: Client) -> None:
        """Publish that everything is offline, and the final states."""
        await asyncio.gather(
            *(client.publish(topic, text, qos=1, retain=True) for topic, text in self._state.final().items()),
            return_exceptions=True,
        )

    def receive(self, message: Received) -> None:
        """Process a message: a switch command, a retained state, or a message of Home Assistant."""
        topic, payload = message.topic, message.payload
        if not self._finishing:
            self._renewal.receive(topic, payload)
        if (is_work := self._commands.receive(self._state.topics, message)) is not None:
            if is_work:
                self._wake.set()
        elif self._cleaner.receive(topic, payload) or self._instances.receive(topic, payload):
            self._wake.set()
        elif self._announcer is None:
            return
        elif topic == self._announcer.birth_topic:
            if payload == b"online":
                self._renewal.plan(random.uniform(0.0, self._birth_seconds))
        elif self._announcer.receive(topic, payload):
            self._wake.set()

    def _update_topics(self) -> bool:
        """Use the newest topics for the connection; return True if they are new."""
        if self._topics is self._state.topics:
            return False
        self._topics, obsolete = self._state.take_topics()
        self._cleaner.replace_topics(self._topics, obsolete)
        self._replace_home()
        self._health.renew()
        self._taggings.renew()
        return True

    def _replace_home(self) -> None:
        home = self._make_home(
            self._topics, lambda topic, text: publication_bytes(topic, text) <= self._max_packet_bytes
        )
        if self._announcer is not None and home is not None:
            self._announcer.replace(home)

    def _fit_home(self, client: Client) -> None:
        """Divide the announcements into parts that the broker takes."""
        if self._max_packet_bytes != client.limits.max_packet_bytes:
            self._max_packet_bytes = client.limits.max_packet_bytes
            self._replace_home()

    async def _catch_up(self, client: Client) -> Topics:
        """Return the topics, the newest ones after the events of removed sources have been published."""
        if self._topics is not self._state.topics:
            await self._events.publish(client, self._topics)
            subscribed = self._topics.switches
            if self._update_topics():
                await self._cleaner.subscribe(client)
                await self._commands.subscribe(client, self._topics, known=subscribed)
        return self._topics

    async def _announce(self, client: Client) -> None:
        """Publish discovery, clear obsolete topics, and publish again what is due."""
        is_due, refused = self._renewal.take(), self._renewal.take_refused(client)
        states = set(filter(self._topics.is_state, refused))
        self._cleaner.add(states)  # unless they are present
        if self._announcer is not None:
            if is_due or refused - states:
                self._announcer.renew()
            await self._announcer.publish(client)
        await self._cleaner.publish(client)  # before the states of a source that is back again
        self._state.retry(states)
        if is_due or self._topics.status in refused:
            await self._publish_states(client)

    async def _publish_states(self, client: Client) -> None:
        """Publish all states now, and all other retained values soon."""
        await client.publish(self._topics.status, "online", qos=1, retain=True)
        self._state.renew()
        self._health.renew()
        self._taggings.renew()
        await self._state.publish(client)
