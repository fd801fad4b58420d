"""Live messages: over a WebSocket for the page, and as server-sent events for scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .answers import RequestError, refused
from .errors import BusyError
from .hub import MOST_CLIENTS, Client, Hub

_QUIET_SECONDS = 15.0
_SENDING_SECONDS = 60.0
"""Time that a frozen browser keeps its connection."""


class Live:
    """Live connections.

    Parameters
    ----------
    hub : Hub
        What is heard.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            WebSocketRoute("/api/v1/live", self.socket),
            Route("/api/v1/stream", self.stream, methods=["GET"]),
        ]

    async def socket(self, socket: WebSocket) -> None:
        """Send everything, spectrograms included, to a browser."""
        await socket.accept()
        try:
            with self._hub.following(sees_sound=True) as client:
                receiving = asyncio.create_task(_receive(socket, client))
                try:
                    await self._send(socket, client)
                finally:
                    receiving.cancel()
        except BusyError as error:
            await socket.close(1013, str(error))

    async def stream(self, _request: Request) -> Response:
        """Send taggings, events and health to a script."""
        if self._hub.client_count >= MOST_CLIENTS:
            return refused(RequestError(503, f"{MOST_CLIENTS} browsers are connected; close one of them"))
        return StreamingResponse(self._lines(), media_type="text/event-stream")

    async def _send(self, socket: WebSocket, client: Client) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            while not client.closed:
                for packet in await client.packets(_QUIET_SECONDS):
                    async with asyncio.timeout(_SENDING_SECONDS):
                        if isinstance(packet, bytes):
                            await socket.send_bytes(packet)
                        else:
                            await socket.send_text(packet)

    async def _lines(self) -> AsyncIterator[str]:
        with suppress(BusyError), self._hub.following(sees_sound=False) as client:
            while not client.closed:
                packets = await client.packets(_QUIET_SECONDS)
                if not packets:
                    yield ": still here\n\n"
                for packet in packets:
                    yield f"data: {packet!s}\n\n"


async def _receive(socket: WebSocket, client: Client) -> None:
    """Wait until the browser has gone; what it sends is of no interest."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
    client.close()
