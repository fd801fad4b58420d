"""What the service manager that has started the program hears of it: systemd's protocol, as in sd_notify(3)."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..messages import Health, Message
from .timing import Every

_log = logging.getLogger(__name__)

_MOST_PATIENT_SECONDS = 1.0
"""How long the service manager may take to read: main waits meanwhile."""


class ServiceManager:
    """Tells the service manager how the program is doing; where there is none, it tells nobody.

    A sink too: the figures of the health are the line that ``systemctl status`` shows.

    Parameters
    ----------
    environment : mapping
        As systemd sets it: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC``, ``WATCHDOG_PID``.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._patience_seconds = _watchdog_seconds(environment)
        self._beat_due = Every(self._patience_seconds / 3)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Say that listening has begun, and at the end of the block that the program is about to end."""
        self._tell("READY=1")
        try:
            yield
        finally:
            self._tell("STOPPING=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that settings are read again, and at the end of the block that this has been done."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._tell("READY=1")

    def accept(self, message: Message) -> None:
        """Show how it goes; everything but health is ignored."""
        if isinstance(message, Health):
            self._tell(f"STATUS={_status(message)}")

    def beat(self, *, busy_seconds: float) -> None:
        """Say that the program is alive, if a watchdog wants to know. Called by main, often.

        Parameters
        ----------
        busy_seconds : float
            How long the tagger has been at one piece of work. A watchdog bites if it is as long as its patience.
        """
        if busy_seconds < self._patience_seconds and self._beat_due.due():
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.settimeout(_MOST_PATIENT_SECONDS)
                speaker.sendto(state.encode(), address)
        except OSError as error:  # nobody listens just now, which whoever waits for a word will say
            _log.debug("%s was told nobody: %s", self._address, error)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """How long the watchdog waits for a sign of life; 0 if there is none, or it waits for another process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0


def _status(health: Health) -> str:
    latency = health.latency_p95_seconds
    parts = [
        f"{health.windows} windows tagged",
        f"{health.dropped_windows} dropped",
        f"{health.lost_seconds:.1f} s of sound lost",
        "" if latency is None else f"latency {latency:.2f} s",
        "" if health.broker == "none" else f"broker {health.broker}",
    ]
    return ", ".join(part for part in parts if part)
