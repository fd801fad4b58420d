"""Relay to a real broker that refuses publications with a reason code of MQTT 5."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from support.mosquitto import Mosquitto
from support.relay import Relay

_PUBLISH, _PUBACK = 0x30, 0x40


class RefusingBroker(Relay):
    """Relay of packets to a broker that refuses some publications.

    Parameters
    ----------
    broker : Mosquitto
        Running broker.
    code : int
        Reason code of the refusals.
    refuses : callable
        Function that returns True if the publication on a topic is refused; each has QoS 1.

    Attributes
    ----------
    refused : list of str
        Topics of the publications that were refused.
    """

    def __init__(self, broker: Mosquitto, code: int, refuses: Callable[[str], bool]) -> None:
        super().__init__(broker.port)
        self.code = code
        self.refuses = refuses
        self.refused: list[str] = []
        self._sending = threading.Lock()

    def forward(self, client: socket.socket, server: socket.socket) -> None:
        """Send the client's packets to the broker, but answer those that are refused."""
        for kind, head, body in _packets(client):
            size = int.from_bytes(body[:2])
            topic = body[2 : 2 + size].decode() if kind & 0xF0 == _PUBLISH else ""
            if topic and kind & 0x06 and self.refuses(topic):
                self.refused.append(topic)
                with self._sending:
                    client.sendall(bytes([_PUBACK, 3]) + body[2 + size : 4 + size] + bytes([self.code]))
            else:
                server.sendall(head + body)

    def send_back(self, server: socket.socket, client: socket.socket) -> None:
        """Send the broker's packets to the client, whole."""
        for _, head, body in _packets(server):
            with self._sending:
                client.sendall(head + body)


def _packets(connection: socket.socket) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the packets of a connection: first byte, header and content."""
    with suppress(OSError), connection.makefile("rb") as stream:
        while head := stream.read(1):
            size = shift = 0
            while True:
                head += stream.read(1)
                size |= (head[-1] & 0x7F) << shift
                shift += 7
                if head[-1] < 0x80:
                    break
            yield head[0], head, stream.read(size)
