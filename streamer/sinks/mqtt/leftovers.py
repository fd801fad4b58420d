"""Takes back the states of sounds that an earlier run watched for and this one does not."""

from collections.abc import Iterable

from .client import Link
from .topics import Topics

_MOST_TOPICS = 4096
"""Cleared over a connection: whoever publishes more than that in our place shall not fill the memory."""


class Leftovers:
    """Clears what the broker keeps of sounds that are no longer watched. All of it runs on the connection's loop.

    What there was is read from where it is retained, so that nothing else must remember it.

    Parameters
    ----------
    topics : Topics
        Where this run publishes.
    sources : iterable of str
        Names of the sources; what is kept of others is left alone.
    """

    def __init__(self, topics: Topics, sources: Iterable[str]) -> None:
        self._present = frozenset(topics.sounds())
        self._folders = frozenset(topics.sound_folder(source) for source in sources)
        self._found: set[str] = set()
        self._settled: set[str] = set()

    async def greet(self, link: Link) -> None:
        """Ask for what is kept."""
        self._found.clear()
        self._settled.clear()
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
        while self._found:
            topic = self._found.pop()
            # Once per connection: two nodes of one name would clear each other's for ever.
            self._settled.add(topic)
            await link.publish(topic, "", qos=1, retain=True)
