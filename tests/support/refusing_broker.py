"""Door to a real broker that refuses publications with a reason code of MQTT 5."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

from support.mosquitto import Mosquitto

_PUBLISH, _PUBACK = 0x30, 0x40


class RefusingBroker:
    """Passes the packets of clients on to a broker, but refuses some of their publications.

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
        self._broker = broker
        self.code = code
        self.refuses = refuses
        self.refused: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._sending = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._server, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
        for end in (self._server, *self._open):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker.port))
                self._open += [client, broker]
                for work, ends in ((self._forward, (client, broker)), (self._return, (broker, client))):
                    self._threads.append(threading.Thread(target=work, args=ends, daemon=True))
                    self._threads[-1].start()

    def _forward(self, client: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError):
            for kind, head, body in _packets(client):
                size = int.from_bytes(body[:2])
                topic = body[2 : 2 + size].decode() if kind & 0xF0 == _PUBLISH else ""
                if topic and kind & 0x06 and self.refuses(topic):
                    self.refused.append(topic)
                    with self._sending:
                        client.sendall(bytes([_PUBACK, 3]) + body[2 + size : 4 + size] + bytes([self.code]))
                else:
                    broker.sendall(head + body)
        _end(client, broker)

    def _return(self, broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            for _, head, body in _packets(broker):
                with self._sending:
                    client.sendall(head + body)
        _end(client, broker)


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


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
