"""Listening along: the sound of a source as an endless WAV stream, for browsers and players."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk

from .answers import RequestError, routes_of
from .hub import Hub
from .queues import Mailbox

MOST_LISTENERS = 8

_WAITING_CHUNKS = 100
_QUIET_SECONDS = 10.0
_ENDLESS = 0xFFFF_FFFF


class _Listener:
    """Somebody who listens to a source."""

    def __init__(self, source: str, loop: asyncio.AbstractEventLoop) -> None:
        self.source = source
        self.news = asyncio.Event()
        self.chunks: Mailbox[AudioChunk] = Mailbox(_WAITING_CHUNKS, self._wake)
        self.closed = False
        self._loop = loop

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self.news.set)


class Listening:
    """Passes the sound of sources on to those who listen along; one who is slow misses some.

    `add_chunk` may be called from any thread and returns at once; everything else happens on the server's thread.

    Parameters
    ----------
    hub : Hub
        Knows the sources.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._listeners: Sequence[_Listener] = ()
        self._closed = False

    def add_chunk(self, source: str, chunk: AudioChunk) -> None:
        """Pass sound on, if anybody listens."""
        for listener in self._listeners:
            if listener.source == source:
                listener.chunks.put(chunk)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return list(routes_of("GET", {"audio": self.audio}))

    def interrupt(self) -> None:
        """Let the streams that run end."""
        for listener in self._listeners:
            listener.closed = True
            listener.news.set()

    def close(self) -> None:
        """Let all streams end, and those that begin too."""
        self._closed = True
        self.interrupt()

    async def audio(self, request: Request) -> Response:
        """Return the sound of a source from now on: WAV, 16 kHz, mono, 16 bits, without an end."""
        source = request.query_params.get("source", "")
        if source not in self._hub.sources:
            raise RequestError(404, "there is no source of this name")
        if len(self._listeners) >= MOST_LISTENERS:
            raise RequestError(503, f"{MOST_LISTENERS} browsers listen along; stop one of them")
        return StreamingResponse(self._sound(source), media_type="audio/wav")

    async def _sound(self, source: str) -> AsyncIterator[bytes]:
        listener = _Listener(source, asyncio.get_running_loop())
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield _header()
            while not (self._closed or listener.closed):
                chunks = await _chunks(listener)
                if not self._hub.is_listening(source):
                    continue
                for chunk in chunks:
                    yield (np.clip(chunk.samples, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        finally:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)


async def _chunks(listener: _Listener) -> list[AudioChunk]:
    """Wait for sound; none after some seconds without any."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_SECONDS):
            await listener.news.wait()
    listener.news.clear()
    return listener.chunks.take()


def _header() -> bytes:
    """Return the header of a WAV file whose length is unknown."""
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    parts = (b"RIFF", struct.pack("<I", _ENDLESS), b"WAVEfmt ", struct.pack("<I", len(form)), form)
    return b"".join((*parts, b"data", struct.pack("<I", _ENDLESS)))
