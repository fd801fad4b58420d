"""Test of a broker: publish a message, wait for it, and look for Home Assistant."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ssl import SSLContext

from ...errors import BrokerError
from . import tls, wire
from .broker import Broker, check_credentials
from .homeassistant import is_by_earshot
from .limits import BrokerLimits, limits_of
from .wire import Client, Received

_KEEPALIVE_SECONDS = 15
_MAX_STATUS_BYTES = 255


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
    complaints : sequence of str
        Limits of the broker that cost something.
    """

    round_trip_seconds: float | None = None
    traces: Traces | None = None
    complaints: Sequence[str] = ()


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
    limits = limits_of(broker, logs=False)

    def attempt() -> ProbeResult:
        return wire.run(
            _probe(broker, tls_context, limits, node, base_topic, discovery_prefix, timeout_seconds)
        )

    try:
        return attempt()
    except BrokerError:
        if limits.speaks_version_5 or broker.is_old:
            raise
        return attempt()  # it did not answer, which some old brokers do not do to MQTT 5


async def _probe(
    broker: Broker,
    tls_context: SSLContext | None,
    limits: BrokerLimits,
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
            wire.connected(
                broker,
                identifier=f"earshot-{node}-{secrets.token_hex(4)}",
                timeout_seconds=timeout_seconds,
                keepalive_seconds=_KEEPALIVE_SECONDS,
                tls_context=tls_context,
                limits=limits,
            ) as connection,
        ):
            is_connected = True
            limit.reschedule(None)
            seconds = await round_trip(connection, f"{base_topic}/doctor", timeout_seconds)
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
    return replace(result, complaints=limits.announced_losses)


async def _look(connection: Client, prefix: str, node: str, timeout_seconds: float) -> Traces:
    """Read the retained messages under the prefix: they arrive before a message that is published afterwards."""
    status = f"{prefix}/status"
    said: str | None = None
    announcements = 0

    def read(message: Received) -> None:
        nonlocal said, announcements
        if message.topic == status:
            said = message.payload[:_MAX_STATUS_BYTES].decode(errors="replace")
        elif message.payload:
            announcements += not is_by_earshot(message.payload)

    connection.listen(read)
    for topic in (status, f"{prefix}/+/+/config", f"{prefix}/+/+/+/config"):
        await connection.subscribe(topic, qos=0)  # not queued by the broker: there may be thousands
    seconds = await round_trip(connection, f"{prefix}/{node}/doctor", timeout_seconds, read)
    return Traces(reachable=seconds is not None, status=said, announcements=announcements)


async def round_trip(
    connection: Client,
    topic: str,
    timeout_seconds: float,
    read: Callable[[Received], None] = lambda _message: None,
) -> float | None:
    """Publish a random word, pass on what comes before it, and return the seconds until it came back; None if it did not."""
    word = secrets.token_hex(8).encode()
    came_back = asyncio.Event()

    def receive(message: Received) -> None:
        if (message.topic, message.payload) == (topic, word):
            came_back.set()
        else:
            read(message)

    connection.listen(receive)
    await connection.subscribe(topic, is_needed=True)
    began = time.perf_counter()
    await connection.publish(topic, word.decode(), qos=1)
    waiting = {asyncio.create_task(came_back.wait()), asyncio.create_task(connection.wait_for_end())}
    try:
        done, _ = await asyncio.wait(waiting, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if came_back.is_set():
            return time.perf_counter() - began
        for task in done:
            task.result()  # raises what ended the connection
        return None
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
