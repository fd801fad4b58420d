"""Marks of people on the events of the window, with a real history."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from support.display_bench import Bench
from support.session import live_session

from earshot.window import window_actions
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


@pytest.fixture(name="bench")
def make_bench(qtbot: QtBot, file: Path) -> Iterator[Bench]:
    settings = load_settings(
        {"source": ["mic=demo"], "history": str(file), "history_days": 36_500.0},
        config=Path("/dev/null"),
        environment={},
    )
    watchlists = WatchLists(None, {}, ("Dog", "Siren"))
    session = live_session([open_source("demo", name="mic")], lambda batch: batch)
    running = Running(session, watchlists, lambda *_: None)
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
