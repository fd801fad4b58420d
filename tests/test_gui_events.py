"""List of events in a real window: days, pictograms, names and the filter."""

import datetime as dt

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from support.display_bench import Bench, chunks_of, tone

from gui.actions import Actions
from gui.data.eventrows import day_name
from gui.widgets.eventmodel import EventModel
from streamer.messages import Event, Watched

NOON = dt.datetime(2026, 11, 28, 12).astimezone()
DAY = dt.timedelta(days=1)


def event(identifier: str, label: str, began: dt.datetime, source: str = "mic", **more: float) -> Event:
    started = began.timestamp()
    seconds = more.get("seconds")
    ended = None if seconds is None else started + seconds
    return Event(
        identifier, "ended" if ended else "started", label, source, more.get("score", 0.8), started, ended
    )


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    watched = [Watched("Alarm", (3,), (0.5,)), Watched("Dog", (5,), (0.5,))]
    actions = Actions(
        watched=lambda _: watched,
        families={"Alarm": "alarm", "Dog": "animal"},
        names={"Wind instrument, woodwind instrument": "Wind instrument"},
    )
    bench = Bench(qtbot, "mic", "garden", actions=actions)
    bench.window.panels.events.model.today = NOON.date
    return bench


def rows(bench: Bench) -> list[str]:
    """Return the days, and the sounds of events, from top to bottom."""
    model = bench.window.panels.events.model
    sound = model.titles.index("Sound")
    return [
        model.data(model.index(row, sound if model.event_at(row) else 0)) for row in range(model.rowCount())
    ]


def three_days(bench: Bench) -> None:
    bench.feed.accept(event("1", "Dog", NOON - 9 * DAY, seconds=3.0))
    bench.feed.accept(event("2", "Alarm", NOON - DAY, seconds=3.0))
    bench.feed.accept(event("3", "Dog", NOON, source="garden", seconds=3.0))
    bench.feed.accept(event("4", "Wind instrument, woodwind instrument", NOON, seconds=3.0))
    bench.pass_time()


def test_events_stand_below_their_days_and_the_newest_first(bench: Bench) -> None:
    three_days(bench)
    older = day_name((NOON - 9 * DAY).date(), NOON.date())
    assert rows(bench) == ["Today", "Wind instrument", "Dog", "Yesterday", "Alarm", older, "Dog"]


def test_a_day_has_a_name_and_a_year_only_if_it_is_another() -> None:
    today = dt.date(2026, 3, 1)
    assert day_name(today, today) == "Today"
    assert day_name(dt.date(2026, 2, 28), today) == "Yesterday"
    assert day_name(dt.date(2026, 2, 9), today) == "Monday 9 February"
    assert day_name(dt.date(2025, 12, 31), today) == "Wednesday 31 December 2025"


def test_today_is_the_date_of_this_machine() -> None:
    model = EventModel(with_clips=False, name_of=str, families={})
    before = dt.datetime.now().astimezone().date()
    assert before <= model.today() <= dt.datetime.now().astimezone().date()


def test_a_day_can_be_neither_selected_nor_chosen(bench: Bench) -> None:
    three_days(bench)
    events = bench.window.panels.events
    chosen: list[Event] = []
    events.event_chosen.connect(chosen.append)
    place = events.table.visualRect(events.model.index(0, 0)).center()
    QTest.mouseClick(events.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert events.selected is None
    assert chosen == []
    assert events.table.columnSpan(0, 0) == len(events.model.titles)


def test_an_event_has_the_pictogram_of_its_sound_and_the_colour_of_its_score(bench: Bench) -> None:
    three_days(bench)
    model = bench.window.panels.events.model

    def picture(row: int, title: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        pixmap = model.data(model.index(row, model.titles.index(title)), Qt.ItemDataRole.DecorationRole)
        assert isinstance(pixmap, QPixmap)
        image = pixmap.toImage()
        return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)

    alarm, dog, other_dog = picture(4, "Sound"), picture(2, "Sound"), picture(6, "Sound")
    assert (alarm != dog).any()
    assert (dog == other_dog).all()
    dot = picture(2, "Score")
    middle = dot[dot.shape[0] // 2, dot.shape[1] // 2]
    colour = bench.window.panels.events._style.score_colour(0.8)
    assert list(middle[2::-1]) == [colour.red(), colour.green(), colour.blue()]


def test_words_filter_by_sound_short_or_long_name_and_source(bench: Bench) -> None:
    three_days(bench)
    field = bench.window.panels.events.filter_bar.field
    for words, shown in (
        ("dog", ["Dog", "Dog"]),
        ("woodwind", ["Wind instrument"]),
        ("garden", ["Dog"]),
        ("ala", ["Alarm"]),
        ("garden alarm", []),
    ):
        field.setText(words)
        assert [row for row in rows(bench) if row in {"Dog", "Alarm", "Wind instrument"}] == shown
    events = bench.window.panels.events
    assert events._hint.isVisible()
    assert events._hint.text() == "No event matches the filter"


def test_the_field_takes_letters_that_are_keys_elsewhere_and_escape_clears_it(bench: Bench) -> None:
    three_days(bench)
    events = bench.window.panels.events
    field = events.filter_bar.field
    QTest.mouseClick(field, Qt.MouseButton.LeftButton)
    QTest.keyClicks(field, "dog ")
    assert field.text() == "dog "
    assert bench.window.state.frozen_at is None
    QTest.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == ""
    assert not field.hasFocus()
    assert len(rows(bench)) == 7


def test_the_menu_chooses_a_watched_sound_and_a_source(bench: Bench) -> None:
    three_days(bench)
    bar = bench.window.panels.events.filter_bar

    def choose(title: str) -> None:
        bar.menu.aboutToShow.emit()
        next(action for action in bar.menu.actions() if action.text() == title).trigger()

    bar.menu.aboutToShow.emit()
    titles = [action.text() for action in bar.menu.actions()]
    assert titles == ["All sounds", "Alarm", "Dog", "", "All sources", "mic", "garden"]
    choose("Dog")
    assert rows(bench)[:2] == ["Today", "Dog"]
    assert bar._button.text() == "Dog ▾"
    choose("garden")
    assert rows(bench) == ["Today", "Dog"]
    bar.menu.aboutToShow.emit()
    assert [action.text() for action in bar.menu.actions() if action.isChecked()] == ["Dog", "garden"]
    choose("All sounds")
    choose("All sources")
    assert len(rows(bench)) == 7


def choices(bench: Bench) -> dict[str, QAction]:
    """Return what the menu of the filter offers now."""
    menu = bench.window.panels.events.filter_bar.menu
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions()}


def test_a_chosen_source_can_be_given_up_after_it_was_removed(bench: Bench) -> None:
    three_days(bench)
    choices(bench)["garden"].trigger()
    bench.feed.set_sources(["mic"])
    bench.pass_time()
    assert rows(bench) == ["Today", "Dog"]
    offered = choices(bench)
    assert list(offered)[-3:] == ["All sources", "mic", "garden"]
    assert offered["garden"].isChecked()
    offered["All sources"].trigger()
    assert len(rows(bench)) == 7
    assert "All sources" not in choices(bench), "there is only one"


def test_a_chosen_sound_is_listed_after_it_is_no_longer_watched(qtbot: QtBot) -> None:
    watched = [Watched("Alarm", (3,), (0.5,)), Watched("Dog", (5,), (0.5,))]
    bench = Bench(qtbot, actions=Actions(watched=lambda _: watched))
    three_days(bench)
    choices(bench)["Dog"].trigger()
    del watched[1]
    bench.pass_time()
    assert choices(bench)["Dog"].isChecked()
    choices(bench)["All sounds"].trigger()
    assert list(choices(bench)) == ["All sounds", "Alarm"]


def test_a_selected_event_stays_selected_while_others_come(bench: Bench) -> None:
    three_days(bench)
    events = bench.window.panels.events
    resets: list[None] = []
    events.model.modelReset.connect(lambda: resets.append(None))
    events.select(event("2", "Alarm", NOON))
    bench.feed.accept(event("5", "Dog", NOON))
    bench.pass_time()
    assert events.selected is not None
    assert events.selected.id == "2"
    bench.feed.accept(event("5", "Dog", NOON, seconds=2.0))
    bench.pass_time()
    assert events.selected.id == "2"
    assert rows(bench)[:3] == ["Today", "Dog", "Wind instrument"]
    assert resets == []


def test_an_event_that_the_filter_hides_is_shown_when_it_is_selected(bench: Bench) -> None:
    three_days(bench)
    events = bench.window.panels.events
    events.filter_bar.field.setText("dog")
    events.select(event("2", "Alarm", NOON))
    assert events.selected is not None
    assert events.selected.id == "2"
    assert events.filter_bar.field.text() == ""


def test_an_event_whose_sound_is_gone_leaves_the_view_live(bench: Bench) -> None:
    for chunk in chunks_of(tone(1000, 1.0)):
        bench.feed.add_chunk("mic", chunk)
    bench.feed.accept(Event("1", "ended", "Dog", "mic", 0.8, 1.6e9, 1.6e9 + 3))
    bench.pass_time()
    events = bench.window.panels.events
    place = events.table.visualRect(events.model.index(1, 1)).center()
    QTest.mouseClick(events.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert bench.window.state.frozen_at is None
    assert "no longer kept" in bench.window.panels.status.message


def test_thousands_of_events_are_listed_and_a_new_one_changes_one_row(bench: Bench) -> None:
    for number in range(5000):
        bench.feed.accept(event(str(number), "Dog", NOON - DAY + number * DAY / 5000, seconds=1.0))
    bench.pass_time()
    model = bench.window.panels.events.model
    assert len([row for row in rows(bench) if row == "Dog"]) == 5000
    added: list[tuple[int, int]] = []
    model.rowsInserted.connect(lambda _, first, last: added.append((first, last)))
    bench.feed.accept(event("new", "Alarm", NOON + DAY / 5000, seconds=1.0))
    bench.pass_time()
    assert added == [(1, 1)]
    QApplication.processEvents()
    assert bench.window.panels.events.table.rowAt(5) == 0
