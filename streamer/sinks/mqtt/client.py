"""One connection to an MQTT broker: the only importer of aiomqtt."""

import asyncio
import logging
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import aiomqtt
from aiomqtt import MqttError

from ...errors import BrokerError
from . import tls
from .broker import Broker

__all__ = ["Link", "MqttError", "Received", "connected", "run"]

_wire_log = logging.getLogger(f"{__name__}.wire")

_CREDENTIALS_REFUSED = {134, 135}  # "bad user name or password", "not authorized"

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Received:
    """What came on a topic that was subscribed to.

    Attributes
    ----------
    topic : str
        Where it was published.
    payload : bytes
        What was published.
    """

    topic: str
    payload: bytes


class Link:
    """One connection, while it lasts."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    def be_patient(self, seconds: float) -> None:
        """Let the broker take so long to answer from now on."""
        self._client.timeout = seconds

    async def publish(self, topic: str, text: str, *, qos: int = 0, retain: bool = False) -> None:
        """Publish a text; with `qos` 1, return once the broker has acknowledged it."""
        await self._client.publish(topic, text, qos=qos, retain=retain)

    async def subscribe(self, topic: str, *, qos: int = 1) -> None:
        """Receive what is published on a topic."""
        await self._client.subscribe(topic, qos=qos)

    async def received(self) -> AsyncGenerator[Received, None]:
        """Yield what the broker sends; raises when the connection ends, which is how one learns of it."""
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
) -> AsyncIterator[Link]:
    """Connect, for as long as the block lasts.

    Parameters
    ----------
    broker : Broker
        Where it listens, and as whom to speak to it.
    identifier : str
        Of this client; the broker ends an older connection of the same.
    timeout_seconds : float
        How long the broker may take to answer.
    keepalive_seconds : int
        How long the connection may be silent.
    tls_context : SSLContext or None
        What `tls.context_for` makes for the broker.
    will_topic : str or None
        Where the broker publishes "offline", retained, when the connection ends without a goodbye.

    Raises
    ------
    BrokerError
        The broker refuses or can't be reached, or the connection has ended within the block.
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
            yield Link(client)
    except (MqttError, OSError) as error:
        raise _explained(error, broker, hung_up=_has_hung_up(client)) from error
    finally:
        _abandon(client)


def run(conversation: Coroutine[Any, Any, T]) -> T:
    """Run what is said over connections on a loop of its own, on this thread."""
    _wire_log.setLevel(logging.CRITICAL)  # what matters to people is raised, and said in words
    # Not asyncio.run: aiomqtt watches a socket, which not every platform's default loop can.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.get_loop().set_default_executor(_DaemonThreads())
        return runner.run(conversation)


def _explained(error: MqttError | OSError, broker: Broker, *, hung_up: bool) -> BrokerError:
    """Say in words why there is no connection."""
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
    """Whether the broker has ended the connection instead of answering: until it has said hello, no public call tells."""
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
