"""Connections to an MQTT broker, one after the other."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import BrokerError
from . import tls
from .broker import Broker
from .limits import limits_of
from .wire import Client, MqttError, Received, connected, run

_log = logging.getLogger(__name__)

_LAST_PUBLISH_SECONDS = 2.0
"""Time to publish what waits when the connection is closed, as long as the broker answers."""
_STOP_SECONDS = 0.4
_DISCONNECT_SECONDS = 0.2
"""Times for a broker to answer then. One that does not is left within a second."""


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

    def receive(self, message: Received) -> None:
        """Process a message on a subscribed topic, at once: the network waits."""
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
        self._limits = limits_of(broker)
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
        """Make `run` stop the handler and return soon, within a second if the broker does not answer; from any thread."""
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
            limits=self._limits,
        ) as client:
            await self._serve(client)

    async def _serve(self, client: Client) -> None:
        self._open = True
        client.listen(self._handler.receive)
        closing = asyncio.create_task(self._closing.wait(), name="mqtt closing")
        receiving = asyncio.create_task(client.wait_for_end(), name="mqtt receiving")
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

    async def _stop(self, client: Client, publishing: asyncio.Task[None]) -> None:
        """Let the handler finish, because events that are cut off are published again, and leave little time to disconnect."""
        client.set_timeout(_STOP_SECONDS)
        self._handler.finish()
        deadline = time.monotonic() + _LAST_PUBLISH_SECONDS
        answers = -1
        while not publishing.done() and answers < client.answers and time.monotonic() < deadline:
            answers = client.answers
            await asyncio.wait({publishing}, timeout=_STOP_SECONDS)
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
