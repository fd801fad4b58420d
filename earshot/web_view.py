"""The page for browsers: what it is handed, and its life in the program."""

import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.commands.live_calibration import LiveCalibration
    from streamer.events.watchlist import WatchLists
    from streamer.live.changes import LiveSettings
    from streamer.live.channel import ChunkTap
    from streamer.live.switches import Switches
    from streamer.messages import Mark
    from streamer.runtime.threads import ThreadGroup
    from streamer.settings.schema import Settings
    from streamer.sinks import Sink
    from streamer.sinks.history.store import History
    from streamer.sinks.payloads import LabelSet
    from web.calls import Calls
    from web.guard import Access
    from web.hub import Hub
    from web.listening import Listening
    from web.server import WebServer

_KEY_BYTES = 32
_KEY_NAME = "web-key"

_log = logging.getLogger(__name__)


class WebView:
    """The page for browsers.

    Parameters
    ----------
    server : WebServer
        Server of the page.
    hub : Hub
        Sink of the page.
    calls : Calls
        Calls from the page.
    calibration : LiveCalibration
        Calibration of thresholds.
    listening : Listening, optional
        Lets browsers listen along.

    Attributes
    ----------
    sinks, taps
        Receive messages, and chunks of audio.
    go_on : callable
        Carries out what was clicked; called often, from the main thread.
    """

    def __init__(
        self,
        server: "WebServer",
        hub: "Hub",
        calls: "Calls",
        calibration: "LiveCalibration",
        listening: "Listening | None" = None,
    ) -> None:
        self._server = server
        self._hub = hub
        self._calibration = calibration
        self.sinks: Sequence[Sink] = (hub, calibration)
        self.taps: Sequence[ChunkTap] = [hub.add_chunk, *([listening.add_chunk] if listening else [])]
        self.go_on = calls.carry_out

    def note_mark(self, identifier: str, mark: "Mark | None") -> None:
        """Show a mark of an event that was set elsewhere."""
        self._hub.note_elsewhere(identifier, mark=mark)

    def set_access(self, settings: "Settings") -> None:
        """Let those in who may use the page from now on."""
        self._server.set_access(*_access(settings))

    def start(
        self,
        threads: "ThreadGroup",
        settings: "LiveSettings",
        watchlists: "WatchLists",
        listen: Callable[[str, bool], None],
        switches: "Switches",
        history: "History | None",
    ) -> None:
        """Start to serve, and log the address.

        Parameters
        ----------
        threads : ThreadGroup
            Group of the new thread.
        settings : LiveSettings
            Settings in force.
        watchlists : WatchLists
            Sounds that are watched.
        listen : callable
            Switches a source, by name, on or off.
        switches : Switches
            The state of these switches.
        history : History, optional
            Events that can be marked and deleted; the page's list begins with the newest of them.
        """
        from web.hub import KEPT_EVENTS

        from .web_actions import web_actions
        from .web_events import past_events

        actions = web_actions(settings, watchlists, listen, switches, history, self._calibration)
        self._server.set_actions(actions)
        self._hub.state.add_past(past_events(settings.current, history, KEPT_EVENTS))
        switches.on_turn = self._hub.renew_sources
        threads.start("web", self._server.run, self._server.close)
        _log.info("the page is at %s", self._server.address)


def open_web_view(
    settings: "Settings", names: Sequence[str], label_set: "LabelSet", watchlists: "WatchLists"
) -> WebView | None:
    """Set up the page, if there is to be one.

    Raises
    ------
    WebError
        The address can't be used.
    """
    if settings.web_address is None:
        return None
    from models.log_mel import log_mel
    from streamer.commands.live_calibration import LiveCalibration
    from streamer.sinks import payloads
    from web.actions import Descriptions
    from web.calls import Calls
    from web.hub import Hub
    from web.listening import Listening
    from web.server import WebServer

    host, port = settings.web_address
    descriptions = Descriptions(
        tagging=lambda tagging, top: payloads.tags_payload(tagging, label_set, top, tagging.latency_seconds),
        label=lambda index: label_set.labels[index],
        event=payloads.event_payload,
        occurrence=payloads.occurrence_payload,
        health=payloads.health_payload,
        to_json=payloads.to_json,
    )
    hub, calls = Hub(names, descriptions, log_mel, settings.top), Calls()
    access, key = _access(settings)
    listening = Listening(hub) if settings.web_audio else None
    server = WebServer(hub, calls, host=host, port=port, access=access, key=key, listening=listening)
    return WebView(server, hub, calls, LiveCalibration(watchlists), listening)


def _access(settings: "Settings") -> "tuple[Access, bytes]":
    """Return who may use the page, and the key of the sessions."""
    from web.guard import Access

    access = Access(
        password=settings.web_password or "",
        token=settings.web_token or "",
        path=settings.web_path or "",
        ingress=settings.web_ingress or "",
    )
    return access, _session_key(settings.switches_file.with_name(_KEY_NAME), access.password)


def _session_key(file: Path, password: str) -> bytes:
    """Return the key of the sessions: with another password, it is another one."""
    from streamer.runtime.files import read_text, replace_text

    try:
        kept = bytes.fromhex(read_text(file).strip())
    except (OSError, ValueError):
        kept = b""
    if len(kept) != _KEY_BYTES:
        kept = secrets.token_bytes(_KEY_BYTES)
        if password:
            try:
                replace_text(file, f"{kept.hex()}\n")
            except OSError as error:
                _log.warning(
                    "%s can't be written (%s): browsers have to log in again after a restart",
                    file,
                    error.strerror or error,
                )
    return kept + password.encode()
