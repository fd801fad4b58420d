"""Notifications to the service manager: systemd's protocol, as in sd_notify(3)."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..messages import Health, Message
from .timing import Every

_log = logging.getLogger(__name__)

_SEND_TIMEOUT_SECONDS = 1.0
"""Longest wait for the service manager, which blocks the main thread."""


class ServiceManager:
    """Client of the service manager that started the program; does nothing if there is none.

    It is a sink too: health messages become the status line of ``systemctl status``.

    Parameters
    ----------
    environment : mapping
        Environment set by systemd: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC``, ``WATCHDOG_PID``.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(environment)
        self._heartbeat = Every(self._watchdog_seconds / 3)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Report that the program is ready, and at the end of the block that it is stopping."""
        self._notify("READY=1")
        try:
            yield
        finally:
            self._notify("STOPPING=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Report that settings are being reloaded, and at the end of the block that the program is ready."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._notify("READY=1")

    def accept(self, message: Message) -> None:
        """Report health as the status line; ignore all other messages."""
        if isinstance(message, Health):
            self._notify(f"STATUS={_status(message)}", timeout_seconds=0.0)  # another one comes soon

    def beat(self, *, busy_seconds: float) -> None:
        """Report that the program is alive, if a watchdog is set. Called often, from the main thread.

        Parameters
        ----------
        busy_seconds : float
            Duration of the tagger's present batch. From the watchdog's time on, nothing is reported, so that the service is restarted.
        """
        if busy_seconds < self._watchdog_seconds and self._heartbeat.due():
            self._notify("WATCHDOG=1")

    def _notify(self, state: str, *, timeout_seconds: float = _SEND_TIMEOUT_SECONDS) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.settimeout(timeout_seconds)
                connection.sendto(state.encode(), address)
        except OSError as error:  # the service manager notices by itself if it misses something
            _log.debug("can't notify %s: %s", self._address, error)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Return the watchdog's timeout; 0 if there is none, or it watches another process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0


def _status(health: Health) -> str:
    latency = health.latency_p95_seconds
    parts = [
        f"{health.windows} windows tagged",
        f"{health.dropped_windows} dropped",
        f"{health.unanswered_windows} unanswered" if health.unanswered_windows else "",
        f"{health.overrun_seconds:.1f} s of sound lost",
        "" if latency is None else f"latency {latency:.2f} s",
        "" if health.broker == "none" else f"broker {health.broker}",
    ]
    return ", ".join(part for part in parts if part)
