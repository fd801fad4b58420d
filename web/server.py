"""The server of the page, in a thread of its own with its own event loop: the only importer of uvicorn beside the protocol."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from . import pages
from .actions import Actions
from .api import Api
from .calls import Calls
from .errors import WebError
from .event_api import EventApi
from .guard import Access, AccessControl, Guard
from .hub import Hub
from .listening import Listening
from .live import Live
from .login import LOGIN_PATH, Login
from .maintenance_api import MaintenanceApi
from .openapi import description_routes
from .protocol import LimitedProtocol

_BACKLOG = 128
_MOST_MESSAGE_BYTES = 4096
_PING_SECONDS = 20.0
_ENDING_SECONDS = 1
_LAST_CALLBACKS_SECONDS = 0.05
"""Time in which closed connections leave the event loop."""

_log = logging.getLogger(__name__)


class WebServer:
    """Serves the page; one thread is in `run` until `close` is called. It listens as soon as it is created.

    Parameters
    ----------
    hub : Hub
        Sink that receives what is heard.
    calls : Calls
        Way to the main thread.
    host : str
        Name or address of this machine to listen on.
    port : int
        Port to listen on; 0 for any free one.
    access : Access
        Who may use the page.
    key : bytes
        Secret key of the sessions.
    listening : Listening, optional
        Lets browsers listen along.

    Raises
    ------
    WebError
        The address can't be used.
    """

    def __init__(
        self,
        hub: Hub,
        calls: Calls,
        *,
        host: str,
        port: int,
        access: Access,
        key: bytes,
        listening: Listening | None = None,
    ) -> None:
        self._hub = hub
        self._calls = calls
        self._control = AccessControl(access, key)
        self._listening = listening
        self._actions: Actions | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = threading.Event()
        self._socket = _listen(host, port)
        self.host, self.port = host, self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """Address of the page, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self._control.access.path}/"

    def set_actions(self, actions: Actions) -> None:
        """Set the functions that the page calls, before `run`."""
        self._actions = actions
        self._hub.watched, self._hub.is_listening = actions.watched, actions.is_listening

    def set_access(self, access: Access, key: bytes) -> None:
        """Let others in from now on; who follows has to connect again. From any thread."""
        self._control.change(access, key)
        self._call(self._interrupt)

    def close(self) -> None:
        """Make `run` return soon; from any thread, any number of times."""
        self._closing.set()
        self._call(self._end_streams)

    def run(self) -> None:
        """Serve until `close` is called."""
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.ERROR)  # bad requests are not worth a line each
        with self._socket:
            asyncio.run(self._serve())

    def _call(self, do: Callable[[], None]) -> None:
        """Call a function on the server's thread, if it still runs."""
        with suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(do)

    def _interrupt(self) -> None:
        self._hub.close()
        if self._listening is not None:
            self._listening.interrupt()

    def _end_streams(self) -> None:
        self._hub.close()
        if self._listening is not None:
            self._listening.close()

    async def _serve(self) -> None:
        config = uvicorn.Config(
            self._app(),
            http=LimitedProtocol,
            ws="websockets-sansio",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws_max_size=_MOST_MESSAGE_BYTES,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            ws_per_message_deflate=False,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=_ENDING_SECONDS,
        )
        server = _Server(config, self._closing)
        self._loop = asyncio.get_running_loop()
        passing_on = asyncio.create_task(self._hub.run())
        passing_on.add_done_callback(lambda _: self._closing.set())
        try:
            await server.serve(sockets=[self._socket])
        finally:
            self._end_streams()
            for connection in list(server.server_state.connections):  # of frozen browsers
                connection.transport.abort()
            passing_on.cancel()
            with suppress(asyncio.CancelledError):
                await passing_on
            await asyncio.sleep(_LAST_CALLBACKS_SECONDS)

    def _app(self) -> Guard:
        if self._actions is None:
            raise WebError("the page has no actions")
        login = Login(self._control)
        interface = [
            *Api(
                self._hub,
                self._actions,
                self._calls,
                has_password=lambda: bool(self._control.access.password),
                can_listen=self._listening is not None,
            ).routes(),
            *EventApi(self._hub, self._actions).routes(),
            *MaintenanceApi(self._hub, self._actions.maintenance, self._calls).routes(),
            *Live(self._hub).routes(),
            *([] if self._listening is None else self._listening.routes()),
            *login.routes(),
        ]
        description = description_routes(interface, self._actions.version)
        app = Starlette(routes=[*interface, *description, *pages.routes()])
        app.router.redirect_slashes = False
        return Guard(app, self._control, public={*pages.static_files(), LOGIN_PATH})


class _Server(uvicorn.Server):
    """Server that ends when an event is set, and leaves signals to the program."""

    def __init__(self, config: uvicorn.Config, closing: threading.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def on_tick(self, counter: int) -> bool:
        """Return True to end; called ten times a second."""
        return await super().on_tick(counter) or self._closing.is_set()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; at "::" for IPv4 too.

    Raises
    ------
    WebError
        The address can't be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        takes_both = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=takes_both)
    except (OSError, UnicodeError, OverflowError) as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise WebError(
            f"the page can't be served at {shown} ({getattr(error, 'strerror', None) or error}): give --web another port, or "
            "an address of this machine"
        ) from error
