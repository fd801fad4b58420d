"""A connection to an MQTT broker that is made again and again, for ever: the only importer of aiomqtt."""

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, Protocol, TypeVar

import aiomqtt

from ..broker import Broker
from . import tls

_log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")

_CREDENTIALS_REFUSED = {134, 135}  # "bad user name or password", "not authorized"

# Together well under the second in which `run` must have returned.
_LAST_NEWS_SECONDS = 0.2
_FAREWELL_SECONDS = 0.4
_DISCONNECT_SECONDS = 0.2

P = ParamSpec("P")
T = TypeVar("T")


class Link:
    """One connection, while it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def publish(self, topic: str, text: str, *, qos: int = 0, retain: bool = False) -> None:
        """Publish a text; with `qos` 1, return once the broker has acknowledged it."""
        await self._client.publish(topic, text, qos=qos, retain=retain)

    async def subscribe(self, topic: str) -> None:
        """Receive what is published on a topic."""
        await self._client.subscribe(topic, qos=1)


class Conversation(Protocol):
    """What is said over a connection. All of it runs on the connection's loop."""

    async def greet(self, link: Link) -> None:
        """Say what holds now, after each connect."""
        ...

    async def talk(self, link: Link) -> None:
        """Say what is new, until it is cancelled."""
        ...

    async def finish(self, link: Link) -> None:
        """Say what is still new before the end, if there is time."""
        ...

    async def leave(self, link: Link) -> None:
        """Say goodbye."""
        ...

    def heard(self, topic: str, payload: bytes) -> None:
        """Take what came on a topic that was subscribed to."""
        ...


class Connection:
    """Connects a conversation to a broker, and keeps trying while there is none.

    One thread is in `run` until `close` is called.

    Parameters
    ----------
    broker : Broker
        Where it listens, and as whom to speak to it. Credentials appear in no log, representation or error.
    conversation : Conversation
        What is said.
    identifier : str
        Of this client; the same for every connection: a broker that still holds a dead one then ends it, and publishes
        its last will, before the new one says anything.
    will_topic : str
        Where the broker publishes "offline", retained, when the connection ends without a goodbye.
    timeout_seconds, keepalive_seconds, retry_seconds, longest_retry_seconds, quiet_seconds
        As in `MqttSink`.

    Raises
    ------
    SettingsError
        The broker's files can't be used.
    """

    def __init__(
        self,
        broker: Broker,
        conversation: Conversation,
        *,
        identifier: str,
        will_topic: str,
        timeout_seconds: float,
        keepalive_seconds: int,
        retry_seconds: float,
        longest_retry_seconds: float,
        quiet_seconds: float,
    ) -> None:
        self._broker = broker
        self._conversation = conversation
        self._identifier = identifier
        self._will_topic = will_topic
        self._timeout_seconds = timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._retry_seconds = retry_seconds
        self._longest_retry_seconds = longest_retry_seconds
        self._quiet_seconds = quiet_seconds
        self._tls_context = (
            tls.make_context(
                ca_file=broker.ca_file,
                certificate_file=broker.certificate_file,
                key_file=broker.key_file,
            )
            if broker.tls
            else None
        )
        self._state = "connecting"
        self._announced: str | None = None
        self._announced_at = -float("inf")

        self._lock = threading.Lock()  # guards what follows, which `call_soon` and `close` share with `run`
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._conversing = False  # only the loop's thread reads and writes it

    @property
    def address(self) -> str:
        """Where the broker listens, for people."""
        host, port = self._broker.host, self._broker.port
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def state(self) -> str:
        """How the connection stands: "connected", "connecting", "refused: …", "unreachable: …" or "closed"."""
        return self._state

    def call_soon(self, call: Callable[[], None]) -> None:
        """Make a call on the loop's thread, if `run` is at work; from any thread."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """Make `run` say goodbye and return within a second; from any thread, more than once if need be."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._loop is not None and self._running is not None:
                self._loop.call_soon_threadsafe(self._leave, self._running)

    def run(self) -> None:
        """Connect, converse, and connect again, until `close` is called; then say goodbye."""
        _wire_log.setLevel(logging.CRITICAL)  # what matters to people is raised, and said here in words
        # Not asyncio.run: aiomqtt watches a socket, which not every platform's default loop can.
        with (
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
            suppress(asyncio.CancelledError),
        ):
            runner.run(self._keep_connected())
        self._state = "closed"

    def _leave(self, running: asyncio.Task[None]) -> None:
        """End the conversation, which says goodbye, or else whatever keeps `run` waiting; on the loop's thread."""
        self._leaving.set()
        if not self._conversing:
            running.cancel()

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_DaemonThreads())
        with self._lock:
            self._loop, self._running = loop, asyncio.current_task()
        try:
            failures = 0
            while not self._closed:
                began = time.monotonic()
                try:
                    await self._hold_connection()
                except (aiomqtt.MqttError, OSError) as error:
                    self._note_failure(error)
                if self._closed:
                    return
                if time.monotonic() - began > self._longest_retry_seconds:
                    failures = 0
                pause = min(self._retry_seconds * 2.0 ** min(failures, 32), self._longest_retry_seconds)
                failures += 1
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        finally:
            with self._lock:
                self._loop = self._running = None

    async def _hold_connection(self) -> None:
        """Connect and converse until the connection ends, which raises, or `close` cancels."""
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier=self._identifier,
            keepalive=self._keepalive_seconds,
            timeout=self._timeout_seconds,
            tls_context=self._tls_context,
            will=aiomqtt.Will(self._will_topic, "offline", qos=1, retain=True),
            logger=_wire_log,
        )
        try:
            async with client:
                await self._converse(client)
        except aiomqtt.MqttError as error:
            if isinstance(error.__context__, TimeoutError) and _has_hung_up(client):
                raise _HungUpError from None
            raise
        finally:
            _abandon(client)

    async def _converse(self, client: aiomqtt.Client) -> None:
        self._conversing = True
        link = Link(client)
        leaving = asyncio.create_task(self._leaving.wait(), name="mqtt leaving")
        listening = asyncio.create_task(self._listen(client), name="mqtt listening")
        talking = asyncio.create_task(self._talk(link), name="mqtt talking")
        try:
            await asyncio.wait({leaving, listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            await _end(talking)
            if self._leaving.is_set():
                await self._say_goodbye(client, link)
        finally:
            self._conversing = False
            for task in (talking, listening, leaving):
                await _end(task)
            outcomes = await asyncio.gather(talking, listening, return_exceptions=True)
        if self._leaving.is_set():
            return
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _talk(self, link: Link) -> None:
        await self._conversation.greet(link)
        self._note_connected()
        await self._conversation.talk(link)

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Receive what the broker sends; raises when the connection ends, which is how one learns of it."""
        async for message in client.messages:
            self._conversation.heard(message.topic.value, message.payload)

    async def _say_goodbye(self, client: aiomqtt.Client, link: Link) -> None:
        """Say what is left to say, and leave `async with` little time to disconnect."""
        client.timeout = _FAREWELL_SECONDS
        with suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_LAST_NEWS_SECONDS):
                await self._conversation.finish(link)
        with suppress(aiomqtt.MqttError):
            await self._conversation.leave(link)
        client.timeout = _DISCONNECT_SECONDS

    def _note_connected(self) -> None:
        self._state = "connected"
        if self._announced is not None:
            _log.info("The MQTT broker at %s is back.", self.address)
        else:
            _log.debug("Connected to the MQTT broker at %s.", self.address)
        self._announced = None

    def _note_failure(self, error: aiomqtt.MqttError | OSError) -> None:
        if self._closed:
            return
        kind, reason = _explain(error, self._broker)
        self._state = f"{kind}: {reason}"
        now = time.monotonic()
        if self._announced == kind or (
            self._announced is None and now - self._announced_at < self._quiet_seconds
        ):
            _log.debug("The MQTT broker at %s is %s.", self.address, self._state)
            return
        self._announced, self._announced_at = kind, now
        _log.warning(
            "The MQTT broker at %s %s: %s. Listening goes on, and so do the attempts to reach it.",
            self.address,
            "refuses the connection" if kind == "refused" else "can't be reached",
            reason,
        )


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends: before Python 3.12, `asyncio.wait_for` may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


def _explain(error: aiomqtt.MqttError | OSError, broker: Broker) -> tuple[str, str]:
    """Say in words why there is no connection: ("refused" or "unreachable", the reason)."""
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        if getattr(error.rc, "value", error.rc) not in _CREDENTIALS_REFUSED:
            return "refused", str(error.rc).lower()
        return "refused", "wrong user name or password" if broker.username else "it asks for a user name"
    cause = error.__context__ if isinstance(error, aiomqtt.MqttError) else error
    match cause:
        case _HungUpError() | ConnectionResetError():
            reason = tls.explain_hang_up(broker)
        case TimeoutError():
            reason = "no answer"
        case ssl.SSLError():
            reason = tls.explain(cause, broker)
        case OSError(strerror=str(text)):
            reason = text[:1].lower() + text[1:]
        case _:
            reason = "connection lost"
    return "unreachable", reason


class _HungUpError(ConnectionError):
    """The broker has ended the connection instead of answering."""


def _has_hung_up(client: aiomqtt.Client) -> bool:
    """Whether there is no connection any more: until the broker has said hello, no public call tells."""
    return client._client.socket() is None  # noqa: SLF001


def _abandon(client: aiomqtt.Client) -> None:
    """Close what a client holds, in whatever state it is.

    A client that fails while it connects leaves its socket and its task to a broker that may never answer;
    no public call ends them.
    """
    client._client.reinitialise()  # noqa: SLF001


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call on a daemon thread of its own.

    aiomqtt resolves names and opens sockets on the loop's executor. The standard one is waited for when the
    loop ends and again when the program does, which takes as long as a network that swallows packets likes.
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
