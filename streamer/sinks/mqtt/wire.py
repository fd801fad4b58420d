"""One connection to an MQTT broker: the only importer of aiomqtt, and of paho below it."""

import asyncio
import logging
import math
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, ParamSpec, TypeVar

import aiomqtt
from aiomqtt import MqttError
from aiomqtt.exceptions import MqttCodeError, MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ...errors import BrokerError
from . import tls
from .broker import Broker
from .limits import BrokerLimits, publication_bytes

__all__ = ["MAX_INCOMING_BYTES", "Client", "MqttError", "Outcome", "Received", "connected", "run"]

_log = logging.getLogger(__package__)
_wire_log = logging.getLogger(__name__)

MAX_INCOMING_BYTES = 1_048_576
"""Size of the largest packet that is received: MQTT allows 256 MB, and Earshot's own announcements are the largest it needs."""

_CREDENTIALS_REFUSED = {134, 135}  # "bad user name or password", "not authorized"
_REASONS = {
    137: "it is busy: check its limit of connections",
    138: "it has banned this client",
    141: "it heard nothing from this client for too long",
    142: "another client has taken over this connection: give each Earshot its own --node",
    149: "a message is larger than its maximum packet size",
    151: "its quota is exceeded",
    154: "it does not store retained messages",
    155: "its maximum QoS is lower",
    159: "it allows fewer connections in this time",
}
"""Reason codes of MQTT 5 that need other words than their names."""

_REFUSED_FOR_GOOD = {135, 144, 153}  # "not authorized", "topic name invalid", "payload format invalid"
_OVER_QUOTA = 151

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Received:
    """A message on a subscribed topic.

    Attributes
    ----------
    topic : str
        Topic of the message.
    payload : bytes
        Content of the message.
    retained : bool
        True if the broker had stored the message before the subscription.
    """

    topic: str
    payload: bytes
    retained: bool = False


class Outcome(Enum):
    """Result of a publication.

    Attributes
    ----------
    TAKEN
        The broker has the text.
    REFUSED
        The broker refuses the text, or would refuse it because of its size, and does so each time.
    REFUSED_FOR_NOW
        The broker refuses the text for a reason that may pass.
    OVER_QUOTA
        The broker refuses the text until there is room in a quota.
    """

    TAKEN = "taken"
    REFUSED = "refused"
    REFUSED_FOR_NOW = "refused for now"
    OVER_QUOTA = "over quota"


class Client:
    """One connection, while it lasts.

    Attributes
    ----------
    limits : BrokerLimits
        Limits of the broker.
    answers : int
        Number of publications and subscriptions that the broker has acknowledged.
    refused_topics : set of str
        Topics of retained messages that the broker has refused for now.
    """

    def __init__(self, client: aiomqtt.Client, wire: "_Wire", limits: BrokerLimits) -> None:
        self._client = client
        self._wire = wire
        self._is_patient = True
        self.limits = limits
        self.answers = 0
        self.refused_topics: set[str] = set()

    def set_timeout(self, seconds: float) -> None:
        """Set the time that the broker may take to answer, also while it sends other messages."""
        self._client.timeout = seconds
        self._is_patient = False

    def listen(self, receive: Callable[[Received], None]) -> None:
        """Call a function with each message from now on, in order, before the next one is read from the network."""
        self._wire.receive = receive

    async def publish(self, topic: str, text: str, *, qos: int = 0, retain: bool = False) -> Outcome:
        """Publish a text; with `qos` 1, return when the broker has acknowledged it. A refusal is logged once."""
        limits, wire = self.limits, self._wire
        if not limits.fits(topic, text):
            limits.note_too_large(topic, text)
            return Outcome.REFUSED
        size_bytes = publication_bytes(topic, text)
        wire.refusal = None
        try:
            await self._answered(
                self._client.publish(
                    topic,
                    text,
                    qos=min(qos, limits.max_qos),
                    retain=retain and limits.retains,
                    timeout=math.inf,
                )
            )
        except MqttError:
            limits.note_loss(size_bytes, wire.end_code)
            raise
        except asyncio.CancelledError:
            if self._client._disconnected.done():  # noqa: SLF001 - the user of the connection has noticed it first
                limits.note_loss(size_bytes, wire.end_code)
            raise
        limits.note_success(size_bytes)
        if wire.refusal is None:
            return Outcome.TAKEN
        code, reason = wire.refusal
        limits.note_refusal(topic, reason)
        if code in _REFUSED_FOR_GOOD:
            return Outcome.REFUSED
        if retain:
            self.refused_topics.add(topic)
        return Outcome.OVER_QUOTA if code == _OVER_QUOTA else Outcome.REFUSED_FOR_NOW

    async def subscribe(self, topic: str, *, qos: int = 1, is_needed: bool = False) -> None:
        """Subscribe to a topic, unless the broker allows no wildcards and the topic has some.

        If a message of the broker was too large to be received, only topics that are needed are subscribed to, and none after
        the second one.
        """
        if self.limits.allows_subscription(topic, is_needed=is_needed):
            await self._answered(self._client.subscribe(topic, qos=qos, timeout=math.inf))

    async def wait_for_end(self) -> None:
        """Wait until the connection ends, which raises `MqttError`."""
        async for _ in self._client.messages:  # there are none: `listen` receives them
            pass

    async def _answered(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call until the broker has not answered in time.

        An answer comes in order, behind any number of messages: while they come, the connection is alive.
        """
        task = asyncio.create_task(call)
        try:
            while True:
                began = time.monotonic()
                await asyncio.wait({task}, timeout=self._client.timeout)
                if task.done():
                    self.answers += 1
                    return task.result()
                if not self._is_patient or self._wire.heard_at < began:
                    raise MqttError("no answer") from TimeoutError()
        finally:
            task.cancel()


class _Wire:
    """Callbacks of paho that aiomqtt has no access to: limits, reasons, and messages without a queue.

    Parameters
    ----------
    client : aiomqtt.Client
        Client that is not connected yet.
    limits : BrokerLimits
        Limits of the broker.
    version_5 : bool
        True if the client speaks MQTT 5.
    """

    def __init__(self, client: aiomqtt.Client, limits: BrokerLimits, *, version_5: bool) -> None:
        self._limits = limits
        self.version_5 = version_5
        self._client = client
        self.receive: Callable[[Received], None] = lambda _message: None
        self.heard_at = -math.inf  # time.monotonic() of the last message
        self.refusal: tuple[int, str] | None = None  # code and reason of the last publication's refusal
        self.end_code: int | None = None  # reason for which the broker ended the connection
        self.end_reason = ""
        self.oversized_bytes = 0  # size of the packet for which the connection was closed
        self.was_open = self.has_hung_up = False
        paho: Any = client._client  # noqa: SLF001 - no public attribute has it
        self._connected, self._disconnected, self._published = (
            paho.on_connect,
            paho.on_disconnect,
            paho.on_publish,
        )
        paho.on_connect, paho.on_disconnect = self._on_connect, self._on_disconnect
        paho.on_publish, paho.on_message = self._on_publish, self._on_message
        self._read = paho._sock_recv  # noqa: SLF001 - the only place that knows a size before the content
        paho._sock_recv = self._read_bounded  # noqa: SLF001

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        if not reason.is_failure:
            self.was_open = True
            self._limits.announce(
                retains=bool(getattr(properties, "RetainAvailable", 1)),
                has_wildcards=bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
                max_qos=getattr(properties, "MaximumQoS", 1),
                max_packet_bytes=getattr(properties, "MaximumPacketSize", None),
                max_unanswered=getattr(properties, "ReceiveMaximum", None),
            )
        self._connected(client, data, flags, reason, properties)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end_code, self.end_reason = reason.value, str(reason)
        connecting = self._client._connected  # noqa: SLF001
        if not (
            connecting.done() or self.has_hung_up
        ):  # otherwise aiomqtt waits for an answer that never comes
            self.has_hung_up = True
            connecting.set_exception(MqttError("closed"))
        self._disconnected(client, data, flags, reason, properties)

    def _on_publish(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.refusal = reason.value, str(reason)
        self._published(client, data, number, reason, properties)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        self.heard_at = time.monotonic()
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self.receive(Received(topic, message.payload, bool(message.retain)))

    def _read_bounded(self, size_bytes: int) -> bytes:
        """Read from the network. The first read after a header asks for the whole rest of the packet."""
        if size_bytes > MAX_INCOMING_BYTES:
            self.oversized_bytes = size_bytes
            self._limits.note_oversized(size_bytes)
            raise ConnectionError("the packet is too large")
        data: bytes = self._read(size_bytes)
        return data


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Terms of a connection."""

    broker: Broker
    identifier: str
    timeout_seconds: float
    keepalive_seconds: int
    tls_context: ssl.SSLContext | None
    will_topic: str | None

    def make(self, limits: BrokerLimits, *, version_5: bool) -> tuple[aiomqtt.Client, _Wire]:
        """Return a client that is not connected yet."""
        will = None
        if self.will_topic is not None:
            will = aiomqtt.Will(self.will_topic, "offline", qos=limits.max_qos, retain=limits.retains)
        client = aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            username=self.broker.username,
            password=self.broker.password,
            identifier=self.identifier,
            keepalive=self.keepalive_seconds,
            timeout=self.timeout_seconds,
            tls_context=self.tls_context,
            will=will,
            max_inflight_messages=limits.max_unanswered,
            protocol=aiomqtt.ProtocolVersion.V5 if version_5 else aiomqtt.ProtocolVersion.V311,
            properties=_properties() if version_5 else None,
            logger=_wire_log,
        )
        return client, _Wire(client, limits, version_5=version_5)


@asynccontextmanager
async def connected(
    broker: Broker,
    *,
    identifier: str,
    timeout_seconds: float,
    keepalive_seconds: int,
    tls_context: ssl.SSLContext | None,
    limits: BrokerLimits,
    will_topic: str | None = None,
) -> AsyncIterator[Client]:
    """Connect while the block lasts, with MQTT 5, or with MQTT 3.1.1 where the broker speaks nothing newer.

    Parameters
    ----------
    broker : Broker
        Address and credentials.
    identifier : str
        Identifier of this client; the broker ends an older connection with the same one.
    timeout_seconds : float
        Time that the broker may take to answer.
    keepalive_seconds : int
        Longest silence of the connection.
    tls_context : SSLContext or None
        Result of `tls.context_for`.
    limits : BrokerLimits
        Limits of the broker, kept for the next connection.
    will_topic : str or None
        Topic on which the broker publishes "offline", retained, when the connection is lost.

    Raises
    ------
    BrokerError
        The broker refuses or can't be reached, or the connection was lost within the block.
    """
    attempt = _Attempt(broker, identifier, timeout_seconds, keepalive_seconds, tls_context, will_topic)
    client, wire = attempt.make(limits, version_5=limits.speaks_version_5)
    try:
        while True:
            try:
                await client.__aenter__()
                break
            except MqttError as error:
                version_5 = _version_to_try(error, wire, limits)
                if version_5 is None:
                    raise
            _abandon(client)
            client, wire = attempt.make(limits, version_5=version_5)
        async with AsyncExitStack() as stack:
            stack.push_async_exit(client.__aexit__)
            yield Client(client, wire, limits)
    except (MqttError, OSError) as error:
        raise _explained(error, broker, wire) from error
    finally:
        _abandon(client)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that uses connections on an event loop of its own, on this thread."""
    _wire_log.setLevel(logging.CRITICAL)  # errors are raised, and logged in our words
    # Not asyncio.run: aiomqtt watches a socket, which the default loop of Windows can't.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.get_loop().set_default_executor(_DaemonThreads())
        runner.get_loop().set_exception_handler(_note)
        return runner.run(coroutine)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of a callback: aiomqtt may still watch a socket in the moment in which the broker closes it."""
    _log.debug("%s: %r", context["message"], context.get("exception"))


def _properties() -> Any:
    """Return what this client asks of a broker that speaks MQTT 5."""
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MAX_INCOMING_BYTES
    return properties


def _version_to_try(error: MqttError, wire: _Wire, limits: BrokerLimits) -> bool | None:
    """Return True or False if another attempt with MQTT 5 or 3.1.1 may succeed at once; None otherwise."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # before Python 3.12, `asyncio.wait_for` may swallow it
        raise asyncio.CancelledError from error
    if isinstance(error, MqttConnectError) and limits.adapt(_code(error)):
        return limits.speaks_version_5
    if wire.has_hung_up and wire.version_5:  # some old brokers know no better answer
        return False
    limits.note_silence(answers=wire.has_hung_up or not isinstance(error.__context__, TimeoutError))
    return None


def _code(error: MqttCodeError) -> int:
    """Return the reason code of a refusal; 0 if there is none."""
    value = getattr(error.rc, "value", error.rc)
    return value if isinstance(value, int) else 0


def _explained(error: MqttError | OSError, broker: Broker, wire: _Wire) -> BrokerError:
    """Convert an error to one with a reason in words."""
    if isinstance(error, MqttConnectError):
        code = _code(error)
        reason = _REASONS.get(code) or str(error.rc).lower()
        if code in _CREDENTIALS_REFUSED:
            reason = "wrong user name or password" if broker.username else "it asks for a user name"
        return BrokerError("refused", reason)
    cause = (error.__cause__ or error.__context__) if isinstance(error, MqttError) else error
    if wire.oversized_bytes:
        reason = f"it sent a message of {wire.oversized_bytes / 1e6:.1f} MB, which is too large"
    elif wire.end_code:
        reason = f"it ended the connection ({_REASONS.get(wire.end_code) or wire.end_reason.lower()})"
    elif isinstance(cause, TimeoutError):
        reason = "no answer"
    elif wire.was_open:
        reason = "connection lost"
    elif isinstance(cause, ssl.SSLError):
        reason = tls.explain(cause, broker)
    elif wire.has_hung_up or isinstance(cause, ConnectionResetError):
        reason = tls.explain_hang_up(broker)
    elif isinstance(cause, OSError) and cause.strerror:
        reason = cause.strerror[:1].lower() + cause.strerror[1:]
    else:
        reason = "connection lost"
    return BrokerError("unreachable", reason)


def _abandon(client: aiomqtt.Client) -> None:
    """Close the socket and the task of a client in any state.

    A client that fails to connect leaves both open, and no public call closes them.
    """
    client._client.reinitialise()  # noqa: SLF001
    for outcome in (client._connected, client._disconnected):  # noqa: SLF001
        if outcome.done() and not outcome.cancelled():
            outcome.exception()  # nobody else may ask for it


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call on a daemon thread of its own.

    aiomqtt resolves names and opens sockets on the loop's executor. The standard executor is joined when the loop and
    the program end, which takes minutes if the network drops packets.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - a future carries whatever was raised
                future.set_exception(error)

        threading.Thread(target=work, name="mqtt connecting", daemon=True).start()
        return future

    def shutdown(self, *_args: Any, **_options: Any) -> None:
        """Leave running calls alone."""
