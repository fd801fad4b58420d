"""Keys, buttons, clicks and drags in a real window, and the panels that they change."""

import csv
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QLabel, QMessageBox, QToolButton, QWidget
from pytestqt.qtbot import QtBot
from support.display_bench import FRAME_SECONDS, LABELS, Bench, health, tone

from gui.actions import Actions, AudioInput, Examples, Span, TeachActions
from gui.app.export import save_events, save_picture
from gui.app.shortcuts import SHORTCUTS
from gui.data.eventrows import duration_text
from gui.data.heatrows import cell_values, choose_rows, span_for, stack_scores
from gui.errors import ActionError
from gui.style import theme
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch
from streamer.events.detector import detect_events
from streamer.events.watchlist import WatchLists
from streamer.live.switches import Switches
from streamer.messages import SAMPLE_RATE_HZ, Event, SourceStatus, Tagging, Watched

STARTED_AT = 1.7e9


def tagging_at(second: float, scores: dict[int, float], source: str = "mic") -> Tagging:
    vector = np.zeros(len(LABELS), np.float32)
    for label, score in scores.items():
        vector[label] = score
    end = round(second * SAMPLE_RATE_HZ)
    return Tagging(source, max(0, end - 163_840), end, STARTED_AT + second, vector, -20.0, 0.25)


def event(identifier: str, label: str, started: float, ended: float | None = None, **more: str) -> Event:
    return Event(
        identifier,
        "started" if ended is None else "ended",
        label,
        more.get("source", "mic"),
        0.8,
        STARTED_AT + started,
        None if ended is None else STARTED_AT + ended,
        more.get("clip"),
    )


class FakeProgram:
    """Program behind the window: real watch lists, and a record of all other calls."""

    def __init__(self, exports: Path) -> None:
        rule = {"threshold": 0.5, "hits": 1, "of": 1, "minimum_off_seconds": 0.0}
        self.watchlists = WatchLists([Watch("Sound 3", rule)], {"garden": [Watch("Sound 9")]}, LABELS)
        self.watchlist = self.watchlists.shared
        self.switches = Switches()
        self.done: list[tuple[object, ...]] = []
        self.actions = Actions(
            watched=self.watched,
            watch=self.watch,
            unwatch=self.unwatch,
            preview_events=self.preview_events,
            list_inputs=lambda _: [
                AudioInput("mic:1", "USB Audio", current=True),
                AudioInput("demo", "The demo"),
            ],
            set_input=self.set_input,
            set_listening=self.set_listening,
            is_listening=self.switches.is_on,
            play_clip=lambda clip: self.done.append(("play_clip", clip)),
            mark_event=lambda identifier, mark: self.done.append(("mark_event", identifier, mark)),
            teach=TeachActions(
                names=lambda: (),
                play=lambda *_: None,
                add=lambda _source, _start, _end, name: Examples(name, 1, 3, 5),
                learn=lambda _: None,
                correct=lambda _: None,
                lesson=lambda: None,
                remembers=lambda: False,
                remember=lambda on: self.done.append(("remember", on)),
            ),
            save_settings=lambda colours: f"{colours}.toml",
            export_folder=exports,
        )

    def set_listening(self, source: str, on: bool) -> None:
        self.switches.turn(source, on)
        self.done.append(("set_listening", source, on))

    def watched(self, source: str) -> list[Watched]:
        sounds = self.watchlists.of(source).sounds
        return [Watched(w.sound.name, w.indices, w.thresholds) for w in sounds]

    def unwatch(self, source: str, name: str) -> None:
        self.watchlists.of(source).unwatch(name)

    def watch(self, source: str, name: str, threshold: float | None) -> None:
        try:
            self.watchlists.of(source).watch(name, threshold)
        except SettingsError as error:
            raise ActionError(str(error)) from error

    def preview_events(
        self, source: str, taggings: Sequence[Tagging], name: str, threshold: float
    ) -> list[Span]:
        events = detect_events(self.watchlists.of(source).with_threshold(name, threshold), taggings)
        return [(event.started_at, event.ended_at) for event in events]

    def set_input(self, source: str, address: str) -> str:
        if address == "mic:1":
            raise ActionError("USB Audio can't be recorded; check whether another program uses it")
        self.done.append(("set_input", source, address))
        return address


def answer(bench: Bench, title: str) -> None:
    """Press a button of the question over the window."""
    question = bench.window.findChild(QMessageBox)
    assert question is not None
    next(button for button in question.buttons() if button.text().replace("&", "") == title).click()
    bench.window.activateWindow()
    QApplication.processEvents()
    bench.pass_time()


@pytest.fixture
def program(tmp_path: Path) -> FakeProgram:
    return FakeProgram(tmp_path / "kept")


@pytest.fixture
def bench(qtbot: QtBot, program: FakeProgram) -> Bench:
    return Bench(qtbot, actions=program.actions)


def fill(bench: Bench, seconds: int = 30) -> None:
    """Play two tones, with taggings of a sound that comes and goes every ten seconds."""
    for second in range(1, seconds + 1):
        pitch = 1000 if second <= seconds / 2 else 3000
        bench.play(tone(pitch, 1.0), start_sample=(second - 1) * SAMPLE_RATE_HZ)
        loud = 0.9 if second % 10 < 5 else 0.3
        bench.feed.accept(tagging_at(second, {3: loud, 5: 0.6, 7: 0.4}))
        bench.pass_time()
    bench.pass_time(1.0)


def press(
    bench: Bench, *keys: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    for key in keys:
        QTest.keyClick(bench.window, key, modifier)
        bench.pass_time()


def top_at(bench: Bench, at: QPoint) -> QWidget:
    """Return the topmost widget at a position in the window."""
    return bench.window.childAt(at) or bench.window


def click(bench: Bench, at: QPoint) -> None:
    """Click on the topmost widget at a position in the window."""
    top = top_at(bench, at)
    QTest.mouseClick(top, Qt.MouseButton.LeftButton, pos=top.mapFrom(bench.window, at))
    bench.pass_time()


def turn_wheel(widget: QWidget, notches: int) -> None:
    middle = QPointF(widget.rect().center())
    turn = QWheelEvent(
        middle,
        middle,
        QPoint(),
        QPoint(0, notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, turn)


def texts(bench: Bench, title: str) -> list[str | None]:
    model = bench.window.panels.events.model
    column = model.titles.index(title)
    return [model.data(model.index(row, column)) for row in range(model.rowCount()) if model.event_at(row)]


def pixels(widget: QWidget) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    return data[:, :, 2::-1].copy()  # the image's memory is given back


def path_of_length(folder: Path, length: int) -> Path:
    """Return a folder whose path is so long that no file in it can be opened, not even by root."""
    while len(str(folder)) < length:
        folder /= "d" * min(200, max(1, length - len(str(folder)) - 1))
    return folder


# Timeline


def test_sounds_with_events_come_first_then_watched_ones_then_the_highest_scores() -> None:
    taggings = [tagging_at(second, {1: 0.9, 2: 0.4, 3: 0.2, 4: 0.05, 5: 0.6}) for second in range(1, 4)]
    watched = [Watched("Three", (3,), (0.5,)), Watched("Five", (5,), (0.5,)), Watched("Four", (4,), (0.5,))]
    rows = choose_rows(stack_scores(taggings), LABELS, watched, {"Three"}, 10)
    assert [row.name for row in rows] == ["Three", "Five", "Sound 1", "Sound 2"]
    assert [row.name for row in choose_rows(stack_scores(taggings), LABELS, watched, set(), 2)] == [
        "Five",
        "Three",
    ]


def test_a_cell_is_as_bright_as_its_score_and_dark_without_taggings() -> None:
    taggings = [tagging_at(second, {1: second / 10}) for second in (1, 2, 3, 8, 9)]
    rows = choose_rows(stack_scores(taggings), LABELS, (), set(), 1)
    picture = cell_values(taggings, stack_scores(taggings), rows, STARTED_AT + 9, 10.0, 10)
    expected = [0, 0.1, 0.2, 0.3, None, None, None, None, 0.8, 0.9]
    assert picture[0, 0] > 0, "a cell covers up to two hops before a tagging"
    for cell, score in zip(picture[0, 1:].tolist(), expected[1:], strict=True):
        if score is not None:
            assert cell == pytest.approx(1.5 + 253 * score, abs=1.5)
    assert (picture[0, 4:6] == 0).all()


def test_the_timeline_is_long_enough_for_all_taggings() -> None:
    assert span_for(()) == 60
    assert span_for([tagging_at(0, {}), tagging_at(100, {})]) == 120
    assert span_for([tagging_at(0, {}), tagging_at(600, {})]) == 600


def test_events_are_spans_in_the_row_of_their_sound(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0))
    bench.feed.accept(event("2", "Sound 3", 20.0))
    fill(bench)
    heat = bench.window.panels.timeline.heat
    assert [row.name for row in heat.picture.rows] == ["Sound 3", "Sound 5", "Sound 7"]
    assert heat.picture.spans == (
        (0, STARTED_AT + 10, STARTED_AT + 14),
        (0, STARTED_AT + 20, STARTED_AT + 30),
    )
    drawn = pixels(heat)
    row = heat.row_rect(0)
    edge = drawn[row.top() + 2 : row.top() + 4, round(heat.x_of(STARTED_AT + 12))]
    assert (edge.astype(int).sum(axis=1) > 600).any(), "the outline has the colour of text"


def taken_back(identifier: str, label: str, started: float, ended: float) -> Event:
    """Return the end of a start that only the fast window has detected."""
    return replace(event(identifier, label, started, ended), score=0.1, confirmed=False, fast_score=0.7)


def test_a_start_that_was_taken_back_is_not_framed(bench: Bench) -> None:
    bench.feed.accept(taken_back("1", "Sound 3", 10.0, 12.0))
    bench.feed.accept(event("2", "Sound 3", 20.0, 24.0))
    bench.feed.accept(taken_back("3", "Sound 7", 10.0, 12.0))
    fill(bench)
    picture = bench.window.panels.timeline.heat.picture
    assert picture.spans == ((0, STARTED_AT + 20, STARTED_AT + 24),)
    assert [row.name for row in picture.rows] == ["Sound 3", "Sound 5", "Sound 7"], "an event comes first"


def test_the_clock_under_the_pictures_is_the_time_of_capture(bench: Bench) -> None:
    fill(bench)
    times = bench.window.panels.spectrogram.times
    ticks = {label: x for x, label in times.ticks()}
    label = time.strftime("%H:%M:%S", time.localtime(STARTED_AT + 28))
    shown_until = 30 - 400 / SAMPLE_RATE_HZ + 160 / SAMPLE_RATE_HZ
    assert ticks[label] == pytest.approx((1 - (shown_until - 28) / 10.24) * times.width(), abs=3)


def test_the_timeline_continues_at_once_after_the_clock_was_set_back(bench: Bench) -> None:
    fill(bench)
    for second in (3.5, 4.5, 5.5):
        bench.feed.accept(tagging_at(second, {9: 0.8}))
        bench.pass_time()
    heat = bench.window.panels.timeline.heat
    assert heat.picture.ends_at == STARTED_AT + 5.5
    assert [row.name for row in heat.picture.rows] == ["Sound 3", "Sound 9", "Sound 5", "Sound 7"]
    drawn = pixels(heat)[heat.row_rect(1).center().y()].astype(int).sum(axis=1)
    assert drawn[round(heat.x_of(STARTED_AT + 5))] > drawn[round(heat.x_of(STARTED_AT + 2))] + 200


# List of events


def test_events_are_listed_newest_first_with_time_sound_score_and_length(bench: Bench) -> None:
    hint = bench.window.panels.events._hint
    assert hint.isVisible()
    bench.feed.accept(event("1", "Sound 3", 10.0))
    bench.feed.accept(event("2", "Sound 5", 20.0))
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.25))
    bench.pass_time()
    assert not hint.isVisible()
    assert texts(bench, "Sound") == ["Sound 5", "Sound 3"]
    assert texts(bench, "Length") == ["now", "4.2 s"]
    assert texts(bench, "Score") == ["0.80", "0.80"]
    assert texts(bench, "Time")[0] == time.strftime("%H:%M:%S", time.localtime(STARTED_AT + 20))


def test_the_duration_of_a_long_event_is_given_in_minutes() -> None:
    assert duration_text(event("1", "x", 0.0, 184.0)) == "3:04 min"


def test_only_an_existing_clip_can_be_played(bench: Bench, program: FakeProgram, tmp_path: Path) -> None:
    clip = tmp_path / "dog.flac"
    clip.write_bytes(b"fLaC")
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0, clip=str(clip)))
    bench.feed.accept(event("2", "Sound 5", 20.0, 24.0, clip=str(tmp_path / "gone.flac")))
    bench.feed.accept(event("3", "Sound 7", 26.0))
    fill(bench)
    assert texts(bench, "") == ["", "", "▶"]
    table = bench.window.panels.events.table
    for row in range(1, 4):
        cell = table.visualRect(bench.window.panels.events.model.index(row, 5))
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell.center())
    assert program.done == [("play_clip", str(clip))]
    program.done.clear()
    bench.window.panels.events.select(event("1", "Sound 3", 10.0))
    press(bench, Qt.Key.Key_C)
    assert program.done == [("play_clip", str(clip))]


def test_a_clip_in_an_unreadable_folder_can_not_be_played(bench: Bench, tmp_path: Path) -> None:
    clip = str(path_of_length(tmp_path, 4085) / "a clip.flac")
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0, clip=clip))
    bench.pass_time()
    assert texts(bench, "") == [""]


def test_rows_shrink_again_when_the_window_does(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 10.0))
    bench.pass_time()
    before = bench.window.panels.events.table.rowHeight(1)
    bench.window.resize(3840, 2160)
    bench.pass_time()
    assert bench.window.panels.events.table.rowHeight(1) > 2 * before
    bench.window.resize(1280, 720)
    bench.pass_time()
    assert bench.window.panels.events.table.rowHeight(1) == before


def test_a_long_source_name_leaves_space_for_the_other_columns(qtbot: QtBot, program: FakeProgram) -> None:
    name = "the microphone above the door to the garden behind the old house"
    bench = Bench(qtbot, "mic", name, actions=program.actions)
    bench.feed.accept(event("1", "Sound 3", 10.0, source=name))
    bench.feed.accept(event("2", "Sound 3", 10.0, source="mic"))
    bench.pass_time()
    events = bench.window.panels.events
    shown = {
        title: events.table.visualRect(events.model.index(1, column))
        for column, title in enumerate(events.model.titles)
    }
    assert list(shown) == ["Time", "Sound", "Source", "Score", "Length", ""]
    assert all(events.table.viewport().rect().contains(cell) for cell in shown.values())
    assert shown["Sound"].width() > 60
    tip = events.model.data(events.model.index(2, 2), Qt.ItemDataRole.ToolTipRole)
    assert tip == name


def test_a_click_on_an_event_shows_its_time(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0))
    fill(bench)
    table = bench.window.panels.events.table
    cell = table.visualRect(bench.window.panels.events.model.index(1, 1))
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell.center())
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 15)


def test_an_event_of_a_removed_source_stays_listed_and_can_be_clicked(
    qtbot: QtBot, program: FakeProgram, tmp_path: Path
) -> None:
    bench = Bench(qtbot, "mic", "door", actions=program.actions)
    clip = tmp_path / "dog.flac"
    clip.write_bytes(b"fLaC")
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0, source="door", clip=str(clip)))
    fill(bench)
    bench.feed.set_sources(["mic"])
    bench.pass_time()
    events = bench.window.panels.events
    assert texts(bench, "Source") == ["door"]
    assert not events.table.isColumnHidden(2)
    cell = events.table.visualRect(events.model.index(1, 1))
    QTest.mouseClick(events.table.viewport(), Qt.MouseButton.LeftButton, pos=cell.center())
    assert bench.window.panels.status.message == "door was removed, and its sound with it"
    assert (bench.window.state.source, bench.window.state.frozen_at) == ("mic", None)
    press(bench, Qt.Key.Key_C)
    assert program.done == [("play_clip", str(clip))]
    assert bench.window.panels.timeline.heat.picture.spans == (), "the event belongs to another source"


def test_the_list_names_the_sources_while_there_are_several(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 10.0, 14.0))
    bench.pass_time()
    table = bench.window.panels.events.table
    for sources, named in ((["mic"], False), (["mic", "door"], True), (["mic"], False)):
        bench.feed.set_sources(sources)
        bench.pass_time()
        assert table.isColumnHidden(2) is not named


# Freezing


def loudest_row(bench: Bench) -> float:
    picture = bench.picture()
    brightness = picture[:, -picture.shape[1] // 10 :].sum(axis=2).mean(axis=1)
    return float((picture.shape[0] - brightness.argmax()) / picture.shape[0] * 128)


def test_space_freezes_and_scrolling_back_shows_earlier_sound(bench: Bench) -> None:
    fill(bench)
    high = loudest_row(bench)
    press(bench, Qt.Key.Key_Space)
    assert bench.window.panels.header.state.text().startswith("FROZEN")
    bench.play(tone(500, 3.0), start_sample=30 * SAMPLE_RATE_HZ)
    bench.feed.accept(tagging_at(33, {9: 0.95}))
    bench.pass_time(1.0)
    assert loudest_row(bench) == high
    assert bench.labels_shown()[0] == "Sound 5"
    press(bench, *[Qt.Key.Key_Left] * 8)
    assert loudest_row(bench) < high - 20
    assert bench.window.panels.spectrogram.times._ends_at == bench.window.state.frozen_at
    press(bench, Qt.Key.Key_End)
    assert bench.window.state.frozen_at is None
    bench.pass_time(3.0)
    assert bench.labels_shown()[0] == "Sound 9"


def test_home_goes_to_the_oldest_sound_and_the_wheel_scrolls(bench: Bench) -> None:
    fill(bench)
    press(bench, Qt.Key.Key_Home)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT)
    for notches in (-120, 120):
        turn_wheel(bench.window, notches)
        if notches < 0:
            assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 2)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT)


def test_the_view_can_not_be_frozen_before_there_is_sound(bench: Bench) -> None:
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Home):
        press(bench, key)
        assert bench.window.state.frozen_at is None
        assert bench.window.panels.status.message == "no audio yet"
        assert not bench.window.panels.header.buttons["Freeze"].isChecked()
    bench.play(tone(1000, 1.0))
    bench.pass_time()
    press(bench, Qt.Key.Key_Space)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 1, abs=0.1)


def test_a_click_in_the_timeline_goes_to_its_time(bench: Bench) -> None:
    fill(bench)
    heat = bench.window.panels.timeline.heat
    x = round(heat.x_of(STARTED_AT + 12))
    QTest.mouseClick(heat, Qt.MouseButton.LeftButton, pos=QPoint(x, 30))
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 12, abs=0.2)


def test_ctrl_and_arrows_go_from_event_to_event(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 5.0, 8.0))
    bench.feed.accept(event("2", "Sound 3", 15.0, 18.0))
    fill(bench)
    control = Qt.KeyboardModifier.ControlModifier
    press(bench, Qt.Key.Key_Left, modifier=control)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 19)
    press(bench, Qt.Key.Key_Left, modifier=control)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 9)
    assert bench.window.panels.events.selected == event("1", "Sound 3", 5.0, 8.0)
    press(bench, Qt.Key.Key_Right, modifier=control)
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 19)


def steps(bench: Bench, key: Qt.Key, count: int) -> list[str]:
    """Press Ctrl with an arrow key, and return the id of the selected event each time."""
    found = []
    for _ in range(count):
        press(bench, key, modifier=Qt.KeyboardModifier.ControlModifier)
        selected = bench.window.panels.events.selected
        found.append("" if selected is None else selected.id)
    return found


def test_ctrl_and_arrows_reach_events_whose_sound_is_no_longer_kept(bench: Bench) -> None:
    for identifier, started in (("1", -300.0), ("2", -200.0), ("3", -100.0), ("4", 10.0)):
        bench.feed.accept(event(identifier, "Sound 3", started, started + 3))
    fill(bench)
    assert steps(bench, Qt.Key.Key_Left, 5) == ["4", "3", "2", "1", "1"]
    assert "no longer kept" in bench.window.panels.status.message
    assert steps(bench, Qt.Key.Key_Right, 4) == ["2", "3", "4", "4"]
    assert bench.window.state.frozen_at == pytest.approx(STARTED_AT + 14)


def test_ctrl_and_arrows_start_from_the_time_on_screen_once_it_has_moved(bench: Bench) -> None:
    for identifier, started in (("1", -300.0), ("2", -200.0), ("3", 5.0), ("4", 20.0)):
        bench.feed.accept(event(identifier, "Sound 3", started, started + 3))
    fill(bench)
    bench.window.control.navigation.show_event(event("2", "Sound 3", -200.0, -197.0))
    press(bench, Qt.Key.Key_End)
    assert steps(bench, Qt.Key.Key_Left, 1) == ["4"]
    press(bench, *[Qt.Key.Key_Left] * 4)
    assert steps(bench, Qt.Key.Key_Right, 1) == ["4"]


def test_ctrl_and_arrows_start_from_the_time_on_screen_once_there_is_another_event(bench: Bench) -> None:
    for identifier, started in (("1", -300.0), ("2", -200.0)):
        bench.feed.accept(event(identifier, "Sound 3", started, started + 3))
    fill(bench)
    assert steps(bench, Qt.Key.Key_Left, 1) == ["2"]
    bench.feed.accept(event("3", "Sound 3", 10.0, 13.0))
    bench.pass_time()
    assert steps(bench, Qt.Key.Key_Left, 2) == ["3", "2"]


def test_ctrl_and_arrows_reach_events_of_the_same_moment_and_those_that_go_on(bench: Bench) -> None:
    bench.feed.accept(event("1", "Sound 3", 10.0, 13.0))
    bench.feed.accept(event("2", "Sound 5", 10.0, 13.0))
    bench.feed.accept(event("3", "Sound 3", 27.0))
    bench.feed.accept(event("4", "Sound 5", 28.0))
    fill(bench)
    press(bench, Qt.Key.Key_Home)
    assert steps(bench, Qt.Key.Key_Right, 4) == ["1", "2", "3", "4"]
    assert steps(bench, Qt.Key.Key_Left, 3) == ["3", "2", "1"]


def test_ctrl_and_arrows_reach_past_events_before_there_is_sound(bench: Bench) -> None:
    for identifier, started in (("1", -300.0), ("2", -200.0)):
        bench.feed.accept(event(identifier, "Sound 3", started, started + 3))
    bench.pass_time()
    assert steps(bench, Qt.Key.Key_Left, 2) == ["2", "1"]


# Watching


def row_of(bench: Bench, label: str) -> int:
    return next(row.top for row in bench.window.panels.tags.shown if row.label == label)


def test_a_click_on_a_tag_watches_it_and_a_second_click_stops_that(
    bench: Bench, program: FakeProgram
) -> None:
    fill(bench)
    for watched in (["Sound 3", "Sound 5"], ["Sound 3"]):
        at = QPoint(30, row_of(bench, "Sound 5") + 12)
        QTest.mouseClick(bench.window.panels.tags, Qt.MouseButton.LeftButton, pos=at)
        bench.pass_time()
        assert [entry.sound.name for entry in program.watchlist.sounds] == watched
    assert bench.window.panels.status.message == "Sound 5 is no longer watched"


def test_a_click_on_a_name_in_the_timeline_watches_it(bench: Bench, program: FakeProgram) -> None:
    fill(bench)
    heat = bench.window.panels.timeline.heat
    index = [row.name for row in heat.picture.rows].index("Sound 7")
    QTest.mouseClick(heat, Qt.MouseButton.LeftButton, pos=QPoint(40, heat.row_rect(index).center().y()))
    assert [entry.sound.name for entry in program.watchlist.sounds] == ["Sound 3", "Sound 7"]
    heat.name_chosen.emit("A sound no longer watched")
    assert len(program.watchlist.sounds) == 2


@pytest.fixture
def siren(qtbot: QtBot) -> tuple[Bench, list[Watched]]:
    """Window of a program that watches a sound of two classes, and the second of them."""
    watched = [Watched("Siren", (3, 5), (0.3, 0.3)), Watched("Sound 5", (5,), (0.6,))]

    def unwatch(_source: str, name: str) -> None:
        watched[:] = [sound for sound in watched if sound.name != name]

    bench = Bench(qtbot, actions=Actions(watched=lambda _: watched, watch=lambda *_: None, unwatch=unwatch))
    fill(bench)
    return bench, watched


def test_a_click_in_the_timeline_stops_the_sound_of_this_name(siren: tuple[Bench, list[Watched]]) -> None:
    bench, watched = siren
    heat = bench.window.panels.timeline.heat
    index = [row.name for row in heat.picture.rows].index("Sound 5")
    QTest.mouseClick(heat, Qt.MouseButton.LeftButton, pos=QPoint(40, heat.row_rect(index).center().y()))
    assert [sound.name for sound in watched] == ["Siren"]
    assert bench.window.panels.status.message == "Sound 5 is no longer watched"


def test_a_tag_of_two_watched_sounds_belongs_to_the_one_with_its_name(
    siren: tuple[Bench, list[Watched]],
) -> None:
    bench, watched = siren
    length = bench.window.panels.tags.row_geometry.bar_length
    marks = {row.label: row.mark for row in bench.window.panels.tags.shown}
    assert (marks["Sound 3"], marks["Sound 5"]) == (round(0.3 * length), round(0.6 * length))
    at = QPoint(30, row_of(bench, "Sound 5") + 12)
    QTest.mouseClick(bench.window.panels.tags, Qt.MouseButton.LeftButton, pos=at)
    assert [sound.name for sound in watched] == ["Siren"]


def test_the_search_stops_the_sound_of_this_name(siren: tuple[Bench, list[Watched]]) -> None:
    bench, watched = siren
    bench.window.control.search.chosen.emit("Sound 5")
    assert [sound.name for sound in watched] == ["Siren"]


def test_a_threshold_is_a_mark_on_the_bar(bench: Bench) -> None:
    fill(bench)
    rows = {row.label: row for row in bench.window.panels.tags.shown}
    length = bench.window.panels.tags.row_geometry.bar_length
    assert rows["Sound 3"].mark == round(0.5 * length)
    assert rows["Sound 5"].mark is None


def test_dragging_a_threshold_previews_its_events(bench: Bench, program: FakeProgram) -> None:
    fill(bench)
    tags, heat = bench.window.panels.tags, bench.window.panels.timeline.heat
    bar = tags.row_geometry.bar_rect(row_of(bench, "Sound 3"))
    start = QPoint(round(0.5 * tags.row_geometry.bar_length), bar.center().y())
    QTest.mousePress(tags, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(tags, QPoint(round(0.95 * tags.row_geometry.bar_length), start.y()))
    bench.pass_time()
    assert heat.preview is not None
    assert heat.preview.spans == ()
    target = QPoint(round(0.7 * tags.row_geometry.bar_length), start.y())
    QTest.mouseMove(tags, target)
    bench.pass_time()
    assert len(heat.preview.spans) == 4
    assert program.watchlist.sounds[0].thresholds == (0.5,), "unchanged until the mouse button is released"
    QTest.mouseRelease(tags, Qt.MouseButton.LeftButton, pos=target)
    bench.pass_time()
    assert program.watchlist.sounds[0].thresholds == (pytest.approx(0.7, abs=0.01),)
    bench.pass_time(5.0)
    assert heat.preview is None


def test_showing_another_source_ends_the_preview(qtbot: QtBot, program: FakeProgram) -> None:
    bench = Bench(qtbot, "mic", "door", actions=program.actions)
    fill(bench)
    tags, heat = bench.window.panels.tags, bench.window.panels.timeline.heat
    start = QPoint(
        round(0.5 * tags.row_geometry.bar_length),
        tags.row_geometry.bar_rect(row_of(bench, "Sound 3")).center().y(),
    )
    QTest.mousePress(tags, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(tags, start + QPoint(60, 0))
    bench.pass_time()
    assert heat.preview is not None
    press(bench, Qt.Key.Key_N)
    assert bench.window.state.source == "door"
    assert heat.preview is None


@pytest.mark.parametrize("pixels_moved", [0, 3])
def test_a_click_beside_a_mark_moves_no_threshold(
    bench: Bench, program: FakeProgram, pixels_moved: int
) -> None:
    fill(bench)
    tags = bench.window.panels.tags
    beside = QPoint(
        round(0.5 * tags.row_geometry.bar_length) + 6,
        tags.row_geometry.bar_rect(row_of(bench, "Sound 3")).center().y(),
    )
    QTest.mousePress(tags, Qt.MouseButton.LeftButton, pos=beside)
    QTest.mouseMove(tags, beside + QPoint(pixels_moved, 0))
    QTest.mouseRelease(tags, Qt.MouseButton.LeftButton, pos=beside + QPoint(pixels_moved, 0))
    bench.pass_time()
    assert [entry.thresholds for entry in program.watchlist.sounds] == [(0.5,)]
    assert bench.window.panels.timeline.heat.preview is None


def test_a_mark_moves_as_far_as_the_mouse(bench: Bench, program: FakeProgram) -> None:
    fill(bench)
    tags = bench.window.panels.tags
    beside = QPoint(
        round(0.5 * tags.row_geometry.bar_length) - 7,
        tags.row_geometry.bar_rect(row_of(bench, "Sound 3")).center().y(),
    )
    target = beside + QPoint(round(0.2 * tags.row_geometry.bar_length), 0)
    QTest.mousePress(tags, Qt.MouseButton.LeftButton, pos=beside)
    QTest.mouseMove(tags, target)
    QTest.mouseRelease(tags, Qt.MouseButton.LeftButton, pos=target)
    assert program.watchlist.sounds[0].thresholds == (0.7,)


@pytest.mark.parametrize("button", [Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton])
def test_only_the_left_mouse_button_acts(bench: Bench, program: FakeProgram, button: Qt.MouseButton) -> None:
    fill(bench)
    tags, heat = bench.window.panels.tags, bench.window.panels.timeline.heat
    QTest.mouseClick(tags, button, pos=QPoint(30, row_of(bench, "Sound 5") + 12))
    QTest.mouseClick(heat, button, pos=QPoint(40, heat.row_rect(0).center().y()))
    QTest.mouseClick(heat, button, pos=QPoint(heat.width() - 40, 5))
    mark = QPoint(
        round(0.5 * tags.row_geometry.bar_length),
        tags.row_geometry.bar_rect(row_of(bench, "Sound 3")).center().y(),
    )
    QTest.mousePress(tags, button, pos=mark)
    QTest.mouseMove(tags, mark + QPoint(60, 0))
    QTest.mouseRelease(tags, button, pos=mark + QPoint(60, 0))
    bench.pass_time()
    assert [entry.thresholds for entry in program.watchlist.sounds] == [(0.5,)]
    assert bench.window.state.frozen_at is None


def test_keys_select_a_tag_watch_it_and_move_its_threshold(bench: Bench, program: FakeProgram) -> None:
    fill(bench)
    press(bench, Qt.Key.Key_W)
    assert bench.window.panels.status.message == "select a tag first, with Up and Down"
    press(bench, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_W)
    second = bench.labels_shown()[1]
    assert second in [entry.sound.name for entry in program.watchlist.sounds]
    press(bench, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Plus, Qt.Key.Key_Plus, Qt.Key.Key_Minus)
    changed = next(entry for entry in program.watchlist.sounds if entry.sound.name == second)
    assert changed.thresholds[0] == pytest.approx(0.31, abs=0.201)
    assert bench.window.panels.timeline.heat.preview is not None


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier])
def test_keys_in_the_filter_do_not_act_on_the_window(
    bench: Bench, program: FakeProgram, modifier: Qt.KeyboardModifier
) -> None:
    fill(bench)
    press(bench, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_L)
    bench.window.control.teach.card.dismiss()
    window, field = bench.window, bench.window.panels.events.filter_bar.field

    def state() -> tuple[object, ...]:
        sounds = [entry.sound.name for entry in program.watchlist.sounds]
        panels = window.panels
        return sounds, panels.tags.selected, window.state.frozen_at, panels.spectrogram.selection.span

    before = state()
    for key in (
        "Up",
        "Down",
        "PageUp",
        "PageDown",
        "Left",
        "Right",
        "Home",
        "End",
        "Space",
        "Enter",
        "Return",
    ):
        QTest.mouseClick(field, Qt.MouseButton.LeftButton)
        assert field.hasFocus()
        QTest.keyClick(field, Qt.Key[f"Key_{key}"], modifier)
        bench.pass_time()
        assert state() == before, key
    assert not field.hasFocus(), "Enter leaves the field"
    press(bench, Qt.Key.Key_Return)
    assert state() != before


def test_moving_the_threshold_of_an_unwatched_tag_gives_a_message(bench: Bench) -> None:
    fill(bench)
    bench.window.panels.tags.selected = 7
    press(bench, Qt.Key.Key_Plus)
    assert bench.window.panels.status.message == "Sound 7 is not watched; watch it first, with a click or W"


def test_the_watch_list_of_the_source_on_screen_is_shown_and_changed(
    qtbot: QtBot, program: FakeProgram
) -> None:
    bench = Bench(qtbot, "kitchen", "garden", actions=program.actions)
    for source in ("kitchen", "garden"):
        bench.feed.accept(tagging_at(1, {3: 0.9, 9: 0.8}, source))
    bench.pass_time(0.5)
    assert [row.label for row in bench.window.panels.tags.shown if row.mark is not None] == ["Sound 3"]
    press(bench, Qt.Key.Key_N)
    bench.pass_time(0.5)
    assert [row.label for row in bench.window.panels.tags.shown if row.mark is not None] == ["Sound 9"]
    at = QPoint(30, row_of(bench, "Sound 3") + 12)
    QTest.mouseClick(bench.window.panels.tags, Qt.MouseButton.LeftButton, pos=at)
    assert [sound.name for sound in program.watched("garden")] == ["Sound 9", "Sound 3"]
    assert [sound.name for sound in program.watched("kitchen")] == ["Sound 3"]


def test_search_finds_labels_and_watches_one(bench: Bench, program: FakeProgram) -> None:
    search = bench.window.control.search
    press(bench, Qt.Key.Key_Slash)
    assert search.isVisible()
    assert len(search.results()) == len(LABELS)
    QTest.keyClicks(search.field, "sound 3 ")
    assert search.results() == ["Sound 3", *(f"Sound {number}" for number in (13, 23, *range(30, 40)))]
    QTest.keyClick(search.field, Qt.Key.Key_Down)
    QTest.keyClick(search.field, Qt.Key.Key_Return)
    assert [entry.sound.name for entry in program.watchlist.sounds] == ["Sound 3", "Sound 13"]
    assert search.list.item(1).text().startswith("✓")
    QTest.keyClick(search.field, Qt.Key.Key_P)
    assert program.done == [], "shortcuts are suspended during a search"
    QTest.keyClick(search.field, Qt.Key.Key_Escape)
    assert not search.isVisible()
    press(bench, Qt.Key.Key_P)
    answer(bench, "Stop listening")
    assert program.done == [("set_listening", "mic", False)]


def test_search_finds_the_names_on_screen(qtbot: QtBot) -> None:
    bench = Bench(qtbot, actions=Actions(names={"Sound 3": "Hund", "Sound 4": "Höchster Ton"}))
    search = bench.window.control.search
    press(bench, Qt.Key.Key_Slash)
    for typed, found in (("hund", "Hund (Sound 3)"), ("sound 4 TON", "Höchster Ton (Sound 4)")):
        search.field.setText(typed)
        (line,) = [search.list.item(row).text().strip() for row in range(search.list.count())]
        assert line == found
    assert search.results() == ["Sound 4"], "it is watched by its label"


def test_a_search_without_results_chooses_nothing(bench: Bench, program: FakeProgram) -> None:
    press(bench, Qt.Key.Key_Slash)
    search = bench.window.control.search
    QTest.keyClicks(search.field, "no such sound")
    QTest.keyClick(search.field, Qt.Key.Key_Return)
    assert search.results() == []
    assert len(program.watchlist.sounds) == 1


# Sources


def test_p_stops_listening_after_a_question_and_starts_again(bench: Bench, program: FakeProgram) -> None:
    panels = bench.window.panels
    press(bench, Qt.Key.Key_P)
    answer(bench, "Cancel")
    assert program.done == []
    assert not bench.window.control.shortcuts["pause"].isChecked()
    press(bench, Qt.Key.Key_P)
    answer(bench, "Stop listening")
    assert panels.header.state.text().startswith("OFF")
    assert bench.window.control.shortcuts["pause"].isChecked()
    assert panels.tags.shown == ()
    press(bench, Qt.Key.Key_P)
    assert program.done == [("set_listening", "mic", False), ("set_listening", "mic", True)]
    assert not bench.window.control.shortcuts["pause"].isChecked()
    program.switches.turn("mic", False)
    bench.pass_time()
    assert panels.status.line() == "Degraded: mic is switched off; P starts again"
    assert panels.header.state.text().startswith("OFF"), "also if it was switched off elsewhere"


def test_the_menu_sets_another_input_and_errors_are_shown(bench: Bench, program: FakeProgram) -> None:
    menu = bench.window.control.source.menu
    menu.aboutToShow.emit()
    by_title = {action.text(): action for action in menu.actions()}
    assert list(by_title) == ["USB Audio", "The demo", "", "Camera or stream address…", "A recording…"]
    assert [title for title, action in by_title.items() if action.isChecked()] == ["USB Audio"]
    by_title["The demo"].trigger()
    assert program.done == [("set_input", "mic", "demo")]
    assert bench.window.panels.status.message == "mic now listens to demo"
    by_title["USB Audio"].trigger()
    assert bench.window.panels.status.message.startswith("USB Audio can't be recorded")
    bench.pass_time(8.0)
    assert bench.window.panels.status.message == ""


def test_an_address_can_be_typed(bench: Bench, program: FakeProgram) -> None:
    menu = bench.window.control.source.menu
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.text().startswith("Camera")).trigger()
    question = bench.window.findChild(QInputDialog)
    assert question is not None
    question.setTextValue(" rtsp://camera.local/live ")
    question.accept()
    assert program.done == [("set_input", "mic", "rtsp://camera.local/live")]


def test_an_input_is_set_for_the_source_that_was_on_screen_when_the_menu_opened(
    qtbot: QtBot, program: FakeProgram
) -> None:
    bench = Bench(qtbot, "kitchen", "garden", actions=program.actions)
    menu = bench.window.control.source.menu
    menu.aboutToShow.emit()
    demo = menu.actions()[1]
    press(bench, Qt.Key.Key_N)
    demo.trigger()
    assert program.done == [("set_input", "kitchen", "demo")]
    bench.feed.set_sources(["garden"])
    bench.pass_time()
    demo.trigger()
    assert len(program.done) == 1
    assert bench.window.panels.status.message == "kitchen was removed; choose again for another source"


def test_new_tabs_show_the_state_of_their_sources(bench: Bench) -> None:
    bench.feed.set_sources(["mic", "garage"])
    bench.feed.accept(SourceStatus("garage", online=False, reason="Gone."))
    bench.pass_time()
    tabs = bench.window.panels.header.tabs
    assert tabs.tabTextColor(1) == theme.DARK.bad
    bench.feed.set_sources(["garage", "mic"])
    bench.pass_time()
    assert tabs.tabTextColor(0) == theme.DARK.bad
    assert not tabs.tabTextColor(1).isValid()


def test_keys_act_on_the_source_that_replaced_a_removed_one(bench: Bench, program: FakeProgram) -> None:
    fill(bench)
    bench.feed.set_sources(["garden"])
    bench.feed.accept(tagging_at(1, {3: 0.9, 9: 0.8}, "garden"))
    bench.pass_time(0.5)
    assert [row.label for row in bench.window.panels.tags.shown if row.mark is not None] == ["Sound 9"]
    press(bench, Qt.Key.Key_P)
    answer(bench, "Stop listening")
    assert program.done == [("set_listening", "garden", False)]


def test_a_list_without_events_names_the_watched_sounds(bench: Bench) -> None:
    bench.pass_time()
    hint = bench.window.panels.events.findChild(QLabel, "hint")
    assert hint is not None
    assert (hint.isVisible(), hint.text()) == (True, "No events yet. Watching for:\nSound 3")


def test_tabs_show_events_and_offline_sources_by_colour(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden", "garage")
    bench.feed.accept(SourceStatus("garage", online=False, reason="Gone."))
    bench.feed.accept(event("1", "Sound 3", 0.0, source="garden"))
    bench.pass_time()
    colours = [bench.window.panels.header.tabs.tabTextColor(index) for index in range(3)]
    assert colours[1:] == [theme.DARK.warning, theme.DARK.bad]
    assert not colours[0].isValid()
    press(bench, Qt.Key.Key_N)
    assert bench.window.state.source == "garden"


def test_the_sound_of_eight_sources_is_kept(qtbot: QtBot) -> None:
    names = [f"room {number}" for number in range(8)]
    bench = Bench(qtbot, *names)
    for number, name in enumerate(names):
        bench.play(tone(500 + 300 * number, 3.0), source=name)
        bench.feed.accept(tagging_at(3, {number: 0.9}, name))
    bench.pass_time(2.0)
    for number, name in enumerate(names):
        bench.window.control.navigation.show_source(name)
        bench.pass_time(1.0)
        assert bench.labels_shown() == [f"Sound {number}"]
        columns = bench.window.panels.spectrogram.picture.columns
        assert columns.values(0, columns.end).any(axis=1).all(), "also from before it came on screen"


# Saving


def test_the_picture_and_the_events_are_saved_as_files(bench: Bench, program: FakeProgram) -> None:
    bench.feed.accept(event("1", "Sound 3", 0.0, 4.5))
    bench.feed.accept(event("2", "Sound, 5", 20.0))
    fill(bench)
    control = Qt.KeyboardModifier.ControlModifier
    press(bench, Qt.Key.Key_E, modifier=control)
    press(bench, Qt.Key.Key_E, modifier=control | Qt.KeyboardModifier.ShiftModifier)
    folder = program.actions.export_folder
    assert folder is not None
    (picture,), (table,) = folder.glob("*.png"), folder.glob("*.csv")
    assert QImage(str(picture)).size() == bench.window.size() * bench.window.devicePixelRatioF()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sound"] for row in rows] == ["Sound 3", "Sound, 5"]
    assert rows[0]["started_at"] == "2023-11-14T22:13:20.000Z"
    assert (rows[0]["ended_at"], rows[1]["ended_at"]) == ("2023-11-14T22:13:24.500Z", "")
    assert bench.window.panels.status.message == f"events saved as {table}"


def test_the_table_says_which_starts_were_taken_back(tmp_path: Path) -> None:
    events = [event("1", "Sound 3", 0.0, 4.5), taken_back("2", "Sound 5", 20.0, 21.0)]
    with save_events(events, tmp_path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["score"], row["confirmed"], row["fast_score"]) for row in rows] == [
        ("0.800", "True", ""),
        ("0.100", "False", "0.700"),
    ]


def test_a_clip_whose_path_is_no_unicode_does_not_keep_the_events_from_being_saved(tmp_path: Path) -> None:
    saved = save_events([event("1", "Sound 3", 0.0, 4.5, clip="/b\udcffd/1.flac")], tmp_path)
    assert "/b\\udcffd/1.flac" in saved.read_text(encoding="utf-8")


def test_files_of_the_same_second_get_different_names(bench: Bench, tmp_path: Path) -> None:
    kept = {save_events([], tmp_path) for _ in range(3)} | {
        save_picture(bench.window, tmp_path) for _ in range(2)
    }
    assert len(kept) == len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_can_not_be_created_gives_a_message(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ActionError, match="can't be used"):
        save_picture(bench.window, tmp_path / "file" / "folder")


def test_an_unusable_folder_gives_a_message(bench: Bench, tmp_path: Path) -> None:
    folder = path_of_length(tmp_path, 4085)
    with pytest.raises(ActionError, match="can't be used"):
        save_picture(bench.window, folder)
    with pytest.raises(ActionError, match="can't be used"):
        save_events([], folder)


def test_the_settings_are_saved_with_the_theme(bench: Bench) -> None:
    press(bench, Qt.Key.Key_T)
    press(bench, Qt.Key.Key_S, modifier=Qt.KeyboardModifier.ControlModifier)
    assert bench.window.panels.status.message == "settings saved in light.toml"


# Theme and layout


def test_t_changes_the_theme_everywhere(bench: Bench) -> None:
    fill(bench)
    window = bench.window
    bench.feed.accept(health())
    for darkest, brightest in ((0, 60), (200, 255)):
        bench.pass_time()
        for view in (
            window.panels.tags,
            window.panels.timeline.heat,
            window.panels.status,
            window.panels.level,
            window.panels.events.table,
        ):
            assert darkest <= np.median(pixels(view)) <= brightest, view
        press(bench, Qt.Key.Key_T)


def lightness(table: NDArray[np.uint32]) -> NDArray[np.float64]:
    rgb = np.stack([table >> 16 & 255, table >> 8 & 255, table & 255], axis=1) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return 116 * np.cbrt(luminance) - 16


@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda palette: palette.name)
def test_the_lightness_of_the_colormap_is_monotonic(palette: theme.Palette) -> None:
    steps = np.diff(lightness(theme.Style(1.0, palette).colour_table()[1:255])[::8])
    assert (steps > 0).all() or (steps < 0).all()
    assert np.abs(steps).max() < 4 * np.abs(steps).mean()


@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda palette: palette.name)
def test_scores_can_be_told_apart_by_lightness_alone(palette: theme.Palette) -> None:
    table = theme.Style(1.0, palette).score_table()
    steps = np.diff(lightness(table[[1, 26, 51, 77, 128, 178, 229, 254]]))
    assert (np.abs(steps) > 2).all()
    assert (steps > 0).all() or (steps < 0).all()


def test_a_score_has_the_same_colour_in_bars_timeline_and_events(bench: Bench) -> None:
    for second in range(1, 11):
        bench.feed.accept(tagging_at(second, {3: 0.8}))
    bench.pass_time(4.0)
    wanted = theme.score_colour(theme.DARK, 0.8)
    near = [wanted.red(), wanted.green(), wanted.blue()]
    tags, heat = bench.window.panels.tags, bench.window.panels.timeline.heat
    (row,) = tags.shown
    bar = tags.row_geometry.bar_rect(row.top)
    end = pixels(tags)[bar.center().y(), row.bar - 4]
    cell = pixels(heat)[heat.row_rect(0).center().y(), heat.width() - 4]
    assert np.abs(end.astype(int) - near).max() <= 12
    assert np.abs(cell.astype(int) - near).max() <= 12


def contrast(front: QColor, back: QColor) -> float:
    def luminance(colour: QColor) -> float:
        rgb = np.array([colour.redF(), colour.greenF(), colour.blueF()])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    bright, dim = sorted((luminance(front), luminance(back)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda palette: palette.name)
def test_text_has_enough_contrast(palette: theme.Palette) -> None:
    for colour in (palette.text, palette.soft, palette.good, palette.warning, palette.bad):
        assert contrast(colour, palette.panel) > 4.5
        assert contrast(colour, palette.background) > 4.5


def test_clipping_lights_the_lamp_for_three_seconds(bench: Bench) -> None:
    bench.play(np.full(1600, 1.0, np.float32))
    bench.pass_time()
    level = bench.window.panels.level
    assert level.meter.clipping
    lamp = pixels(level)[2, level.width() - 5]
    assert QColor(*lamp.tolist()) == theme.DARK.bad
    bench.pass_time(3.2)
    assert not level.meter.clipping


def test_help_lists_every_shortcut(bench: Bench) -> None:
    press(bench, Qt.Key.Key_F1)
    page = bench.window.control.help
    assert page.isVisible()
    signs = {sign.text() for sign, meaning in page._legend if sign.isVisible() and meaning.text()}
    assert {"Score", "Mark on a bar", "dBFS", "CLIP"} <= signs
    offered = list(bench.window.control.shortcuts.available())
    assert len(page._lines) == len(offered) == len(SHORTCUTS)
    click(bench, bench.window.rect().bottomLeft() + QPoint(3, -3))
    assert not page.isVisible()


def test_each_panel_has_a_title_and_an_explanation(bench: Bench) -> None:
    frames = bench.window.panels.frames
    assert [frame.title for frame in frames] == ["Spectrogram", "Sounds now", "Last minutes", "Events"]
    for frame in frames:
        assert len(frame.what.toolTip()) > 60
        QTest.mouseClick(frame.what, Qt.MouseButton.LeftButton)
        assert bench.window.control.help.isVisible()
        bench.window.control.help.dismiss()
    assert "threshold of a watched sound" in frames[1].what.toolTip()


def test_a_click_or_a_key_shows_the_figures_which_stay_current(bench: Bench) -> None:
    bench.feed.accept(health())
    bench.pass_time()
    figures, status = bench.window.control.figures, bench.window.panels.status
    QTest.mouseClick(status, Qt.MouseButton.LeftButton)
    assert figures.isVisible()
    assert "latency: 200 ms" in figures.text()
    assert "memory: 512 MB" in figures.text()
    bench.feed.accept(health(latency_p50_seconds=0.7, resident_bytes=None))
    bench.pass_time()
    assert "latency: 700 ms" in figures.text()
    assert "memory" not in figures.text()
    QTest.keyClick(figures, Qt.Key.Key_I)
    assert not figures.isVisible()
    press(bench, Qt.Key.Key_I)
    assert figures.isVisible()
    click(bench, bench.window.rect().topRight() + QPoint(-3, 3))
    assert not figures.isVisible()


@pytest.mark.parametrize("key", [Qt.Key.Key_F1, Qt.Key.Key_Slash])
def test_a_click_beside_search_or_help_closes_it_and_does_nothing_else(
    bench: Bench, program: FakeProgram, key: Qt.Key
) -> None:
    fill(bench)
    window = bench.window
    over = {Qt.Key.Key_F1: window.control.help, Qt.Key.Key_Slash: window.control.search}[key]
    tag = QPoint(window.panels.tags.width() - 5, row_of(bench, "Sound 5") + 12)
    for view, at in (
        (window.panels.tags, tag),
        (window.panels.timeline.heat, QPoint(40, 5)),
        (window.panels.status, QPoint(5, 5)),
    ):
        press(bench, key)
        place = view.mapTo(window, at)
        assert not over.geometry().contains(place)
        click(bench, place)
        assert not over.isVisible()
        assert [entry.sound.name for entry in program.watchlist.sounds] == ["Sound 3"]
    press(bench, key)
    turn_wheel(top_at(bench, window.panels.tags.mapTo(window, tag)), -120)
    click(bench, over.geometry().topLeft() + QPoint(4, 4))
    assert over.isVisible()
    assert window.state.frozen_at is None
    assert [entry.sound.name for entry in program.watchlist.sounds] == ["Sound 3"]


def test_no_two_shortcuts_share_a_key() -> None:
    keys = [key for command in SHORTCUTS.values() for key in command.keys]
    assert len(keys) == len(set(keys))


def test_unavailable_actions_have_neither_button_nor_key(qtbot: QtBot) -> None:
    bench = Bench(qtbot)
    assert [
        button.text() for button in bench.window.panels.header.findChildren(QToolButton) if button.isVisible()
    ] == [
        "Freeze",
        "More ▾",
    ]
    press(bench, Qt.Key.Key_P, Qt.Key.Key_Slash, Qt.Key.Key_W)
    assert bench.window.panels.header.state.text().startswith("WAITING")


@pytest.mark.parametrize(("width", "height"), [(640, 400), (800, 480), (1920, 1080), (3840, 2160)])
def test_overlays_fit_into_the_window(bench: Bench, qtbot: QtBot, width: int, height: int) -> None:
    bench.window.resize(width, height)
    qtbot.waitUntil(lambda: bench.window.width() == width, timeout=60_000)
    for key, overlay in (
        (Qt.Key.Key_F1, bench.window.control.help),
        (Qt.Key.Key_Slash, bench.window.control.search),
        (Qt.Key.Key_I, bench.window.control.figures),
    ):
        press(bench, key)
        assert overlay.isVisible()
        assert bench.window.rect().contains(overlay.geometry())
        assert overlay.sizeHint().width() <= width
        QTest.keyClick(overlay.focusProxy() or overlay, Qt.Key.Key_Escape)


def test_help_scrolls_in_one_column_if_two_do_not_fit(bench: Bench) -> None:
    bench.window.resize(640, 400)
    bench.pass_time()
    press(bench, Qt.Key.Key_F1)
    page = bench.window.control.help
    last, does = page._lines[-1]
    assert page.area.viewport().width() >= page._page.width()
    assert last.width() >= last.sizeHint().width()
    assert does.width() >= does.sizeHint().width()
    assert last.visibleRegion().isEmpty()
    QTest.keyClick(page.area, Qt.Key.Key_PageDown)
    QTest.keyClick(page.area, Qt.Key.Key_PageDown)
    assert not last.visibleRegion().isEmpty()


def test_buttons_and_tabs_fit_into_the_smallest_window(qtbot: QtBot, program: FakeProgram) -> None:
    bench = Bench(qtbot, "kitchen", "garden", "garage", actions=program.actions)
    window, header = bench.window, bench.window.panels.header
    window.resize(100, 100)
    bench.play(tone(1000, 1.0), source="kitchen")
    bench.pass_time()
    assert (window.width(), window.height()) == (640, 400)
    for button in header.buttons.values():
        assert button.width() >= button.sizeHint().width(), button.text()
    assert header.tabs.width() >= header.tabs.tabRect(0).width()
    assert header.rect().contains(header.state.geometry())
    assert header.state.width() == header.state.width_with(clock=False)
    events = window.panels.events
    sound = events.model.titles.index("Sound")
    assert events.table.columnWidth(sound) >= 60
    window.resize(1280, 720)
    bench.pass_time()
    assert header.state.width() == header.state.width_with(clock=True)
    assert header._title.width() == header._title.width_with(name=True)


@pytest.mark.slow
def test_the_number_of_widgets_does_not_grow(bench: Bench) -> None:
    fill(bench)

    def children() -> int:
        return len(bench.window.findChildren(QWidget))

    before = children()
    for second in range(31, 91):
        bench.play(tone(1000, 1.0), start_sample=second * SAMPLE_RATE_HZ)
        bench.feed.accept(tagging_at(second, {second % 30: 0.9}))
        bench.feed.accept(event(str(second), "Sound 3", second, second + 1))
        for _ in range(5):
            bench.now_seconds += FRAME_SECONDS
            bench.window.refresh(bench.now_seconds)
    assert children() == before
