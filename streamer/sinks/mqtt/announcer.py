"""Announces the node to Home Assistant, and takes back what an earlier run announced and is no more."""

from ..payloads import to_json
from .client import Link
from .homeassistant import HomeAssistant
from .leftovers import Leftovers

_MOST_TOPICS = 4096
_MOST_BYTES = 256 * 1024
"""Of announcements over a connection, and of one: whoever publishes more in our place shall not fill the memory."""


class DiscoveryPublisher:
    """Keeps the broker's discovery messages of this node as they ought to be. All of it runs on the connection's loop.

    What was announced before is read from where it is retained, so that nothing else must remember it.

    Parameters
    ----------
    home : HomeAssistant
        What to announce.
    leftovers : Leftovers
        Clears the states of what was announced by an earlier run.
    """

    def __init__(self, home: HomeAssistant, leftovers: Leftovers) -> None:
        self._home = home
        self._leftovers = leftovers
        self._texts = _texts(home)
        self._due = False
        self._found: dict[str, bytes] = {}
        self._settled: set[str] = set()

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says "online" when it has started."""
        return self._home.birth_topic

    def follow(self, home: HomeAssistant) -> None:
        """Announce this from now on, with the next `publish`, which takes back what is no more."""
        before, self._home, self._texts = self._texts, home, _texts(home)
        changed = {topic for topic, text in before.items() if text != self._texts.get(topic)}
        self._found |= {topic: before[topic].encode() for topic in changed}
        self._due = self._due or before != self._texts

    async def greet(self, link: Link) -> None:
        """Ask for what is announced, and when Home Assistant starts."""
        self._found.clear()
        self._settled.clear()
        for topic in (*self._home.filters, self._home.birth_topic):
            await link.subscribe(topic)
        self.renew()

    def renew(self) -> None:
        """Announce all once more with the next `publish`."""
        self._due = True

    def heard(self, topic: str, payload: bytes) -> bool:
        """Take an announcement, whoever made it; whether `publish` has something to do."""
        if not payload or not self._home.may_own(topic):
            return False
        if topic in self._settled or payload == self._texts.get(topic, "").encode():
            return False
        if len(payload) > _MOST_BYTES or len(self._found) + len(self._settled) >= _MOST_TOPICS:
            return False
        self._found[topic] = payload
        return True

    async def publish(self, link: Link) -> None:
        """Take back what is no more, then announce what there is if that is due."""
        while self._found:
            topic, payload = self._found.popitem()
            # Once per connection: two nodes of one name would take back each other's for ever.
            self._settled.add(topic)
            text = self._home.retraction(topic, payload)
            if text is not None:
                self._leftovers.add(self._home.left_behind(payload))
                await link.publish(topic, text, qos=1, retain=True)
                self._due = True  # all, for an entity may have moved from there to another message
        if self._due:
            self._due = False
            for topic, text in self._texts.items():
                await link.publish(topic, text, qos=1, retain=True)


def _texts(home: HomeAssistant) -> dict[str, str]:
    return {topic: to_json(payload) for topic, payload in home.messages.items()}
