"""Decides when retained messages are published again over the same connection."""

import asyncio
import time
from collections.abc import Callable

from .wire import Client


class Renewal:
    """Retained messages that are due again. Used on the connection's thread only.

    - All of them when Home Assistant has started.
    - All of them when the status says that this program is offline: another program with the same topics has stopped, or the
      broker has only now noticed the end of an earlier run and published its last will.
    - Those that the broker has refused for now.

    Parameters
    ----------
    status : str
        Topic of the program's status.
    wake : callable
        Called when something is due.
    pause_seconds : float
        Pause after a refusal, and minimum time between two corrections of the status: two programs with the same topics must not
        correct each other endlessly.
    """

    def __init__(self, status: str, wake: Callable[[], None], pause_seconds: float) -> None:
        self._status = status
        self._wake = wake
        self._pause_seconds = pause_seconds
        self._is_due = self._is_planned = False
        self._correction_at = 0.0  # time.monotonic() of the earliest next one
        self._retry_at: float | None = None

    async def start(self, client: Client) -> None:
        """Start with a new connection, over which everything is published: subscribe to the status."""
        self._retry_at = None
        await client.subscribe(self._status, is_needed=True)

    def plan(self, delay_seconds: float) -> None:
        """Have everything published again after a delay."""
        asyncio.get_running_loop().call_later(delay_seconds, self._begin)

    def receive(self, topic: str, payload: bytes) -> None:
        """Process a message of any client."""
        if topic != self._status or payload == b"online" or self._is_planned:
            return
        now = time.monotonic()
        at = max(now, self._correction_at)
        self._correction_at = at + self._pause_seconds
        self._is_planned = True
        self.plan(at - now)

    def take(self) -> bool:
        """Return True if everything is due."""
        is_due, self._is_due = self._is_due, False
        return is_due

    def plan_retry(self, client: Client) -> None:
        """Have what the broker has refused for now published again after a pause."""
        if client.refused_topics and self._retry_at is None:
            self._retry_at = time.monotonic() + self._pause_seconds
            asyncio.get_running_loop().call_later(self._pause_seconds, self._wake)

    def take_refused(self, client: Client) -> set[str]:
        """Return the topics that are due because the broker has refused their messages a while ago."""
        if self._retry_at is None or time.monotonic() < self._retry_at:
            return set()
        self._retry_at = None
        refused, client.refused_topics = client.refused_topics, set()
        return refused

    def _begin(self) -> None:
        self._is_planned = False
        self._is_due = True
        self._wake()
