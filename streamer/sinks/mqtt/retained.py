"""Retained messages of this node: states of its sources, discovery, and the removal of both when they become obsolete."""

import threading
from collections import deque
from collections.abc import Callable, Iterable

from ...events.quiet import NEVER
from ...messages import Event
from ..payloads import to_json
from .homeassistant import HomeAssistant
from .topics import Topics
from .wire import Client

_MAX_CHANGES = 1000
_MAX_TOPICS = 4096
_MAX_BYTES = 256 * 1024
"""Limits of topics per connection, and of one announcement, against another client that floods our topics."""


def _never(_source: str, _sound: str) -> str:
    return NEVER


class PublishedState:
    """Retained state of each source, watched sound and switch, and the changes that are not published yet.

    Any thread may change it; the connection's thread publishes.

    Parameters
    ----------
    topics : Topics
        Topics of the sources.
    is_on : callable
        Function that returns True if a source is switched on when it is added.
    quiet_of : callable
        Function that returns the quiet hours of a source's sound, as text.
    """

    def __init__(
        self, topics: Topics, is_on: Callable[[str], bool], quiet_of: Callable[[str, str], str] = _never
    ) -> None:
        self._is_on = is_on
        self._quiet_of = quiet_of
        self._lock = threading.Lock()  # guards the attributes below
        self._topics = topics
        self._active: set[tuple[str, str | None]] = set()  # sources and sounds that are on, watched or not
        self._obsolete: set[str] = set()
        self._states = self._initial_states(topics)
        self._changes = deque(self._states.items())

    @property
    def topics(self) -> Topics:
        """Newest topics."""
        return self._topics

    def set_status(self, source: str, *, online: bool) -> None:
        """Set a source online or offline."""
        with self._lock:
            if source in self._topics.sources:
                self._change(self._topics.source_status(source), "online" if online else "offline")

    def set_sound(self, event: Event) -> None:
        """Set a sound ON at its start, confirmed or not, and OFF at its end."""
        key = event.source, event.label
        with self._lock:
            if event.source not in self._topics.sources:
                return
            if event.kind == "ended":
                self._active.discard(key)
            else:
                self._active.add(key)
            if topic := self._topics.sound(*key):
                self._change(topic, self._sound_state(key))

    def set_switch(self, source: str, *, on: bool) -> None:
        """Set the switch of a source ON or OFF."""
        with self._lock:
            if source in self._topics.switches.values():
                self._change(self._topics.listen(source), "ON" if on else "OFF")

    def renew_quiet(self) -> None:
        """Publish the quiet hours that have changed."""
        with self._lock:
            for key, topic in self._topics.quiet.items():
                if self._states[topic] != (text := self._quiet_of(*key)):
                    self._change(topic, text)

    def replace_topics(self, topics: Topics) -> None:
        """Replace the topics: states that remain are kept, the others become obsolete."""
        with self._lock:
            before, self._topics, states = self._topics, topics, self._states
            self._obsolete = (self._obsolete | before.retained()) - topics.retained()
            self._active = {key for key in self._active if key[0] in topics.sources}
            self._states = self._initial_states(topics)
            present = topics.states()
            self._states |= {
                present[key]: states[topic] for key, topic in before.states().items() if key in present
            }
            self._changes = deque(
                [change for change in self._changes if change[0] in self._states]
                + [(topic, text) for topic, text in self._states.items() if states.get(topic) != text]
            )

    def take_topics(self) -> tuple[Topics, set[str]]:
        """Return the newest topics, and those that became obsolete since the last call."""
        with self._lock:
            obsolete, self._obsolete = self._obsolete, set()
            return self._topics, obsolete

    def renew(self) -> None:
        """Publish every state again."""
        with self._lock:
            self._changes = deque(self._states.items())

    def retry(self, topics: Iterable[str]) -> None:
        """Publish the states on these topics again."""
        with self._lock:
            self._changes.extend((topic, self._states[topic]) for topic in topics if topic in self._states)

    async def publish(self, client: Client) -> None:
        """Publish all changes, in order."""
        while change := self._next_change():
            topic, text = change
            await client.publish(topic, text, qos=1, retain=True)
            with self._lock:
                if self._changes and self._changes[0] == change:
                    self._changes.popleft()

    def final(self) -> dict[str, str]:
        """Return the last states to publish before the connection closes: all sources offline, and pending changes."""
        with self._lock:
            last = dict(self._changes)
            for topic in map(self._topics.source_status, self._topics.sources):
                if self._states[topic] != "offline":
                    last[topic] = "offline"
            return last | {self._topics.status: "offline"}

    def _initial_states(self, topics: Topics) -> dict[str, str]:
        states = {
            topic: "offline" if key[1] is None else self._sound_state(key)
            for key, topic in topics.states().items()
        }
        states |= {topic: self._quiet_of(*key) for key, topic in topics.quiet.items()}
        return states | {
            topics.listen(source): "ON" if self._is_on(source) else "OFF"
            for source in topics.switches.values()
        }

    def _sound_state(self, key: tuple[str, str | None]) -> str:
        return "ON" if key in self._active else "OFF"

    def _change(self, topic: str, text: str) -> None:
        self._states[topic] = text
        self._changes.append((topic, text))
        if len(self._changes) > _MAX_CHANGES + len(self._states):  # only the newest of each topic matters
            self._changes = deque(dict(self._changes).items())

    def _next_change(self) -> tuple[str, str] | None:
        with self._lock:
            return self._changes[0] if self._changes else None


class RetainedCleaner:
    """Clears retained states of sounds and sources that no longer exist. Used on the connection's thread only.

    States of sounds that an earlier run left are read from the broker, so they need not be stored elsewhere. Those of
    sources are known to `DiscoveryPublisher`.

    Parameters
    ----------
    topics : Topics
        Topics of this run.
    """

    def __init__(self, topics: Topics) -> None:
        self._obsolete: set[str] = set()  # kept across connections until cleared
        self._found: set[str] = set()
        self._handled: set[str] = set()
        self.replace_topics(topics, obsolete=())

    def replace_topics(self, topics: Topics, obsolete: Iterable[str]) -> None:
        """Replace the set of retained topics, and clear obsolete ones."""
        self._present = topics.retained()
        self._folders = frozenset(
            folder(source)
            for source in topics.sources
            for folder in (topics.sound_folder, topics.quiet_folder)
        )
        self._obsolete -= self._present
        self.add(obsolete)
        self._found -= self._present
        self._handled -= self._present

    def add(self, obsolete: Iterable[str]) -> None:
        """Clear these topics too, with the next `publish`."""
        self._obsolete |= set(obsolete) - self._present

    async def start(self, client: Client) -> None:
        """Start with a new connection: subscribe to the states and quiet hours of sounds."""
        self._found.clear()
        self._handled.clear()
        await self.subscribe(client)

    async def subscribe(self, client: Client) -> None:
        """Subscribe to the states and quiet hours of sounds of all sources, again if need be."""
        for folder in self._folders:
            await client.subscribe(f"{folder}/+")

    def receive(self, topic: str, payload: bytes) -> bool:
        """Process a message from any client; return True if `publish` has something to do."""
        if not payload or topic.rpartition("/")[0] not in self._folders:
            return False
        if topic in self._present or topic in self._handled:
            return False
        if len(self._found) + len(self._handled) >= _MAX_TOPICS:
            return False
        self._found.add(topic)
        return True

    async def publish(self, client: Client) -> None:
        """Clear obsolete topics."""
        for topic in sorted(self._obsolete):
            await client.publish(topic, "", qos=1, retain=True)
            self._obsolete.discard(topic)
        while self._found:
            topic = self._found.pop()
            # Once per connection: two nodes with the same name would otherwise clear each other's topics endlessly.
            self._handled.add(topic)
            await client.publish(topic, "", qos=1, retain=True)


class DiscoveryPublisher:
    """Keeps this node's discovery messages at the broker up to date. Used on the connection's thread only.

    Earlier announcements are read from the broker, so they need not be stored elsewhere.

    Parameters
    ----------
    home : HomeAssistant
        Discovery messages.
    cleaner : RetainedCleaner
        Cleaner for the states of entities that an earlier run announced.
    """

    def __init__(self, home: HomeAssistant, cleaner: RetainedCleaner) -> None:
        self._home = home
        self._cleaner = cleaner
        self._texts = _texts(home)
        self._due = False
        self._found: dict[str, bytes] = {}
        self._handled: set[str] = set()

    @property
    def birth_topic(self) -> str:
        """Topic on which Home Assistant says "online" when it has started."""
        return self._home.birth_topic

    def replace(self, home: HomeAssistant) -> None:
        """Replace the discovery messages; the next `publish` removes obsolete entities."""
        before, self._home, self._texts = self._texts, home, _texts(home)
        changed = {topic for topic, text in before.items() if text != self._texts.get(topic)}
        self._found |= {topic: before[topic].encode() for topic in changed}
        self._due = self._due or before != self._texts

    async def start(self, client: Client) -> None:
        """Start with a new connection: subscribe to announcements and to Home Assistant's status."""
        self._found.clear()
        self._handled.clear()
        for topic in self._home.filters:
            await client.subscribe(topic)
        await client.subscribe(self._home.birth_topic, is_needed=True)
        self.renew()

    def renew(self) -> None:
        """Announce everything again with the next `publish`."""
        self._due = True

    def receive(self, topic: str, payload: bytes) -> bool:
        """Process an announcement of any client; return True if `publish` has something to do."""
        if not payload or not self._home.may_own(topic):
            return False
        if topic in self._handled or payload == self._texts.get(topic, "").encode():
            return False
        if len(payload) > _MAX_BYTES or len(self._found) + len(self._handled) >= _MAX_TOPICS:
            return False
        self._found[topic] = payload
        return True

    async def publish(self, client: Client) -> None:
        """Remove obsolete entities, then announce the present ones if due."""
        while self._found:
            topic, payload = self._found.popitem()
            # Once per connection: two nodes with the same name would otherwise remove each other's entities endlessly.
            self._handled.add(topic)
            text = self._home.retraction(topic, payload)
            if text is not None:
                self._cleaner.add(self._home.left_behind(payload))
                if not client.limits.fits(topic, text):
                    text = ""  # all entities; those that remain are announced again
                await client.publish(topic, text, qos=1, retain=True)
                self._due = True  # all, because an entity may have moved from there to another message
        if self._due:
            self._due = False
            for topic, text in self._texts.items():
                await client.publish(topic, text, qos=1, retain=True)


def _texts(home: HomeAssistant) -> dict[str, str]:
    return {topic: to_json(payload) for topic, payload in home.messages.items()}
