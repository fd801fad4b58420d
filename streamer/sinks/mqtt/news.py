"""What there is to publish, gathered from all threads, and how it is published over one connection after the other."""

import asyncio
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...messages import Event, Health, Losses, Message, SourceStatus, Tagging
from ...runtime.queues import BoundedQueue
from ..history.outbox import MemoryOutbox, Outbox
from ..payloads import LabelSet, Payload, event_payload, health_payload, tags_payload, to_json, top_tags
from .announcer import DiscoveryPublisher
from .client import Link
from .gauges import ChangeThrottle
from .homeassistant import as_state
from .leftovers import Leftovers
from .roster import Roster
from .topics import FIGURES, SOURCE_FIGURES

_log = logging.getLogger(__name__)

_BATCH_EVENTS = 50
_MOST_CHANGES = 1000
_SWITCH = {b"ON": True, b"OFF": False}


@dataclass(frozen=True, slots=True)
class _Delayed:
    tagging: Tagging
    since: float  # time.monotonic()


class News:
    """Gathers messages, and publishes them over any connection.

    - States (who is online, which sounds are on, what is listened to, how the program is doing) are retained: the newest
      of each is published after every connect, and each change after that.
    - Events wait in the outbox until the broker has acknowledged them, and go out in order.
    - Tags are momentary: the newest of each source waits, for as long as it is fresh.
    - Of the level and of the label that scores highest only changes are published, and so of the figures of the health.

    Parameters
    ----------
    roster : Roster
        Of whom to publish at first, and what; messages of others are ignored.
    label_set : LabelSet
        What the scores of taggings stand for.
    top : int
        How many tags to publish of a tagging.
    stale_seconds : float
        A tagging that has waited longer is not published.
    outbox : Outbox or None
        Where events wait; in memory if None.
    on_listen : callable or None
        Is told that a source shall be listened to, or not; None where there is no such switch.
    is_on : callable
        Says whether a source is switched on when it comes.
    gauge_seconds, birth_seconds : float
        As in `MqttSink`.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        label_set: LabelSet,
        top: int,
        stale_seconds: float,
        outbox: Outbox | None,
        on_listen: Callable[[str, bool], None] | None,
        is_on: Callable[[str], bool],
        gauge_seconds: float,
        birth_seconds: float,
    ) -> None:
        self._label_set = label_set
        self.top = top
        self._stale_seconds = stale_seconds
        self._memory = MemoryOutbox()
        self._outbox = self._memory if outbox is None else outbox
        self._on_listen = on_listen
        self._is_on = is_on
        self._taggings: BoundedQueue[_Delayed] = BoundedQueue(capacity=max(1, len(roster.topics.sources)))
        self._stale = 0
        self._told = roster  # what the connection is about; only the loop's thread reads and writes it
        self._leftovers = Leftovers(roster.topics)
        self._announcer = None if roster.home is None else DiscoveryPublisher(roster.home, self._leftovers)
        self._birth_seconds = birth_seconds
        self._born = False
        self._gauges = ChangeThrottle(gauge_seconds)
        self._figures = ChangeThrottle(0.0)
        self._wake = asyncio.Event()
        self._concluding = False

        self._lock = threading.Lock()  # guards what follows, which all threads share
        self._roster = roster
        self._gone: set[str] = set()  # topics on which nothing is to be kept any more
        self._sounding: set[tuple[str, str | None]] = set()  # sources and sounds that are on, watched or not
        self._states = self._first_states(roster)
        self._changes = deque(self._states.items())
        self._health: Health | None = None
        self._health_is_new = False

    def losses(self) -> Losses:
        """Return the number of taggings and events that were not published so far."""
        return Losses(
            unpublished_taggings=self._taggings.dropped + self._stale,
            undelivered_events=self._memory.given_up,
        )

    def accept(self, message: Message) -> None:
        """Take a message; from any thread, at once. `wake` must be called after that, on the loop's thread."""
        with self._lock:
            topics = self._roster.topics
            match message:
                case Health():
                    self._health, self._health_is_new = message, True
                case _ if message.source not in topics.sources:
                    pass
                case Tagging(source=source):
                    self._taggings.put(_Delayed(message, time.monotonic()), key=source)
                case SourceStatus(source=source):
                    self._change(topics.source_status(source), "online" if message.online else "offline")
                case Event(source=source):
                    if self._outbox is self._memory:
                        self._memory.put(message)
                    key = source, message.label
                    if message.kind == "started":
                        self._sounding.add(key)
                    else:
                        self._sounding.discard(key)
                    if topic := topics.sound(*key):
                        self._change(topic, self._sound_state(key))

    def listening(self, source: str, on: bool) -> None:
        """Take that a source has been switched on or off elsewhere; from any thread, at once. `wake` must be called after that."""
        with self._lock:
            if source in self._roster.switches.values():
                self._change(self._roster.topics.listen(source), "ON" if on else "OFF")

    def follow(self, roster: Roster) -> None:
        """Publish of these from now on; from any thread, at once. `wake` must be called after that.

        States of what stays are kept; what is no more is taken back, now or when the broker is there again.
        """
        with self._lock:
            before, self._roster, states = self._roster.topics, roster, self._states
            self._gone = (self._gone | before.retained()) - roster.topics.retained()
            self._sounding = {key for key in self._sounding if key[0] in roster.topics.sources}
            self._states = self._first_states(roster)
            present = roster.topics.states()
            self._states |= {
                present[key]: states[topic] for key, topic in before.states().items() if key in present
            }
            self._changes = deque(
                [change for change in self._changes if change[0] in self._states]
                + [(topic, text) for topic, text in self._states.items() if states.get(topic) != text]
            )
        self._taggings.resize(max(1, len(roster.topics.sources)))

    def wake(self) -> None:
        """Publish what is new."""
        self._wake.set()

    def heard(self, topic: str, payload: bytes) -> None:
        """Turn the switch of a source, or take what is kept of a sound or concerns Home Assistant."""
        if source := self._roster.switches.get(topic):
            self._turn(source, topic, payload)
        elif self._leftovers.heard(topic, payload):
            self.wake()
        elif self._announcer is None:
            return
        elif topic == self._announcer.birth_topic:
            if payload == b"online":
                delay_seconds = random.uniform(0.0, self._birth_seconds)
                asyncio.get_running_loop().call_later(delay_seconds, self._note_birth)
        elif self._announcer.heard(topic, payload):
            self.wake()

    async def greet(self, link: Link) -> None:
        """Publish all states."""
        self._take_up()
        # First, so that what was announced before has come when `talk` begins.
        if self._announcer is not None:
            await self._announcer.greet(link)
        await self._publish_states(link)
        await self._leftovers.greet(link)
        for topic in self._told.switches:
            await link.subscribe(topic)

    async def talk(self, link: Link) -> None:
        """Publish what is new, until it is cancelled, or `conclude` is called and nothing is new."""
        while True:
            concluding = self._concluding
            self._wake.clear()
            await self._follow_up(link)
            await self._announce(link)
            await self._publish_health(link)
            more = await self._publish_events(link)
            await self._publish_changes(link)
            await self._publish_taggings(link)
            if more:
                continue
            if concluding:
                return
            await self._wake.wait()

    def conclude(self) -> None:
        """Let `talk` return once it has published what there is now."""
        self._concluding = True
        self.wake()

    async def leave(self, link: Link) -> None:
        """Say that all is offline, and leave the last state of everything else."""
        with self._lock:
            topics = self._roster.topics
            last = dict(self._changes)
            for topic in map(topics.source_status, topics.sources):
                if self._states[topic] != "offline":
                    last[topic] = "offline"
        last[topics.status] = "offline"
        await asyncio.gather(
            *(link.publish(topic, text, qos=1, retain=True) for topic, text in last.items()),
            return_exceptions=True,
        )

    def _first_states(self, roster: Roster) -> dict[str, str]:
        """Say how all stands at first: offline, with sounds and switches as they are."""
        states = {
            topic: "offline" if key[1] is None else self._sound_state(key)
            for key, topic in roster.topics.states().items()
        }
        return states | {
            roster.topics.listen(source): "ON" if self._is_on(source) else "OFF"
            for source in roster.switches.values()
        }

    def _sound_state(self, key: tuple[str, str | None]) -> str:
        return "ON" if key in self._sounding else "OFF"

    def _change(self, topic: str, text: str) -> None:
        self._states[topic] = text
        if len(self._changes) < _MOST_CHANGES:
            self._changes.append((topic, text))
        else:  # nobody takes them: what counts in the end is how all stands
            self._changes = deque(self._states.items())

    def _take_up(self) -> bool:
        """Let the connection be about those who are there now; whether these are others than before."""
        with self._lock:
            if self._told is self._roster:
                return False
            self._told, gone, self._gone = self._roster, self._gone, set()
            self._health_is_new = self._health is not None
        self._leftovers.follow(self._told.topics, gone)
        if self._announcer is not None and self._told.home is not None:
            self._announcer.follow(self._told.home)
        self._gauges.forget()
        self._figures.forget()
        return True

    async def _follow_up(self, link: Link) -> None:
        """Take up who is there now, after those who are gone have had their say."""
        if self._told is self._roster:
            return
        await self._publish_events(link)
        subscribed = self._told.switches
        if self._take_up():
            await self._leftovers.ask(link)
            for topic in self._told.switches.keys() - subscribed.keys():
                await link.subscribe(topic)

    def _turn(self, source: str, topic: str, payload: bytes) -> None:
        listening = _SWITCH.get(payload)
        if listening is None or self._on_listen is None:
            _log.warning("Ignored %r on %s: it takes ON or OFF.", payload[:32], topic)
            return
        self._on_listen(source, listening)
        self.listening(source, listening)
        self.wake()

    def _note_birth(self) -> None:
        self._born = True
        self.wake()

    async def _announce(self, link: Link) -> None:
        """Tell Home Assistant what there is, clear what is no more, and, when Home Assistant has started, say how all stands."""
        if self._announcer is not None:
            if self._born:
                self._announcer.renew()
            await self._announcer.publish(link)
        await self._leftovers.publish(link)  # before a source that is back again speaks
        if self._born:
            self._born = False
            await self._publish_states(link)

    async def _publish_states(self, link: Link) -> None:
        """Publish how all stands, and let all else that is retained follow."""
        await link.publish(self._told.topics.status, "online", qos=1, retain=True)
        with self._lock:
            self._changes = deque(self._states.items())
            self._health_is_new = self._health is not None
        self._gauges.forget()
        self._figures.forget()
        await self._publish_changes(link)

    async def _publish_changes(self, link: Link) -> None:
        while change := self._next_change():
            topic, text = change
            await link.publish(topic, text, qos=1, retain=True)
            with self._lock:
                if self._changes and self._changes[0] == change:
                    self._changes.popleft()

    def _next_change(self) -> tuple[str, str] | None:
        with self._lock:
            return self._changes[0] if self._changes else None

    async def _publish_health(self, link: Link) -> None:
        with self._lock:
            health = self._health if self._health_is_new else None
            self._health_is_new = False
        if health is not None:
            # It was taken while the broker was away, maybe; where it can be read, the broker is there.
            payload = health_payload(replace(health, broker="connected"))
            await link.publish(self._told.topics.health, to_json(payload), retain=True)
            await self._publish_figures(link, payload)

    async def _publish_figures(self, link: Link, health: Payload) -> None:
        topics = self._told.topics
        values = {topics.figure(name): health[name] for name in FIGURES}
        values |= {
            topics.source_figure(source, name): figures[name]
            for source, figures in health["sources"].items()
            if source in topics.sources
            for name in SOURCE_FIGURES
        }
        for topic, value in values.items():
            if value is not None and self._figures.due(topic, as_state(value)):
                await link.publish(topic, as_state(value), retain=True)

    async def _publish_events(self, link: Link) -> bool:
        """Publish the oldest events that wait; whether there may be more.

        They are marked together: a kill before that makes the next start publish them once more.
        """
        batch = self._outbox.pending(_BATCH_EVENTS)
        acknowledged: list[Event] = []
        try:
            for event in batch:
                topic = self._told.topics.events(event.source)
                await link.publish(topic, to_json(event_payload(event)), qos=1)
                acknowledged.append(event)
        finally:
            if acknowledged:
                self._outbox.mark_published(acknowledged)
        return len(batch) == _BATCH_EVENTS

    async def _publish_taggings(self, link: Link) -> None:
        waiting = deque(self._taggings.take(timeout_seconds=0))
        try:
            await self._follow_up(link)  # of a newcomer, this may be the first
            while waiting:
                tagging = waiting[0].tagging
                late = time.monotonic() - waiting[0].since > self._stale_seconds
                if late or tagging.source not in self._told.topics.sources:
                    self._stale += 1
                else:
                    paced = tagging.latency_seconds is not None
                    latency_seconds = max(0.0, time.time() - tagging.ended_at) if paced else None
                    text = to_json(tags_payload(tagging, self._label_set, self.top, latency_seconds))
                    await link.publish(self._told.topics.tags(tagging.source), text)
                    await self._publish_gauges(link, tagging)
                waiting.popleft()
        finally:
            self._stale += len(waiting)

    async def _publish_gauges(self, link: Link, tagging: Tagging) -> None:
        """Publish the level in whole decibels, and the label that scores highest. Both are retained, for they may stay for long."""
        topics = self._told.topics
        best = top_tags(tagging.scores, self._label_set, 1)
        values = {
            topics.loudest(tagging.source): as_state(tag.label) for tag in best if tag.score is not None
        }
        if math.isfinite(tagging.level_dbfs):
            values[topics.level(tagging.source)] = str(round(tagging.level_dbfs))
        for topic, text in values.items():
            if self._gauges.due(topic, text):
                await link.publish(topic, text, retain=True)
