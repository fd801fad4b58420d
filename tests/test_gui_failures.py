"""Functions of the program that fail while the window calls them: it says so, and goes on."""

from typing import NoReturn

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from support.display_bench import Bench, tagging, tone

from gui.actions import Actions, Examples, TeachActions
from gui.errors import ActionError
from streamer.messages import Event, Watched

REASON = "the history can't be read (database is locked); close the other program"
DOG = Event("1", "ended", "Dog", "mic", 0.8, 1.7e9, 1.7e9 + 3)


def fail(*_: object) -> NoReturn:
    raise ActionError(REASON)


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    teach = TeachActions(
        names=fail,
        play=fail,
        add=lambda _source, _start, _end, name: Examples(name, 1, 3, 5),
        learn=fail,
        correct=fail,
        lesson=lambda: None,
        remembers=lambda: False,
        remember=fail,
    )
    actions = Actions(
        watched=lambda _: [Watched("Sound 3", (3,), (0.5,))],
        watch=lambda *_: None,
        unwatch=fail,
        preview_events=fail,
        mark_event=fail,
        mark_of=fail,
        teach=teach,
    )
    bench = Bench(qtbot, actions=actions)
    bench.play(tone(1000, 3.0))
    bench.feed.accept(tagging({3: 0.9}))
    bench.feed.accept(DOG)
    bench.pass_time(1.0)
    return bench


def press(bench: Bench, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> str:
    """Press a key, and return the message that this has left."""
    bench.window.panels.status.show_message("")
    QTest.keyClick(bench.window, key, modifier)
    bench.pass_time()
    return bench.window.panels.status.message


def test_the_menu_of_an_event_opens_although_its_mark_can_not_be_read(bench: Bench) -> None:
    events, menu = bench.window.panels.events, bench.window.control.events.menu
    events.table.customContextMenuRequested.emit(events.table.visualRect(events.model.index(1, 1)).center())
    QApplication.processEvents()
    assert menu.isVisible()
    assert [(action.text(), action.isChecked()) for action in menu.actions()] == [
        ("Right", False),
        ("Wrong", False),
    ]
    menu.close()
    assert bench.window.panels.status.message == REASON


def test_a_menu_that_can_not_read_the_mark_leaves_the_one_that_is_shown(bench: Bench) -> None:
    model = bench.window.panels.events.model
    model.set_mark(DOG, "right")
    bench.window.control.events.fill_menu(DOG)
    assert model.data(model.index(1, 1)) == "✓ Dog"


def test_a_key_on_an_event_reports_that_its_mark_can_not_be_read(bench: Bench) -> None:
    bench.window.panels.events.select(DOG)
    assert press(bench, Qt.Key.Key_X) == REASON


def test_a_preview_that_fails_does_not_keep_a_threshold_from_moving(bench: Bench) -> None:
    tags = bench.window.panels.tags
    tags.threshold_moved.emit(3, 0.7)
    assert bench.window.panels.status.message == REASON
    tags.selected = 3
    assert press(bench, Qt.Key.Key_Plus) == "Sound 3: threshold set to 0.51"
    assert bench.window.panels.timeline.heat.preview is None


def test_a_sound_that_can_not_be_given_up_is_reported(bench: Bench) -> None:
    bench.window.panels.tags.selected = 3
    assert press(bench, Qt.Key.Key_W) == REASON
    bench.window.panels.status.show_message("")
    bench.window.panels.timeline.name_chosen.emit("Sound 3")
    assert bench.window.panels.status.message == REASON


def test_teaching_reports_what_fails(bench: Bench) -> None:
    card = bench.window.control.teach.card
    assert press(bench, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier) == REASON
    press(bench, Qt.Key.Key_L)
    press(bench, Qt.Key.Key_L)
    assert card.isVisible()
    assert card.text.text() == REASON
    for button in ("Play", "Learn now"):
        card.show_text("")
        card.buttons[button].click()
        assert card.text.text() == REASON
