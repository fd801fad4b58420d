"""Network between two programs on the loopback: a relay of TCP connections that can be cut."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

_BYTES = 65_536


class Relay:
    """Relay of connections from a port of its own to another one, until the ``with`` block ends.

    Parameters
    ----------
    port : int
        Port of the loopback that connections lead to.

    Attributes
    ----------
    port : int
        Its own port.
    clients : list of socket.socket
        Connections of all clients, in order.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        end(self._listener)
        with self._lock:
            end(*self.clients, *self._servers)
        for thread in self._threads:
            thread.join(timeout=60)
        for connection in (self._listener, *self.clients, *self._servers):
            connection.close()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Close all connections, and each new one at once, until the ``with`` block ends."""
        self._is_cut = True
        with self._lock:
            end(*self.clients, *self._servers)
        try:
            yield
        finally:
            self._is_cut = False

    def connect(self, client: socket.socket) -> socket.socket | None:
        """Return a connection to the target for a client, or None after hanging up."""
        with suppress(OSError):
            if not self._is_cut:
                return socket.create_connection(("127.0.0.1", self._target))
        client.close()
        return None

    def forward(self, client: socket.socket, server: socket.socket) -> None:
        """Send what the client sends to the server."""
        _copy(client, server)

    def send_back(self, server: socket.socket, client: socket.socket) -> None:
        """Send what the server sends to the client."""
        _copy(server, client)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self.clients.append(client)
                server = None
                with suppress(OSError):
                    server = self.connect(client)
                if server is None:
                    continue
                with self._lock:
                    self._servers.append(server)
                    if self._is_cut:
                        end(client, server)
                for work, ends in ((self.forward, (client, server)), (self.send_back, (server, client))):
                    self._threads.append(threading.Thread(target=_until_end, args=(work, *ends), daemon=True))
                    self._threads[-1].start()


def end(*connections: socket.socket) -> None:
    """End both directions of connections, and whatever waits for them."""
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _until_end(work: Callable[[socket.socket, socket.socket], None], *ends: socket.socket) -> None:
    with suppress(OSError):
        work(*ends)
    end(*ends)


def _copy(source: socket.socket, target: socket.socket) -> None:
    while content := source.recv(_BYTES):
        target.sendall(content)
