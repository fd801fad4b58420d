"""A small MQTT broker inside the program, for demos and first steps: the only importer of amqtt."""

import asyncio
import logging
import socket
import threading

from ...errors import SettingsError
from .broker import Broker

_log = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 1883
"""Default port of MQTT clients."""

_LISTENER = "default"


class EmbeddedBroker:
    """Serves MQTT on the loopback interface, without authentication, and stores nothing on disk.

    It listens as soon as it is created; one thread is in `run` until `close` is called.

    Parameters
    ----------
    port : int
        Port to listen on; if it is in use, a free one is chosen.

    Raises
    ------
    SettingsError
        The library amqtt is not installed.
    """

    def __init__(self, port: int = DEFAULT_PORT) -> None:
        try:
            import amqtt.broker  # noqa: F401 - to fail now, not on a thread
        except ImportError:
            raise SettingsError(
                'the embedded broker is not installed: run pip install -e ".[embedded]" in the checkout, or give --mqtt mqtt://HOST'
            ) from None
        try:
            self._socket = socket.create_server((_LOOPBACK, port))
        except OSError:
            self._socket = socket.create_server((_LOOPBACK, 0))
        self._broker = Broker(_LOOPBACK, self._socket.getsockname()[1], is_old=True)
        self._lock = threading.Lock()  # guards the attributes below, which `close` shares with `run`
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    @property
    def broker(self) -> Broker:
        """Address of this broker."""
        return self._broker

    def run(self) -> None:
        """Serve until `close` is called."""
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the client logs what matters
        asyncio.run(self._serve())

    def close(self) -> None:
        """Make `run` return soon; from any thread, repeatedly."""
        with self._lock:
            self._closed = True
            if self._loop is None:
                self._socket.close()
            else:
                self._loop.call_soon_threadsafe(self._leaving.set)

    async def _serve(self) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
        from amqtt.broker import Broker as Server

        with self._lock:
            if self._closed:
                return
            self._loop = asyncio.get_running_loop()
        server = Server(
            {
                "listeners": {
                    _LISTENER: {"type": "external"}
                },  # "external" keeps it from binding a port of its own
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await server.external_connected(
                    StreamReaderAdapter(reader), StreamWriterAdapter(writer), _LISTENER
                )
            finally:
                writer.close()

        await server.start()
        try:
            async with await asyncio.start_server(connected, sock=self._socket):
                _log.info(
                    "embedded MQTT broker: listening at mqtt://%s:%d, for this machine only",
                    self._broker.host,
                    self._broker.port,
                )
                await self._leaving.wait()
        finally:
            with self._lock:
                self._loop = None
            await server.shutdown()
