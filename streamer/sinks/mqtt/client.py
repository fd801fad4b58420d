"""Connections to an MQTT broker, one or one after the other: the only importer of aiomqtt."""

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

import aiomqtt
from aiomqtt import MqttError

from ...errors import BrokerError
from . import tls
from .broker import Broker

_log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")

_CREDENTIALS_REFUSED = {134, 135}  # "bad user name or password", "not authorized"

# Together well under the second in which `Connection.run` must return.
_LAST_PUBLISH_SECONDS = 0.2
_STOP_SECONDS = 0.4
_DISCONNECT_SECONDS = 0.2

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
    """

    topic: str
    payload: bytes


class Client:
    """One connection, while it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    def set_timeout(self, seconds: float) -> None:
        """Set the time that the broker may take to answer."""
        self._client.timeout = seconds

    async def publish(self, topic: str, text: str, *, qos: int = 0, retain: bool = False) -> None:
        """Publish a text; with `qos` 1, return when the broker has acknowledged it."""
        await self._client.publish(topic, text, qos=qos, retain=retain)

    async def subscribe(self, topic: str, *, qos: int = 1) -> None:
        """Subscribe to a topic."""
        await self._client.subscribe(topic, qos=qos)

    async def received(self) -> AsyncGenerator[Received, None]:
        """Yield messages until the connection ends, which raises `MqttError`."""
        async for message in self._client.messages:
            yield Received(message.topic.value, message.payload)


@asynccontextmanager
async def connected(
    broker: Broker,
    *,
    identifier: str,
    timeout_seconds: float,
    keepalive_seconds: int,
    tls_context: ssl.SSLContext | None,
    will_topic: str | None = None,
) -> AsyncIterator[Client]:
    """Connect while the block lasts.

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
    will_topic : str or None
        Topic on which the broker publishes "offline", retained, when the connection is lost.

    Raises
    ------
    BrokerError
        The broker refuses or can't be reached, or the connection was lost within the block.
    """
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password,
        identifier=identifier,
        keepalive=keepalive_seconds,
        timeout=timeout_seconds,
        tls_context=tls_context,
        will=None if will_topic is None else aiomqtt.Will(will_topic, "offline", qos=1, retain=True),
        logger=_wire_log,
    )
    try:
        async with client:
            yield Client(client)
    except (MqttError, OSError) as error:
        raise _explained(error, broker, hung_up=_has_hung_up(client)) from error
    finally:
        _abandon(client)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that uses connections on an event loop of its own, on this thread."""
    _wire_log.setLevel(logging.CRITICAL)  # errors are raised, and logged in our words
    # Not asyncio.run: aiomqtt watches a socket, which the default loop of Windows can't.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.get_loop().set_default_executor(_DaemonThreads())
        return runner.run(coroutine)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Timeouts and pauses of a `Connection`.

    Attributes
    ----------
    timeout_seconds : float
        Time that the broker may take to answer.
    keepalive_seconds : int
        Longest silence of the connection; each side notices the loss of the other within twice this time.
    retry_seconds, longest_retry_seconds : float
        Pause after the first failure, doubled with each further one, and its maximum. Each pause is shortened at random by
        up to a half, so that many machines do not reconnect at once.
    quiet_seconds : float
        Minimum time between two warnings that the broker is away.
    """

    timeout_seconds: float = 5.0
    keepalive_seconds: int = 15
    retry_seconds: float = 0.5
    longest_retry_seconds: float = 30.0
    quiet_seconds: float = 60.0


class Handler(Protocol):
    """User of a `Connection`; all methods are called on the connection's thread."""

    async def start(self, client: Client) -> None:
        """Publish the present state over a new connection."""
        ...

    async def publish(self, client: Client) -> None:
        """Publish what is new, until cancelled, or until nothing is new after `finish`."""
        ...

    def finish(self) -> None:
        """Let `publish` return once nothing is new."""
        ...

    async def stop(self, client: Client) -> None:
        """Publish the final state before the connection is closed."""
        ...

    def receive(self, topic: str, payload: bytes) -> None:
        """Process a message on a subscribed topic."""
        ...


class Connection:
    """Keeps a handler connected to a broker, and reconnects whenever the connection is lost.

    One thread is in `run` until `close` is called.

    Parameters
    ----------
    broker : Broker
        Address and credentials. Credentials appear in no log, representation or error.
    handler : Handler
        Object that publishes and receives.
    identifier : str
        Identifier of this client, the same for every connection: a broker that still holds a dead one then ends it, and
        publishes its last will, before the new one publishes anything.
    will_topic : str
        Topic on which the broker publishes "offline", retained, when the connection is lost.
    options : ConnectionOptions
        Timeouts and pauses.

    Raises
    ------
    SettingsError
        The broker's files can't be used.
    """

    def __init__(
        self,
        broker: Broker,
        handler: Handler,
        *,
        identifier: str,
        will_topic: str,
        options: ConnectionOptions,
    ) -> None:
        self._broker = broker
        self._handler = handler
        self._identifier = identifier
        self._will_topic = will_topic
        self._options = options
        self._tls_context = tls.context_for(broker)
        self._state = "connecting"
        self._logged: str | None = None  # kind of the error that the log reported last
        self._logged_at = -float("inf")

        self._lock = (
            threading.Lock()
        )  # guards the attributes below, which `call_soon` and `close` share with `run`
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._open = False  # used on the loop's thread only

    @property
    def address(self) -> str:
        """Address of the broker, for people."""
        return self._broker.address

    @property
    def state(self) -> str:
        """State of the connection: "connected", "connecting", "refused: …", "unreachable: …" or "closed"."""
        return self._state

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call a function on the loop's thread while `run` is active; from any thread."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """Make `run` stop the handler and return within a second; from any thread, repeatedly."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._close, self._task)

    def run(self) -> None:
        """Connect, let the handler publish, and reconnect, until `close` is called."""
        with suppress(asyncio.CancelledError):
            run(self._keep_connected())
        self._state = "closed"

    def _close(self, task: asyncio.Task[None]) -> None:
        """Stop the handler, or cancel a connection attempt or a pause; on the loop's thread."""
        self._closing.set()
        if not self._open:
            task.cancel()

    async def _keep_connected(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            failures = 0
            while not self._closed:
                began = time.monotonic()
                try:
                    await self._connect()
                except BrokerError as error:
                    self._log_failure(error)
                if self._closed:
                    return
                if time.monotonic() - began > self._options.longest_retry_seconds:
                    failures = 0
                pause = min(
                    self._options.retry_seconds * 2.0 ** min(failures, 32),
                    self._options.longest_retry_seconds,
                )
                failures += 1
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        finally:
            with self._lock:
                self._loop = self._task = None

    async def _connect(self) -> None:
        """Connect, and serve the handler until the connection ends, which raises, or `close` is called."""
        async with connected(
            self._broker,
            identifier=self._identifier,
            timeout_seconds=self._options.timeout_seconds,
            keepalive_seconds=self._options.keepalive_seconds,
            tls_context=self._tls_context,
            will_topic=self._will_topic,
        ) as client:
            await self._serve(client)

    async def _serve(self, client: Client) -> None:
        self._open = True
        closing = asyncio.create_task(self._closing.wait(), name="mqtt closing")
        receiving = asyncio.create_task(self._receive(client), name="mqtt receiving")
        publishing = asyncio.create_task(self._publish(client), name="mqtt publishing")
        try:
            await asyncio.wait({closing, receiving, publishing}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing.is_set():
                await self._stop(client, publishing)
        finally:
            self._open = False
            for task in (publishing, receiving, closing):
                await _end(task)
            outcomes = await asyncio.gather(publishing, receiving, return_exceptions=True)
        if self._closing.is_set():
            return
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _publish(self, client: Client) -> None:
        await self._handler.start(client)
        self._log_connected()
        await self._handler.publish(client)

    async def _receive(self, client: Client) -> None:
        """Pass messages to the handler until the connection ends, which raises."""
        async for message in client.received():
            self._handler.receive(message.topic, message.payload)

    async def _stop(self, client: Client, publishing: asyncio.Task[None]) -> None:
        """Let the handler finish, because events that are cut off are published again, and leave little time to disconnect."""
        client.set_timeout(_STOP_SECONDS)
        self._handler.finish()
        await asyncio.wait({publishing}, timeout=_LAST_PUBLISH_SECONDS)
        await _end(publishing)
        with suppress(MqttError):
            await self._handler.stop(client)
        client.set_timeout(_DISCONNECT_SECONDS)

    def _log_connected(self) -> None:
        self._state = "connected"
        if self._logged is not None:
            _log.info("MQTT broker %s: connected again", self.address)
        else:
            _log.debug("MQTT broker %s: connected", self.address)
        self._logged = None

    def _log_failure(self, error: BrokerError) -> None:
        if self._closed:
            return
        self._state = str(error)
        now = time.monotonic()
        if self._logged == error.kind or (
            self._logged is None and now - self._logged_at < self._options.quiet_seconds
        ):
            _log.debug("MQTT broker %s: %s", self.address, self._state)
            return
        self._logged, self._logged_at = error.kind, now
        _log.warning(
            "MQTT broker %s %s: %s; listening goes on, retrying", self.address, error.complaint, error.reason
        )


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends: before Python 3.12, `asyncio.wait_for` may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


def _explained(error: MqttError | OSError, broker: Broker, *, hung_up: bool) -> BrokerError:
    """Convert an error to one with a reason in words."""
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        reason = str(error.rc).lower()
        if getattr(error.rc, "value", error.rc) in _CREDENTIALS_REFUSED:
            reason = "wrong user name or password" if broker.username else "it asks for a user name"
        return BrokerError("refused", reason)
    cause = error.__context__ if isinstance(error, MqttError) else error
    match cause:
        case ConnectionResetError():
            reason = tls.explain_hang_up(broker)
        case TimeoutError():
            reason = tls.explain_hang_up(broker) if hung_up else "no answer"
        case ssl.SSLError():
            reason = tls.explain(cause, broker)
        case OSError(strerror=str(text)):
            reason = text[:1].lower() + text[1:]
        case _:
            reason = "connection lost"
    return BrokerError("unreachable", reason)


def _has_hung_up(client: aiomqtt.Client) -> bool:
    """Return True if the broker closed the connection instead of answering; no public call says so before the handshake."""
    return client._client.socket() is None  # noqa: SLF001


def _abandon(client: aiomqtt.Client) -> None:
    """Close the socket and the task of a client in any state.

    A client that fails to connect leaves both open, and no public call closes them.
    """
    client._client.reinitialise()  # noqa: SLF001


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
