"""HTTP connections with limits: how many there are, how long a request may take to arrive, and an answer to be read."""

import asyncio
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
MOST_CONNECTIONS_OF_AN_ADDRESS = 128
REQUEST_SECONDS = 20.0
STALLED_SECONDS = 30.0
"""Time that an answer may wait for somebody who does not read it."""


class LimitedProtocol(H11Protocol):
    """Connection that is closed if there are too many, if its request does not arrive in time, or if nobody reads the answer.

    uvicorn waits without end for the first request of a connection, for the end of one that arrives byte by byte, and for a
    frozen reader.
    """

    _open: ClassVar[Counter[str]] = Counter()
    """Connections by address; all are on the server's thread."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or close it."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._open[self._address] += 1
        self._due: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        too_many = self._open.total() > MOST_CONNECTIONS
        if too_many or self._open[self._address] > MOST_CONNECTIONS_OF_AN_ADDRESS:
            transport.abort()
        else:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._forget()
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait until what was sent is read, for a while."""
        self._is_read()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on to send."""
        self._is_read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Process a part of a request."""
        if self._due is None and self._is_idle():
            self._expect_request()
        super().data_received(data)
        if self._has_request and not self.cycle.more_body:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over; it stays counted until its end."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)
        protocol = self.transport.get_protocol()
        lost = protocol.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self._forget()
            lost(exc)

        protocol.connection_lost = connection_lost  # type: ignore[method-assign]

    def _forget(self) -> None:
        self._open[self._address] -= 1
        if not self._open[self._address]:
            del self._open[self._address]

    @property
    def _has_request(self) -> bool:
        """True once a request has arrived."""
        return bool(self.cycle)

    def _is_idle(self) -> bool:
        return not self._has_request or self.cycle.response_complete

    def _expect_request(self) -> None:
        self._due = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._due = None
        self.transport.abort()

    def _is_read(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
