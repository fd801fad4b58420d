"""The sink that publishes over MQTT."""

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence

from ...messages import Losses, Message
from ..history.outbox import Outbox
from ..payloads import LabelSet
from .broker import (
    Broker,
    check_base_topic,
    check_credentials,
    check_node_name,
)
from .connection import Connection
from .homeassistant import Discovery, HomeAssistant
from .news import News
from .roster import Roster
from .topics import Topics


class MqttSink:
    """Publishes taggings, events, states and health to an MQTT broker, and keeps trying while there is none.

    `accept` is called by any thread and never blocks; one thread is in `run` until `close` is called.

    Parameters
    ----------
    broker : Broker
        Where it listens, and as whom to speak to it. Credentials appear in no log, representation or error.
    node : str
        Name of this machine.
    sources : iterable of str
        Names of the sources at first; messages of others are ignored.
    label_set : LabelSet
        What the scores of taggings stand for.
    top : int
        How many tags to publish of a tagging.
    watched_at : callable
        Says which sounds of a source (its name) have an ON/OFF topic of their own: by name, which is the label of events.
    outbox : Outbox or None
        Where events wait for the broker: whoever keeps it has taken an event before `accept` does. In memory if None.
    on_listen : callable or None
        Is told on the thread of `run` that a source (its name) shall be listened to (True) or not, and returns at once.
        If None, there is no such switch.
    is_on : callable
        Says whether a source (its name) is switched on when it comes.
    discovery : Discovery or None
        How Home Assistant is told of all this; not at all if None.
    base_topic : str or None
        What all topics begin with; ``earshot/<node>`` unless given.
    timeout_seconds : float
        How long the broker may take to answer.
    keepalive_seconds : int
        How long the connection may be silent; each side notices the other's death within twice this time.
    stale_seconds : float
        A tagging that has waited longer for the broker is not published.
    gauge_seconds : float
        The least time between two values of the level, or of the label that scores highest.
    birth_seconds : float
        All is announced and said again within this time of a start of Home Assistant, so that many machines don't speak
        at once.
    retry_seconds, longest_retry_seconds : float
        Pause after the first failure, doubled with each further one (and shortened at random by up to a
        half, so that many machines don't come back at once), and what it grows to.
    quiet_seconds : float
        The least time between two log lines that say that the broker is away.

    Raises
    ------
    SettingsError
        The node name, the base topic, a credential or a file for TLS can't be used.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        node: str,
        sources: Iterable[str],
        label_set: LabelSet,
        top: int = 10,
        watched_at: Callable[[str], Sequence[str]] = lambda _source: (),
        outbox: Outbox | None = None,
        on_listen: Callable[[str, bool], None] | None = None,
        is_on: Callable[[str], bool] = lambda _source: True,
        discovery: Discovery | None = None,
        base_topic: str | None = None,
        timeout_seconds: float = 5.0,
        keepalive_seconds: int = 15,
        stale_seconds: float = 10.0,
        gauge_seconds: float = 5.0,
        birth_seconds: float = 2.0,
        retry_seconds: float = 0.5,
        longest_retry_seconds: float = 30.0,
        quiet_seconds: float = 60.0,
    ) -> None:
        check_credentials(broker)
        self._node, self._discovery, self._has_switches = node, discovery, on_listen is not None
        self._base = check_base_topic(f"earshot/{node}" if base_topic is None else base_topic)
        self._watched_at = watched_at
        self._following = threading.Lock()  # guards what follows
        self._watched = self._watched_now(sources)
        roster = self._roster()
        self._news = News(
            roster,
            label_set=label_set,
            top=top,
            stale_seconds=stale_seconds,
            outbox=outbox,
            on_listen=on_listen,
            is_on=is_on,
            gauge_seconds=gauge_seconds,
            birth_seconds=birth_seconds,
        )
        self._connection = Connection(
            broker,
            self._news,
            identifier=f"earshot-{check_node_name(node)}-{secrets.token_hex(4)}",
            will_topic=roster.topics.status,
            timeout_seconds=timeout_seconds,
            keepalive_seconds=keepalive_seconds,
            retry_seconds=retry_seconds,
            longest_retry_seconds=longest_retry_seconds,
            quiet_seconds=quiet_seconds,
        )

    @property
    def address(self) -> str:
        """Where the broker listens, for people."""
        return self._connection.address

    @property
    def state(self) -> str:
        """How the connection stands: "connected", "connecting", "refused: …", "unreachable: …" or "closed"."""
        return self._connection.state

    @property
    def top(self) -> int:
        """How many tags to publish of a tagging."""
        return self._news.top

    @top.setter
    def top(self, top: int) -> None:
        self._news.top = top

    def losses(self) -> Losses:
        """Return the number of taggings, and of events without an outbox, that were not published so far."""
        return self._news.losses()

    def accept(self, message: Message) -> None:
        """Take a message to be published; from any thread, at once."""
        self._news.accept(message)
        self._connection.call_soon(self._news.wake)

    def listening(self, source: str, on: bool) -> None:
        """Publish that a source has been switched on or off elsewhere; from any thread, at once."""
        self._news.listening(source, on)
        self._connection.call_soon(self._news.wake)

    def follow(self, sources: Sequence[str]) -> None:
        """Publish of these sources from now on, and take back what is kept of others; from any thread, at once."""
        with self._following:
            self._change(sources)

    def watch_anew(self) -> None:
        """Have topics for the sounds that are watched now, and for no others; from any thread, at once."""
        with self._following:
            self._change(self._watched)

    def close(self) -> None:
        """Make `run` say goodbye and return within a second; from any thread, more than once if need be."""
        self._connection.close()

    def run(self) -> None:
        """Connect, publish, and connect again, until `close` is called; then say that all is offline."""
        self._connection.run()

    def _change(self, sources: Iterable[str]) -> None:
        before, self._watched = self._watched, self._watched_now(sources)
        if list(before.items()) != list(self._watched.items()):  # not only a threshold or a hop
            self._news.follow(self._roster())
            self._connection.call_soon(self._news.wake)

    def _watched_now(self, sources: Iterable[str]) -> dict[str, tuple[str, ...]]:
        return {source: tuple(self._watched_at(source)) for source in sources}

    def _roster(self) -> Roster:
        """Say what is published, as it is now."""
        topics = Topics(self._base, self._watched, self._watched)
        home = None
        if self._discovery is not None:
            home = HomeAssistant(
                self._discovery, topics, node=self._node, watched=self._watched, switches=self._has_switches
            )
        switched = self._watched if self._has_switches else ()
        return Roster(topics, {topics.listen_set(source): source for source in switched}, home)
