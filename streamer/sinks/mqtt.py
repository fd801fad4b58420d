"""Results over MQTT, for as long as it takes: the only importer of aiomqtt.

Tags are momentary: while the broker is away the newest of each source waits, and only if it is fresh is it
published later. States (who is online, how the program is doing) are retained by the broker and are published
again after every connect.
"""

import asyncio
import logging
import random
import re
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import aiomqtt

from ..errors import SettingsError
from ..mailbox import Mailbox
from ..messages import Event, Health, Message, SourceStatus, Tagging
from .payloads import Vocabulary, health_payload, slugs, tags_payload, to_json

_log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")

_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_CREDENTIALS_REFUSED = {134, 135}  # "bad user name or password", "not authorized"

# Together well under the second in which `run` must have returned.
_FAREWELL_SECONDS = 0.4
_DISCONNECT_SECONDS = 0.2

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where an MQTT broker listens, and as whom to speak to it.

    Attributes
    ----------
    host : str
        Name or address; an IPv6 address without brackets.
    port : int
        TCP port.
    tls : bool
        Whether the connection is encrypted.
    username, password : str or None
        Credentials; the password is left out of the representation.
    """

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_broker_url(url: str) -> Broker:
    """Read ``mqtt://[user[:password]@]host[:port]``; ``mqtts://`` is the same over TLS.

    The port is 1883, or 8883 over TLS, unless given; an IPv6 address stands in brackets; what is special in a
    user name or password is percent-encoded.

    Raises
    ------
    SettingsError
        The address is malformed. The sentence never repeats it, since it may hold a password.
    """
    form = "write it as mqtt://host:1883 or mqtts://user@host:8883"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        raise SettingsError(f"the MQTT address has a malformed host or port: {form}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the MQTT address does not begin with mqtt:// or mqtts://: {form}")
    if not host or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise SettingsError(f"the MQTT address names no host, or has blanks in it: {form}")
    if port == 0:
        raise SettingsError(f"the MQTT address has port 0, where nothing can listen: {form}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise SettingsError(f"the MQTT address goes on after the port: {form}")
    if parts.password is not None and not parts.username:
        raise SettingsError(f"the MQTT address has a password, but no user name: {form}")
    return Broker(
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        username=unquote(parts.username) if parts.username else None,
        password=None if parts.password is None else unquote(parts.password),
    )


def check_node_name(name: str) -> str:
    """Return the name of this machine as it stands in topics and identifiers.

    Raises
    ------
    SettingsError
        It has other characters than ASCII letters, digits, ``_`` and ``-``, or not 1 to 64 of them.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise SettingsError(
            f"the node name {name!r} can't stand in an MQTT topic: use 1 to 64 letters, digits, '_' or '-'"
        )
    return name


def check_base_topic(topic: str) -> str:
    """Return the topic that all others begin with.

    Raises
    ------
    SettingsError
        It is empty, has a wildcard, an empty level or a control character, or begins with ``$``.
    """
    if not re.fullmatch(r"[^\x00-\x1f\x7f$+#/][^\x00-\x1f\x7f+#/]*(/[^\x00-\x1f\x7f+#/]+)*", topic):
        raise SettingsError(
            f"the MQTT topic {topic!r} can't be a base: use words with '/' between them, without '+' and '#'"
        )
    return topic


@dataclass(frozen=True, slots=True)
class _Waiting:
    tagging: Tagging
    since: float  # time.monotonic()


class MqttSink:
    """Publishes taggings, states and health to an MQTT broker, and keeps trying while there is none.

    `accept` is called by any thread and never blocks; one thread is in `run` until `close` is called.

    Parameters
    ----------
    host, port : str, int
        Where the broker listens.
    node : str
        Name of this machine.
    sources : iterable of str
        Names of the sources; messages of others are ignored.
    vocabulary : Vocabulary
        What the scores of taggings stand for.
    top : int
        How many tags to publish of a tagging.
    tls : bool
        Whether to connect over TLS, trusting the system's certificate authorities.
    username, password : str or None
        Credentials. They appear in no log, representation or error.
    base_topic : str or None
        What all topics begin with; ``earshot/<node>`` unless given.
    timeout_seconds : float
        How long the broker may take to answer.
    keepalive_seconds : int
        How long the connection may be silent; each side notices the other's death within twice this time.
    stale_seconds : float
        A tagging that has waited longer for the broker is not published.
    retry_seconds, longest_retry_seconds : float
        Pause after the first failure, doubled with each further one (and shortened at random by up to a
        half, so that many machines don't come back at once), and what it grows to.
    quiet_seconds : float
        The least time between two log lines that say that the broker is away.

    Raises
    ------
    SettingsError
        The node name, the base topic or a credential can't be used.
    """

    def __init__(
        self,
        host: str,
        port: int = 1883,
        *,
        node: str,
        sources: Iterable[str],
        vocabulary: Vocabulary,
        top: int = 10,
        tls: bool = False,
        username: str | None = None,
        password: str | None = None,
        base_topic: str | None = None,
        timeout_seconds: float = 5.0,
        keepalive_seconds: int = 15,
        stale_seconds: float = 10.0,
        retry_seconds: float = 0.5,
        longest_retry_seconds: float = 30.0,
        quiet_seconds: float = 60.0,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._username = username
        self._password = password
        _check_credentials(username, password)
        self._vocabulary = vocabulary
        self._top = top
        self._timeout_seconds = timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._stale_seconds = stale_seconds
        self._retry_seconds = retry_seconds
        self._longest_retry_seconds = longest_retry_seconds
        self._quiet_seconds = quiet_seconds

        # The same for every connection: a broker that still holds a dead one then ends it, and publishes its
        # last will, before the new one says "online".
        self._identifier = f"earshot-{check_node_name(node)}-{secrets.token_hex(4)}"
        base = check_base_topic(f"earshot/{node}" if base_topic is None else base_topic)
        self._node_status_topic = f"{base}/status"
        self._health_topic = f"{base}/health"
        self._source_topics = {name: f"{base}/{part}" for name, part in slugs(sources).items()}

        self._taggings: Mailbox[_Waiting] = Mailbox(capacity=max(1, len(self._source_topics)))
        self._undelivered = 0
        self._state = "connecting"
        self._announced: str | None = None
        self._announced_at = -float("inf")

        self._lock = threading.Lock()  # guards what follows, which `accept` and `close` share with `run`
        self._statuses = dict.fromkeys(self._source_topics, "offline")
        self._health: Health | None = None
        self._unsent: set[str] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._leaving = asyncio.Event()
        self._conversing = False  # only the loop's thread reads and writes it

    @property
    def address(self) -> str:
        """Where the broker listens, for people."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def state(self) -> str:
        """How the connection stands: "connected", "connecting", "refused: …", "unreachable: …" or "closed"."""
        return self._state

    @property
    def dropped(self) -> int:
        """Taggings so far that a newer one replaced, or that grew stale, before they could be published."""
        return self._taggings.dropped + self._undelivered

    def accept(self, message: Message) -> None:
        """Take a message to be published; from any thread, at once."""
        match message:
            case Tagging(source=source) if source in self._source_topics:
                self._taggings.put(_Waiting(message, time.monotonic()), key=source)
            case SourceStatus(source=source) if source in self._source_topics:
                with self._lock:
                    self._statuses[source] = "online" if message.online else "offline"
                    self._unsent.add(self._source_status_topic(source))
            case Health():
                with self._lock:
                    self._health = message
                    self._unsent.add(self._health_topic)
            case Event():
                return  # events must survive an outage and a restart: they take the way through an outbox
            case _:
                return
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    def close(self) -> None:
        """Make `run` say goodbye and return within a second; from any thread, more than once if need be."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._loop is not None and self._running is not None:
                self._loop.call_soon_threadsafe(self._leave, self._running)

    def run(self) -> None:
        """Connect, publish, and connect again, until `close` is called; then say that all is offline."""
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

    def _source_status_topic(self, source: str) -> str:
        return f"{self._source_topics[source]}/status"

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_DaemonThreads())
        tls_context = ssl.create_default_context() if self._tls else None
        with self._lock:
            self._loop, self._running = loop, asyncio.current_task()
        try:
            failures = 0
            while not self._closed:
                began = time.monotonic()
                try:
                    await self._hold_connection(tls_context)
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

    async def _hold_connection(self, tls_context: ssl.SSLContext | None) -> None:
        """Connect and publish until the connection ends, which raises, or `close` cancels."""
        client = aiomqtt.Client(
            self._host,
            self._port,
            username=self._username,
            password=self._password,
            identifier=self._identifier,
            keepalive=self._keepalive_seconds,
            timeout=self._timeout_seconds,
            tls_context=tls_context,
            will=aiomqtt.Will(self._node_status_topic, "offline", qos=1, retain=True),
            logger=_wire_log,
        )
        try:
            async with client:
                await self._converse(client)
        finally:
            _abandon(client)

    async def _converse(self, client: aiomqtt.Client) -> None:
        self._conversing = True
        leaving = asyncio.create_task(self._leaving.wait(), name="mqtt leaving")
        listening = asyncio.create_task(_listen(client), name="mqtt listening")
        publishing = asyncio.create_task(self._publish_news(client), name="mqtt publishing")
        try:
            await asyncio.wait({leaving, listening, publishing}, return_when=asyncio.FIRST_COMPLETED)
            await _end(publishing)
            if self._leaving.is_set():
                await self._say_goodbye(client)
        finally:
            self._conversing = False
            for task in (publishing, listening, leaving):
                await _end(task)
            outcomes = await asyncio.gather(publishing, listening, return_exceptions=True)
        if self._leaving.is_set():
            return
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _publish_news(self, client: aiomqtt.Client) -> None:
        await client.publish(self._node_status_topic, "online", qos=1, retain=True)
        with self._lock:
            self._unsent = {self._source_status_topic(source) for source in self._statuses}
            if self._health is not None:
                self._unsent.add(self._health_topic)
        await self._publish_states(client)
        self._note_connected()
        while True:
            self._wake.clear()
            await self._publish_states(client)
            await self._publish_taggings(client)
            await self._wake.wait()

    async def _publish_states(self, client: aiomqtt.Client) -> None:
        with self._lock:
            unsent, self._unsent = self._unsent, set()
            statuses, health = dict(self._statuses), self._health
        for source, status in statuses.items():
            topic = self._source_status_topic(source)
            if topic in unsent:
                await client.publish(topic, status, qos=1, retain=True)
        if health is not None and self._health_topic in unsent:
            # It was taken while the broker was away, maybe; where it can be read, the broker is there.
            text = to_json(health_payload(replace(health, broker="connected")))
            await client.publish(self._health_topic, text, qos=0, retain=True)

    async def _publish_taggings(self, client: aiomqtt.Client) -> None:
        waiting = deque(self._taggings.take(timeout_seconds=0))
        try:
            while waiting:
                tagging = waiting[0].tagging
                if time.monotonic() - waiting[0].since > self._stale_seconds:
                    self._undelivered += 1
                else:
                    paced = tagging.latency_seconds is not None
                    latency_seconds = max(0.0, time.time() - tagging.ended_at) if paced else None
                    text = to_json(tags_payload(tagging, self._vocabulary, self._top, latency_seconds))
                    await client.publish(f"{self._source_topics[tagging.source]}/tags", text, qos=0)
                waiting.popleft()
        finally:
            self._undelivered += len(waiting)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """Publish what was heard last, say that all is offline, and leave `async with` little time to disconnect."""
        client.timeout = _DISCONNECT_SECONDS
        with suppress(aiomqtt.MqttError):
            await self._publish_taggings(client)
        topics = [self._source_status_topic(source) for source in self._source_topics]
        topics.append(self._node_status_topic)
        await asyncio.gather(
            *(
                client.publish(topic, "offline", qos=1, retain=True, timeout=_FAREWELL_SECONDS)
                for topic in topics
            ),
            return_exceptions=True,
        )

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
        kind, reason = _explain(error, has_username=self._username is not None)
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


async def _listen(client: aiomqtt.Client) -> None:
    """Receive what the broker sends; raises when the connection ends, which is how one learns of it."""
    async for message in client.messages:
        _log.debug("Ignored a message on %s.", message.topic)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it ends: before Python 3.12, `asyncio.wait_for` may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


def _explain(error: aiomqtt.MqttError | OSError, *, has_username: bool) -> tuple[str, str]:
    """Say in words why there is no connection: ("refused" or "unreachable", the reason)."""
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        if getattr(error.rc, "value", error.rc) in _CREDENTIALS_REFUSED:
            return "refused", "wrong user name or password" if has_username else "it asks for a user name"
        return "refused", str(error.rc).lower()
    cause = error.__context__ if isinstance(error, aiomqtt.MqttError) else error
    match cause:
        case TimeoutError():
            return "unreachable", "no answer"
        case ssl.SSLCertVerificationError():
            return "unreachable", f"its certificate is not trusted ({cause.verify_message})"
        case OSError(strerror=str(text)):
            return "unreachable", text[:1].lower() + text[1:]
        case _:
            return "unreachable", "connection lost"


def _check_credentials(username: str | None, password: str | None) -> None:
    for what, credential in (("user name", username), ("password", password)):
        try:
            (credential or "").encode("utf-8")
        except UnicodeEncodeError:  # which would show the credential
            raise SettingsError(f"the MQTT {what} is not valid UTF-8: set it again") from None


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
