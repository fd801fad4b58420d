"""Door to a real broker that lets in MQTT 3.1.1 only, as brokers before 2019 do."""

import socket
import threading
from contextlib import suppress
from typing import Literal, Self

from support.mosquitto import Mosquitto

_PROTOCOL_LEVEL = 8
"""Position of the version in the first packet, if that is shorter than 128 bytes; one later otherwise."""


class OldBroker:
    """Passes connections on to a broker, unless they speak MQTT 5.

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
        self._broker = broker
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
        for connection in self._open:
            connection.close()

    def send(self, data: bytes) -> None:
        """Send bytes to the newest client, as if the broker had sent them."""
        with self._lock:
            newest = self._open[-2]
        with suppress(OSError):
            newest.sendall(data)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                first = client.recv(4096)
                level = first[_PROTOCOL_LEVEL + (first[1] > 127)] if len(first) > _PROTOCOL_LEVEL + 1 else 0
                with self._lock:
                    if level == 5 and self._answer != "accepts":
                        self._turn_away(client)
                        continue
                    broker = socket.create_connection(("127.0.0.1", self._broker.port))
                    self._open += [client, broker]
                broker.sendall(first)
                for ends in ((client, broker), (broker, client)):
                    self._threads.append(threading.Thread(target=_pass_on, args=ends, daemon=True))
                    self._threads[-1].start()

    def _turn_away(self, client: socket.socket) -> None:
        if self._answer == "is silent":
            self._open.insert(0, client)
            return
        if self._answer == "refuses":
            client.sendall(b"\x20\x02\x00\x01")
        client.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
