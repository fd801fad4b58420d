"""Removal of everything that a node has left at a broker: retained states, and its devices in Home Assistant."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import BrokerError
from . import tls, wire
from .broker import Broker, check_credentials
from .homeassistant import is_by_earshot
from .limits import limits_of
from .probe import round_trip
from .topics import FIGURES, Topics
from .wire import Client, Outcome, Received

_KEEPALIVE_SECONDS = 15
_TIMEOUT_SECONDS = 10.0
_MAX_TOPICS = 20_000


@dataclass(slots=True)
class Remains:
    """Retained messages of a node.

    Attributes
    ----------
    topics : set of str
        Topics with a retained message.
    is_online : bool
        True if the node says that it is running.
    """

    topics: set[str] = field(default_factory=set)
    is_online: bool = False


class NodeMessages:
    """Recognises the retained messages of one node.

    Parameters
    ----------
    node, base_topic : str
        Name of the node, and prefix of its topics.
    discovery_prefix : str
        Prefix of Home Assistant's discovery.
    """

    def __init__(self, node: str, base_topic: str, discovery_prefix: str) -> None:
        self._topics = Topics(base_topic, ())
        self._own = {self._topics.status, self._topics.health, *map(self._topics.figure, FIGURES)}
        self._announcement = re.compile(
            rf"{re.escape(discovery_prefix)}/(device|[a-z_]+)/{re.escape(node)}[_-][a-z0-9_]+(/[a-z0-9_]+)?/config"
        )
        self.marker = f"{base_topic}/doctor"
        self.filters: Sequence[str] = (
            f"{base_topic}/#",
            f"{discovery_prefix}/device/+/config",
            f"{discovery_prefix}/+/+/+/config",
        )
        self.remains = Remains()

    def receive(self, message: Received) -> None:
        """Note a message if it is one of the node's."""
        if not message.payload or len(self.remains.topics) >= _MAX_TOPICS:
            return
        if message.topic in self._own or self._topics.is_state(message.topic):
            self.remains.topics.add(message.topic)
            if message.topic == self._topics.status:
                self.remains.is_online = message.payload == b"online"
        elif self._announcement.fullmatch(message.topic) and self._is_announced(message.payload):
            self.remains.topics.add(message.topic)

    def _is_announced(self, payload: bytes) -> bool:
        """Return True for an announcement of this node: another one may have a longer name."""
        if not is_by_earshot(payload):
            return False
        found: Any = json.loads(payload)
        availability = found.get("availability")
        return isinstance(availability, list) and {"topic": self._topics.status} in availability


def find_remains(broker: Broker, messages: NodeMessages) -> Remains:
    """Return the retained messages of a node; nothing is changed.

    Raises
    ------
    BrokerError
        The broker refuses or can't be reached.
    SettingsError
        The credentials or the broker's files can't be used.
    """

    async def find(client: Client) -> None:
        client.listen(messages.receive)
        for topic in messages.filters:
            await client.subscribe(topic, qos=0, is_needed=True)
        if await round_trip(client, messages.marker, _TIMEOUT_SECONDS, messages.receive) is None:
            raise BrokerError(
                "refused", f"messages on {messages.marker} do not come back: check its access list"
            )

    _with_client(broker, find)
    return messages.remains


def clear(broker: Broker, topics: Iterable[str]) -> None:
    """Remove the retained messages of topics.

    Raises
    ------
    BrokerError, SettingsError
        As for `find_remains`.
    """

    async def publish(client: Client) -> None:
        # Announcements first: states that vanish before would be shown as unknown.
        for topic in sorted(topics, key=lambda topic: (not topic.endswith("/config"), topic)):
            if await client.publish(topic, "", qos=1, retain=True) is not Outcome.TAKEN:
                raise BrokerError("refused", f"it refuses to clear {topic}: check its access list")

    _with_client(broker, publish)


def _with_client(broker: Broker, work: Callable[[Client], Awaitable[None]]) -> None:
    check_credentials(broker)
    context, limits = tls.context_for(broker), limits_of(broker)

    async def connect() -> None:
        async with wire.connected(
            broker,
            identifier=f"earshot-forget-{secrets.token_hex(4)}",
            timeout_seconds=_TIMEOUT_SECONDS,
            keepalive_seconds=_KEEPALIVE_SECONDS,
            tls_context=context,
            limits=limits,
        ) as client:
            await work(client)

    wire.run(connect())
