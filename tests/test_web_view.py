"""The page in the program: its past, and changes that are made elsewhere."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.session import live_session
from support.system import free_port
from support.waiting import PATIENCE_SECONDS, wait_until
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from earshot.tagger import label_set
from earshot.web_events import EventAccess
from earshot.web_view import WebView, open_web_view
from earshot.window import window_actions
from gui.actions import Actions
from streamer.events.watchlist import WatchLists
from streamer.live.changes import LiveSettings, Running
from streamer.live.switches import Switches
from streamer.messages import Event, EventQuery
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.sinks.history.notes import Notes
from streamer.sinks.history.store import History
from streamer.sources import open_source

LABELS = ("Dog", "Siren")


@dataclass
class Program:
    """A program with a page and a window, without sound or model."""

    view: WebView
    switches: Switches
    events: EventAccess
    window: Actions
    port: int

    @contextmanager
    def browser(self) -> Iterator[Connection]:
        """Open the page's connection."""
        address, opened = f"ws://127.0.0.1:{self.port}/api/v1/live", []

        def opens() -> bool:
            try:
                opened.append(connect(address, open_timeout=PATIENCE_SECONDS))
            except (OSError, WebSocketException):
                return False
            return True

        wait_until(opens, "the page")
        with opened[0] as connection:
            yield connection


def receive(connection: Connection, kind: str) -> Any:
    """Receive messages until there is one of a kind."""
    while True:
        packet = connection.recv(PATIENCE_SECONDS)
        if isinstance(packet, str) and (message := json.loads(packet))["type"] == kind:
            return message


def ended(identifier: str, age_seconds: float, clip: Path | None = None) -> Event:
    began = time.time() - age_seconds
    path = None if clip is None else str(clip)
    return Event(identifier, "ended", "Dog", "mic", 0.8, began, began + 2.0, path)


@pytest.fixture(name="program")
def make_program(tmp_path: Path) -> Iterator[Program]:
    """Start a program that has heard three dogs before: with a clip, with a clip that was deleted, and with a mark."""
    port = free_port()
    settings = load_settings(
        {"source": ["mic=demo"], "history": str(tmp_path / "history.db"), "web": f"127.0.0.1:{port}"},
        config=Path("/dev/null"),
        environment={},
    )
    watchlists = WatchLists(None, {}, LABELS)
    session = live_session([open_source("demo", name="mic")], lambda batch: batch)
    live_settings = LiveSettings(
        settings, lambda: settings, None, Running(session, watchlists, lambda *_: None)
    )
    switches = Switches()
    clip = tmp_path / "dog.flac"
    clip.touch()
    with History(tmp_path / "history.db", days=30.0) as history:
        for event in (
            ended("1", 3000.0, clip),
            ended("2", 2000.0, tmp_path / "gone.flac"),
            ended("3", 1000.0),
        ):
            history.accept(event)
        Notes(history).mark("3", "right")
        view = open_web_view(settings, ["mic"], label_set(LABELS), watchlists)
        assert view is not None
        with ThreadGroup(PATIENCE_SECONDS) as threads:
            view.start(threads, live_settings, watchlists, switches.turn, switches, history)
            window = window_actions(
                live_settings, watchlists, switches.turn, switches, history, None, view.note_mark
            )
            yield Program(view, switches, EventAccess(live_settings, history), window, port)


def test_the_list_of_a_new_page_begins_with_the_history(program: Program) -> None:
    with program.browser() as browser:
        events = receive(browser, "events")["events"]
    assert [(event["id"], event["clip"]) for event in events] == [
        ("1", "api/v1/events/1/clip"),
        ("2", None),
        ("3", None),
    ]
    assert [event["mark"] for event in events] == [None, None, "right"]


def test_clips_that_were_deleted_are_not_offered(program: Program) -> None:
    found = program.events.read(EventQuery(limit=10))
    assert [(event.id, event.clip is None) for event in found] == [("3", True), ("2", True), ("1", False)]


def test_the_page_follows_a_switch_that_is_turned_elsewhere(program: Program) -> None:
    with program.browser() as browser:
        assert receive(browser, "sources")["sources"][0]["listening"]
        program.switches.turn("mic", False)
        assert not receive(browser, "sources")["sources"][0]["listening"]


def test_the_page_shows_a_mark_that_is_set_in_the_window(program: Program) -> None:
    assert program.window.mark_event is not None
    with program.browser() as browser:
        receive(browser, "events")
        program.window.mark_event("1", "wrong")
        note = receive(browser, "note")
    assert (note["id"], note["mark"]) == ("1", "wrong")
    with program.browser() as browser:
        assert receive(browser, "events")["events"][0]["mark"] == "wrong"
