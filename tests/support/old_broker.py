"""Relay to a real broker that lets in MQTT 3.1.1 only, as brokers before 2019 do."""

import socket
from contextlib import suppress
from typing import Literal

from support.mosquitto import Mosquitto
from support.relay import Relay

_PROTOCOL_LEVEL = 8
"""Position of the version in the first packet, if that is shorter than 128 bytes; one later otherwise."""


class OldBroker(Relay):
    """Relay to a broker for connections that do not speak MQTT 5.

    Parameters
    ----------
    broker : Mosquitto
        Running broker.
    answer : {"refuses", "hangs up", "is silent", "accepts"}
        Reaction to MQTT 5.
    """

    def __init__(
        self, broker: Mosquitto, answer: Literal["refuses", "hangs up", "is silent", "accepts"] = "refuses"
    ) -> None:
        super().__init__(broker.port)
        self._answer = answer

    def send(self, data: bytes) -> None:
        """Send bytes to the newest client, as if the broker had sent them."""
        with suppress(OSError):
            self.clients[-1].sendall(data)

    def connect(self, client: socket.socket) -> socket.socket | None:
        """Return a connection to the broker that has its first packet, or None after turning the client away."""
        first = client.recv(4096)
        level = first[_PROTOCOL_LEVEL + (first[1] > 127)] if len(first) > _PROTOCOL_LEVEL + 1 else 0
        if level == 5 and self._answer != "accepts":
            self._turn_away(client)
            return None
        broker = super().connect(client)
        if broker:
            broker.sendall(first)
        return broker

    def _turn_away(self, client: socket.socket) -> None:
        if self._answer == "refuses":
            client.sendall(b"\x20\x02\x00\x01")
        if self._answer != "is silent":
            client.close()
