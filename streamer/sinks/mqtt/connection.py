"""A connection to an MQTT broker that is made again and again, for ever."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ...errors import BrokerError
from . import client, tls
from .broker import Broker
from .client import Link

_log = logging.getLogger(__name__)

# Together well under the second in which `run` must have returned.
_LAST_NEWS_SECONDS = 0.2
_FAREWELL_SECONDS = 0.4
_DISCONNECT_SECONDS = 0.2


class Conversation(Protocol):
    """What is said over a connection. All of it runs on the connection's loop."""

    async def greet(self, link: Link) -> None:
        """Say what holds now, after each connect."""
        ...

    async def talk(self, link: Link) -> None:
        """Say what is new, until it is cancelled, or `conclude` is called and nothing is new."""
        ...

    def conclude(self) -> None:
        """Let `talk` come to its end."""
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
        self._tls_context = tls.context_for(broker)
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
        return self._broker.address

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
        with suppress(asyncio.CancelledError):
            client.run(self._keep_connected())
        self._state = "closed"

    def _leave(self, running: asyncio.Task[None]) -> None:
        """End the conversation, which says goodbye, or else whatever keeps `run` waiting; on the loop's thread."""
        self._leaving.set()
        if not self._conversing:
            running.cancel()

    async def _keep_connected(self) -> None:
        with self._lock:
            self._loop, self._running = asyncio.get_running_loop(), asyncio.current_task()
        try:
            failures = 0
            while not self._closed:
                began = time.monotonic()
                try:
                    await self._hold_connection()
                except BrokerError as error:
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
        async with client.connected(
            self._broker,
            identifier=self._identifier,
            timeout_seconds=self._timeout_seconds,
            keepalive_seconds=self._keepalive_seconds,
            tls_context=self._tls_context,
            will_topic=self._will_topic,
        ) as link:
            await self._converse(link)

    async def _converse(self, link: Link) -> None:
        self._conversing = True
        leaving = asyncio.create_task(self._leaving.wait(), name="mqtt leaving")
        listening = asyncio.create_task(self._listen(link), name="mqtt listening")
        talking = asyncio.create_task(self._talk(link), name="mqtt talking")
        try:
            await asyncio.wait({leaving, listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            if self._leaving.is_set():
                await self._say_goodbye(link, talking)
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

    async def _listen(self, link: Link) -> None:
        """Receive what the broker sends, until the connection ends, which raises."""
        async for message in link.received():
            self._conversation.heard(message.topic, message.payload)

    async def _say_goodbye(self, link: Link, talking: asyncio.Task[None]) -> None:
        """Let what is being said come to its end, for what is cut off is said again, and leave `async with` little time."""
        link.be_patient(_FAREWELL_SECONDS)
        self._conversation.conclude()
        await asyncio.wait({talking}, timeout=_LAST_NEWS_SECONDS)
        await _end(talking)
        with suppress(client.MqttError):
            await self._conversation.leave(link)
        link.be_patient(_DISCONNECT_SECONDS)

    def _note_connected(self) -> None:
        self._state = "connected"
        if self._announced is not None:
            _log.info("The MQTT broker at %s is back.", self.address)
        else:
            _log.debug("Connected to the MQTT broker at %s.", self.address)
        self._announced = None

    def _note_failure(self, error: BrokerError) -> None:
        if self._closed:
            return
        self._state = str(error)
        now = time.monotonic()
        if self._announced == error.kind or (
            self._announced is None and now - self._announced_at < self._quiet_seconds
        ):
            _log.debug("The MQTT broker at %s is %s.", self.address, self._state)
            return
        self._announced, self._announced_at = error.kind, now
        _log.warning(
            "The MQTT broker at %s %s: %s. Listening goes on, and so do the attempts to reach it.",
            self.address,
            error.complaint,
            error.reason,
        )


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends: before Python 3.12, `asyncio.wait_for` may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)
