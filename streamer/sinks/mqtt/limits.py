"""Limits of an MQTT broker: what it announced, and what its refusals have shown."""

import logging
from dataclasses import dataclass, field

from .broker import Broker

_log = logging.getLogger(__name__)

UNLIMITED_BYTES = 268_435_460
"""Size of the largest packet that MQTT can describe."""

_UNSUPPORTED_VERSION = 132
_PACKET_TOO_LARGE = 149
_RETAIN_NOT_SUPPORTED = 154
_QOS_NOT_SUPPORTED = 155

_MAX_UNANSWERED = 20
_MAX_COMPLAINTS = 1000
_SMALL_BYTES = 1024
_SUSPICIOUS_LOSSES = 3
_HEADER_BYTES = 16
"""Bytes of a publication besides its topic and payload, at most."""


@dataclass(slots=True)
class BrokerLimits:
    """Limits of a broker, kept over all connections to it. Used on one thread.

    Attributes
    ----------
    address : str
        Address of the broker, for people.
    speaks_version_5 : bool
        True if the next connection uses MQTT 5; MQTT 3.1.1 otherwise.
    retains : bool
        True if the broker stores retained messages.
    has_wildcards : bool
        True if subscriptions may have wildcards.
    max_qos : int
        Highest quality of service.
    max_packet_bytes : int
        Size of the largest packet that the broker takes.
    max_unanswered : int
        Number of publications that may wait for an acknowledgement.
    complaints : dict of str to str
        Sentence for each kind of limit that was met.
    logs : bool
        True if complaints are logged.
    """

    address: str
    speaks_version_5: bool = True
    retains: bool = True
    has_wildcards: bool = True
    max_qos: int = 1
    max_packet_bytes: int = UNLIMITED_BYTES
    max_unanswered: int = _MAX_UNANSWERED
    _learnt_bytes: int = UNLIMITED_BYTES
    _suspect: tuple[int, int] = 0, 0  # size of a publication during which connections ended, and their number
    _is_old: bool = False  # True if the broker has refused MQTT 5
    _oversized: int = 0  # number of packets for which Earshot closed the connection
    complaints: dict[str, str] = field(default_factory=dict)
    logs: bool = True

    @property
    def announced_losses(self) -> tuple[str, ...]:
        """Sentences about what the broker can't do at all."""
        return tuple(self.complaints[kind] for kind in ("retain", "qos") if kind in self.complaints)

    def announce(
        self,
        *,
        retains: bool,
        has_wildcards: bool,
        max_qos: int,
        max_packet_bytes: int | None,
        max_unanswered: int | None,
    ) -> None:
        """Note the limits with which the broker accepts a connection."""
        self.retains = retains and self.retains
        self.has_wildcards = has_wildcards
        self.max_qos = min(max_qos, self.max_qos)
        self.max_unanswered = min(max_unanswered or _MAX_UNANSWERED, _MAX_UNANSWERED)
        self.max_packet_bytes = min(max_packet_bytes or UNLIMITED_BYTES, self._learnt_bytes)
        if not self.retains:
            self.complain(
                "retain",
                "it does not store retained messages: Home Assistant finds Earshot only while both are running, and states are "
                "unknown until they change; allow retained messages there",
            )
        if self.max_qos == 0:
            self.complain(
                "qos",
                "its maximum QoS is 0, so it acknowledges nothing: an event is lost if the connection breaks at that moment; allow "
                "QoS 1 there",
            )

    def adapt(self, code: int) -> bool:
        """Note the reason for which the broker refused a connection; return True if another attempt may succeed at once."""
        if code == _UNSUPPORTED_VERSION and self.speaks_version_5:
            self._is_old = True
            self.speaks_version_5 = False
        elif code == _RETAIN_NOT_SUPPORTED and self.retains:
            self.retains = False
        elif code == _QOS_NOT_SUPPORTED and self.max_qos > 0:
            self.max_qos = 0
        else:
            return False
        return True

    def fits(self, topic: str, text: str) -> bool:
        """Return True if the broker takes a publication of this size."""
        return publication_bytes(topic, text) <= self.max_packet_bytes

    def allows_subscription(self, topic: str, *, is_needed: bool) -> bool:
        """Return True if a subscription is possible, and has not led to packets that are too large."""
        if not self.has_wildcards and {"+", "#"}.intersection(topic):
            return False
        return self._oversized <= int(is_needed)

    def note_silence(self, *, answers: bool) -> None:
        """Note that a connection was not accepted: some old brokers don't answer to MQTT 5, so versions alternate."""
        self.speaks_version_5 = not self._is_old and (answers or not self.speaks_version_5)

    def note_loss(self, size_bytes: int, code: int | None) -> None:
        """Note that a connection ended during a publication, with this reason if the broker gave one.

        A broker with a limit that it does not announce ends the connection each time. Three times in a row are no accident.
        """
        suspect, losses = self._suspect
        losses = losses + 1 if suspect == size_bytes else 1
        self._suspect = size_bytes, losses
        if code == _PACKET_TOO_LARGE or (size_bytes > _SMALL_BYTES and losses >= _SUSPICIOUS_LOSSES):
            self._learnt_bytes = self.max_packet_bytes = size_bytes - 1

    def note_success(self, size_bytes: int) -> None:
        """Note that a publication was delivered."""
        if size_bytes >= self._suspect[0]:
            self._suspect = 0, 0

    def note_oversized(self, size_bytes: int) -> None:
        """Note a packet of the broker that is too large to be received."""
        self._oversized += 1
        self.complain(
            "oversized",
            f"it sent a message of {size_bytes / 1e6:.1f} MB, so the connection was closed: remove that message from the topics of "
            "Earshot or of Home Assistant's discovery",
        )

    def note_refusal(self, topic: str, reason: str) -> None:
        """Note that the broker refused a publication on a topic."""
        self.complain(
            f"refusal {reason}",
            f"it refuses messages on {topic} ({reason.lower()}): check its access list and its quotas",
        )

    def note_too_large(self, topic: str, text: str) -> None:
        """Note that a publication is not sent because of its size."""
        self.complain(
            f"too large {topic.partition('/')[0]}",
            f"its maximum packet size is {self.max_packet_bytes} bytes, so messages such as that of "
            f"{publication_bytes(topic, text)} bytes on {topic} are left out; raise it there (max_packet_size 65536 in "
            "Mosquitto)",
        )

    def complain(self, kind: str, sentence: str) -> None:
        """Log a limit, the first time."""
        if kind not in self.complaints and len(self.complaints) < _MAX_COMPLAINTS:
            self.complaints[kind] = sentence
            if self.logs:
                _log.warning("MQTT broker %s: %s", self.address, sentence)


def publication_bytes(topic: str, text: str) -> int:
    """Return the largest size of the packet that publishes a text."""
    return _HEADER_BYTES + len(topic.encode()) + len(text.encode())


def limits_of(broker: Broker, *, logs: bool = True) -> BrokerLimits:
    """Return the limits of a broker to which nothing has been connected yet."""
    return BrokerLimits(broker.address, speaks_version_5=not broker.is_old, _is_old=broker.is_old, logs=logs)
