"""Network between two programs on the loopback that can be cut: a relay of TCP connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BYTES = 65_536


class Relay:
    """Relay of connections from a port of its own to another one.

    Parameters
    ----------
    port : int
        Port of the loopback that connections lead to.

    Attributes
    ----------
    port : int
        Its own port.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Close all connections, and each new one at once, until the ``with`` block ends."""
        self._is_cut = True
        self._close_all()
        try:
            yield
        finally:
            self._is_cut = False

    def close(self) -> None:
        """End the relay and its connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._close_all()
        for thread in self._threads:
            thread.join(60)

    def _close_all(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = None
            with suppress(OSError):
                far = None if self._is_cut else socket.create_connection(("127.0.0.1", self._target), 60)
            if far is None:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._copy, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            one.settimeout(None)
            while content := one.recv(_BYTES):
                other.sendall(content)
        for connection in (one, other):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {one, other}
        one.close()


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """Relay connections to a port, until the ``with`` block ends."""
    running = Relay(port)
    try:
        yield running
    finally:
        running.close()
