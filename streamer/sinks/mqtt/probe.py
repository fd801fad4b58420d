"""Test of a broker: publish a message, wait for it, and look for Home Assistant."""

import asyncio
import secrets
import time
from contextlib import aclosing
from dataclasses import dataclass
from ssl import SSLContext

from ...errors import BrokerError
from . import client, tls
from .broker import Broker, check_credentials
from .client import Client, Received
from .homeassistant import is_by_earshot

_KEEPALIVE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Traces:
    """Signs of Home Assistant at a broker.

    Attributes
    ----------
    reachable : bool
        True if a message under its prefix comes back.
    status : str or None
        Its status, if retained, which it is not by default.
    announcements : int
        Number of discovery messages of other programs.
    """

    reachable: bool
    status: str | None
    announcements: int


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Result of a probe.

    Attributes
    ----------
    round_trip_seconds : float or None
        Time from a publish until the message came back; None if it never did.
    traces : Traces or None
        Signs of Home Assistant; None if the probe did not look for it.
    """

    round_trip_seconds: float | None = None
    traces: Traces | None = None


def probe(
    broker: Broker,
    *,
    node: str,
    base_topic: str,
    discovery_prefix: str | None = None,
    timeout_seconds: float = 3.0,
) -> ProbeResult:
    """Connect to a broker, publish a message that is not retained, and wait for it.

    Parameters
    ----------
    broker : Broker
        Address and credentials.
    node : str
        Name of this machine.
    base_topic : str
        Prefix of the topics.
    discovery_prefix : str or None
        Prefix of Home Assistant's discovery; without it, the probe does not look for Home Assistant.
    timeout_seconds : float
        Time that each answer may take.

    Raises
    ------
    BrokerError
        The broker refuses or can't be reached.
    SettingsError
        The credentials or the broker's files can't be used.
    """
    check_credentials(broker)
    tls_context = tls.context_for(broker)
    return client.run(_probe(broker, tls_context, node, base_topic, discovery_prefix, timeout_seconds))


async def _probe(
    broker: Broker,
    tls_context: SSLContext | None,
    node: str,
    base_topic: str,
    discovery_prefix: str | None,
    timeout_seconds: float,
) -> ProbeResult:
    result, is_connected = ProbeResult(), False
    try:
        # This timeout is for a network that drops packets; a broker that does not answer is noticed earlier.
        async with (
            asyncio.timeout(2 * timeout_seconds) as limit,
            client.connected(
                broker,
                identifier=f"earshot-{node}-{secrets.token_hex(4)}",
                timeout_seconds=timeout_seconds,
                keepalive_seconds=_KEEPALIVE_SECONDS,
                tls_context=tls_context,
            ) as connection,
        ):
            is_connected = True
            limit.reschedule(None)
            seconds, _ = await _round_trip(connection, f"{base_topic}/doctor", timeout_seconds)
            result = ProbeResult(seconds)
            if discovery_prefix is not None:
                result = ProbeResult(
                    seconds, await _look(connection, discovery_prefix, node, timeout_seconds)
                )
    except TimeoutError:
        raise BrokerError("unreachable", "no answer") from None
    except BrokerError:
        if not is_connected:
            raise
    return result


async def _look(connection: Client, prefix: str, node: str, timeout_seconds: float) -> Traces:
    """Collect the retained messages under the prefix: they arrive before a message that is published afterwards."""
    status = f"{prefix}/status"
    for topic in (status, f"{prefix}/+/+/config", f"{prefix}/+/+/+/config"):
        await connection.subscribe(topic, qos=0)  # not queued by the broker: there may be thousands
    seconds, received = await _round_trip(connection, f"{prefix}/{node}/doctor", timeout_seconds)
    said = [message.payload.decode(errors="replace") for message in received if message.topic == status]
    return Traces(
        reachable=seconds is not None,
        status=said[-1] if said else None,
        announcements=sum(
            message.topic != status and bool(message.payload) and not is_by_earshot(message.payload)
            for message in received
        ),
    )


async def _round_trip(
    connection: Client, topic: str, timeout_seconds: float
) -> tuple[float | None, list[Received]]:
    """Publish a random word; return the seconds until it came back (None if it did not), and the messages before it."""
    word = secrets.token_hex(8)
    received: list[Received] = []
    await connection.subscribe(topic)
    began = time.perf_counter()
    await connection.publish(topic, word, qos=1)
    try:
        async with asyncio.timeout(timeout_seconds), aclosing(connection.received()) as messages:
            async for message in messages:
                if (message.topic, message.payload) == (topic, word.encode()):
                    return time.perf_counter() - began, received
                received.append(message)
    except TimeoutError:
        pass
    return None, received
