"""Tries a broker out: whether what is published comes back, and whether Home Assistant shows there."""

import asyncio
import secrets
import time
from contextlib import aclosing
from dataclasses import dataclass
from ssl import SSLContext

from ...errors import BrokerError
from . import client, tls
from .broker import Broker, check_credentials
from .client import Link, Received
from .homeassistant import is_by_earshot

_KEEPALIVE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Traces:
    """What is seen of Home Assistant at a broker.

    Attributes
    ----------
    reachable : bool
        Whether what is published for it comes back.
    status : str or None
        What it says of itself, if it says so for latecomers, which it does not unless it is told to.
    announcements : int
        How many things of others are announced to it.
    """

    reachable: bool
    status: str | None
    announcements: int


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a broker has answered.

    Attributes
    ----------
    round_trip_seconds : float or None
        From a publish until it came back; None if it never did.
    traces : Traces or None
        Of Home Assistant; None if it was not looked for.
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
    """Connect to a broker, and publish a word to ourselves that is not retained.

    Parameters
    ----------
    broker : Broker
        Where it listens, and as whom to speak to it.
    node : str
        Name of this machine.
    base_topic : str
        What the topics begin with.
    discovery_prefix : str or None
        Where Home Assistant is told what there is; it is not looked for if None.
    timeout_seconds : float
        How long each answer may take.

    Raises
    ------
    BrokerError
        It refuses or can't be reached.
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
    answer, is_connected = ProbeResult(), False
    try:
        # The time is for a network that swallows packets; a broker that is slow to answer is noticed before.
        async with (
            asyncio.timeout(2 * timeout_seconds) as limit,
            client.connected(
                broker,
                identifier=f"earshot-{node}-{secrets.token_hex(4)}",
                timeout_seconds=timeout_seconds,
                keepalive_seconds=_KEEPALIVE_SECONDS,
                tls_context=tls_context,
            ) as link,
        ):
            is_connected = True
            limit.reschedule(None)
            seconds, _ = await _round_trip(link, f"{base_topic}/doctor", timeout_seconds)
            answer = ProbeResult(seconds)
            if discovery_prefix is not None:
                answer = ProbeResult(seconds, await _look(link, discovery_prefix, node, timeout_seconds))
    except TimeoutError:
        raise BrokerError("unreachable", "no answer") from None
    except BrokerError:
        if not is_connected:
            raise
    return answer


async def _look(link: Link, prefix: str, node: str, timeout_seconds: float) -> Traces:
    """Gather what is retained under the prefix: it comes before what is published there afterwards."""
    status = f"{prefix}/status"
    for topic in (status, f"{prefix}/+/+/config", f"{prefix}/+/+/+/config"):
        await link.subscribe(topic, qos=0)  # which no broker queues: there may be thousands
    seconds, received = await _round_trip(link, f"{prefix}/{node}/doctor", timeout_seconds)
    said = [message.payload.decode(errors="replace") for message in received if message.topic == status]
    return Traces(
        reachable=seconds is not None,
        status=said[-1] if said else None,
        announcements=sum(
            message.topic != status and bool(message.payload) and not is_by_earshot(message.payload)
            for message in received
        ),
    )


async def _round_trip(link: Link, topic: str, timeout_seconds: float) -> tuple[float | None, list[Received]]:
    """Publish a word and wait for it; the seconds it took, None if it never came, and what came before it."""
    word = secrets.token_hex(8)
    received: list[Received] = []
    await link.subscribe(topic)
    began = time.perf_counter()
    await link.publish(topic, word, qos=1)
    try:
        async with asyncio.timeout(timeout_seconds), aclosing(link.received()) as messages:
            async for message in messages:
                if (message.topic, message.payload) == (topic, word.encode()):
                    return time.perf_counter() - began, received
                received.append(message)
    except TimeoutError:
        pass
    return None, received
