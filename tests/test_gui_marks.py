"""Marks of people on the events of the window, with a real history."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from support.display_bench import Bench
from support.session import live_session

from earshot.tagger import label_set
from earshot.web_events import EventAccess
from earshot.window import open_view, window_actions
from gui.data.feed import Feed
from streamer.events.watchlist import WatchLists
from streamer.live.changes import LiveSettings, Running
from streamer.live.switches import Switches
from streamer.messages import Event
from streamer.settings.loading import load_settings
from streamer.sinks.history.page import read_one
from streamer.sinks.history.store import History
from streamer.sources import open_source

DOG = Event("1", "started", "Dog", "mic", 0.8, 1.7e9, None)
SIREN = Event("2", "started", "Siren", "mic", 0.9, 1.7e9 + 5, None)


@pytest.fixture(name="file")
def make_file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def running_parts() -> Running:
    watchlists = WatchLists(None, {}, ("Dog", "Siren"))
    session = live_session([open_source("demo", name="mic")], lambda batch: batch)
    return Running(session, watchlists, lambda *_: None)


@pytest.fixture(name="bench")
def make_bench(qtbot: QtBot, file: Path) -> Iterator[Bench]:
    settings = load_settings(
        {"source": ["mic=demo"], "history": str(file), "history_days": 36_500.0},
        config=Path("/dev/null"),
        environment={},
    )
    running = running_parts()
    watchlists = running.watchlists
    live_settings = LiveSettings(settings, lambda: settings, None, running)
    switches = Switches()
    with History(file, days=36_500.0) as history:
        actions = window_actions(live_settings, watchlists, switches.turn, switches, history)
        bench = Bench(qtbot, actions=actions)
        for event in (DOG, SIREN):
            history.accept(event)
            bench.feed.accept(event)
        bench.pass_time()
        yield bench


def mark(file: Path, event: Event) -> str | None:
    found = read_one(file, event.id)
    assert found is not None
    return found.mark


def sounds(bench: Bench) -> list[str]:
    model = bench.window.panels.events.model
    return [str(model.data(model.index(row, 1))) for row in range(model.rowCount()) if model.event_at(row)]


def press(bench: Bench, key: Qt.Key) -> None:
    QTest.keyClick(bench.window, key)
    bench.pass_time()


def test_keys_mark_the_selected_event_and_take_the_mark_back(bench: Bench, file: Path) -> None:
    press(bench, Qt.Key.Key_R)
    assert bench.window.panels.status.message == "select an event first"
    bench.window.panels.events.select(DOG)
    press(bench, Qt.Key.Key_X)
    assert mark(file, DOG) == "wrong"
    assert sounds(bench) == ["Siren", "✗ Dog"]
    press(bench, Qt.Key.Key_R)
    assert mark(file, DOG) == "right"
    assert sounds(bench) == ["Siren", "✓ Dog"]
    press(bench, Qt.Key.Key_R)
    assert mark(file, DOG) is None
    assert sounds(bench) == ["Siren", "Dog"]


def test_the_menu_of_an_event_marks_it_and_knows_marks_of_others(bench: Bench, file: Path) -> None:
    events = bench.window.control.events
    events.fill_menu(SIREN)
    titles = [action.text() for action in events.menu.actions()]
    assert titles[:2] == ["Right", "Wrong"]
    events.menu.actions()[1].trigger()
    assert mark(file, SIREN) == "wrong"
    assert sounds(bench)[0] == "✗ Siren"
    events.fill_menu(SIREN)
    assert [action.isChecked() for action in events.menu.actions()[:2]] == [False, True]


def test_the_list_begins_with_the_events_of_the_history_and_their_marks(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    settings = load_settings(
        {"source": ["mic=demo"], "history": str(file), "history_days": 36_500.0},
        config=Path("/dev/null"),
        environment={},
    )
    with History(file, days=36_500.0) as history:
        for number in range(1100):
            began = Event(str(number), "started", "Dog", "mic", 0.8, 1.7e9 + 60 * number, None)
            history.accept(began)
            history.accept(replace(began, kind="ended", ended_at=began.started_at + 3))
        EventAccess(LiveSettings(settings, lambda: settings, None, running_parts()), history).mark(
            "1099", "wrong"
        )
        with open_view(settings, ["mic"], label_set(("Dog", "Siren")), history) as view:
            assert isinstance(view.sink, Feed)
            events = view.sink.snapshot().events
            bench = Bench(qtbot)
            bench.feed.add_past(events)
    bench.pass_time()
    assert [event.id for event in events] == [str(number) for number in range(100, 1100)]
    assert sounds(bench)[:2] == ["✗ Dog", "Dog"]
    assert view.sink.snapshot().ongoing == ()
