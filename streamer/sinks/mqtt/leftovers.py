"""Takes back the states of sounds and sources that are no more: those of this run, and of earlier ones."""

from collections.abc import Iterable

from .client import Link
from .topics import Topics

_MOST_TOPICS = 4096
"""Cleared over a connection: whoever publishes more than that in our place shall not fill the memory."""


class Leftovers:
    """Clears what the broker keeps of what is no longer watched or listened to. All of it runs on the connection's loop.

    What an earlier run has left of sounds is read from where it is retained, so that nothing else must remember it. What it
    has left of sources is known to whoever takes back what it announced.

    Parameters
    ----------
    topics : Topics
        Where this run publishes.
    """

    def __init__(self, topics: Topics) -> None:
        self._gone: set[str] = set()  # until they have been cleared, over however many connections
        self._found: set[str] = set()
        self._settled: set[str] = set()
        self.follow(topics, gone=())

    def follow(self, topics: Topics, gone: Iterable[str]) -> None:
        """Take that these are the topics from now on, and that what was kept on others is to be cleared."""
        self._present = topics.retained()
        self._folders = frozenset(map(topics.sound_folder, topics.sources))
        self._gone -= self._present
        self.add(gone)
        self._found -= self._present
        self._settled -= self._present

    def add(self, gone: Iterable[str]) -> None:
        """Take that what is kept on these topics is to be cleared too, with the next `publish`."""
        self._gone |= set(gone) - self._present

    async def greet(self, link: Link) -> None:
        """Ask for what is kept."""
        self._found.clear()
        self._settled.clear()
        await self.ask(link)

    async def ask(self, link: Link) -> None:
        """Ask for what is kept of the sounds of all sources, or ask again."""
        for folder in self._folders:
            await link.subscribe(f"{folder}/+")

    def heard(self, topic: str, payload: bytes) -> bool:
        """Take the state of a sound, whoever published it; whether `publish` has something to do."""
        if not payload or topic.rpartition("/")[0] not in self._folders:
            return False
        if topic in self._present or topic in self._settled:
            return False
        if len(self._found) + len(self._settled) >= _MOST_TOPICS:
            return False
        self._found.add(topic)
        return True

    async def publish(self, link: Link) -> None:
        """Clear what is no more."""
        for topic in sorted(self._gone):
            await link.publish(topic, "", qos=1, retain=True)
            self._gone.discard(topic)
        while self._found:
            topic = self._found.pop()
            # Once per connection: two nodes of one name would clear each other's for ever.
            self._settled.add(topic)
            await link.publish(topic, "", qos=1, retain=True)
