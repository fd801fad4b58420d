"""Program as systemd starts it, and the socket on which it notifies systemd."""

import queue
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from support.program import ChildProcess, command
from support.waiting import PATIENCE_SECONDS, START_SECONDS


class Systemd:
    """Receiver of a service's notifications."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._heard: queue.Queue[list[str]] = queue.Queue()
        # All the time, as systemd does: a socket keeps ten messages, and its sender waits after that.
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE_SECONDS)
        self._socket.close()

    def hear(self, timeout_seconds: float = PATIENCE_SECONDS) -> list[str]:
        """Wait for the next notification."""
        try:
            return self._heard.get(timeout=max(0.0, timeout_seconds))
        except queue.Empty:
            raise TimeoutError("nothing was notified") from None

    def _read(self) -> None:
        while notification := self._socket.recv(4096):
            self._heard.put(notification.decode().split("\n"))

    def hear_of(self, word: str, timeout_seconds: float = PATIENCE_SECONDS) -> list[list[str]]:
        """Wait for a notification, and return all up to it."""
        heard: list[list[str]] = []
        deadline = time.monotonic() + timeout_seconds
        while not heard or word not in heard[-1]:
            heard.append(self.hear(deadline - time.monotonic()))
        return heard


@contextmanager
def service(
    *options: str, environment: dict[str, str], systemd: Systemd, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """Run the program as systemd does, once it is ready."""
    with ChildProcess(
        command("--headless", "--model", "tiny", "--offline", *options),
        env=environment | systemd.environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        systemd.hear_of("READY=1", START_SECONDS)
        assert program.stderr is not None
        assert any(line.startswith("model tiny") for line in program.stderr)
        yield program
