"""Two programs with the same topics, such as two machines with one node name: each notices the other and says so."""

import logging

from .wire import Client

_log = logging.getLogger(__name__)

_MAX_OTHERS = 16
_MAX_BYTES = 64


class InstanceWatch:
    """Names this program on a topic of its node, and reports every other one that does so. Used on the connection's thread only.

    Parameters
    ----------
    topic : str
        Topic on which programs name themselves.
    name : str
        Random name of this program.
    node : str
        Name of the node, for people.
    """

    def __init__(self, topic: str, name: str, node: str) -> None:
        self._topic = topic
        self._name = name.encode()
        self._node = node
        self._others: set[bytes] = set()
        self._due = False

    async def start(self, client: Client) -> None:
        """Start with a new connection: listen to others, and name this program."""
        await client.subscribe(self._topic, is_needed=True)
        self._due = True

    def receive(self, topic: str, payload: bytes) -> bool:
        """Process a message of any client; return True if `publish` has something to do."""
        if topic != self._topic or payload == self._name or not 0 < len(payload) <= _MAX_BYTES:
            return False
        if payload in self._others or len(self._others) >= _MAX_OTHERS:
            return False
        if not self._others:
            _log.warning(
                "another Earshot publishes as %s (%s): the two overwrite each other's states; give each machine its own --node",
                self._node,
                self._topic.rpartition("/")[0],
            )
        self._others.add(payload)
        self._due = True  # so that the other one knows too
        return True

    async def publish(self, client: Client) -> None:
        """Name this program, if that is due."""
        if self._due:
            self._due = False
            await client.publish(self._topic, self._name.decode(), qos=1)
