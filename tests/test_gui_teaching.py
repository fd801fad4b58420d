"""Teaching in the window: a stretch of the spectrogram, a name, and the verdict."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from support.display_bench import Bench, tone
from support.session import live_session
from support.teaching import Model, chime, other_sounds, ring
from support.waiting import START_SECONDS, wait_until

from earshot.commands import teach_lesson
from earshot.commands.teaching_controller import TeachingController
from earshot.window import window_actions
from gui.actions import Lesson
from gui.widgets.teachcard import TeachCard
from models.teaching import lessons
from models.teaching.examples import find_example
from models.teaching.kept_examples import read_examples, write_examples
from models.teaching.taught_sounds import TaughtSounds
from streamer.errors import SourceError
from streamer.events.own_sounds import own_sounds_folder
from streamer.events.watchlist import WatchLists
from streamer.live.changes import LiveSettings, Running
from streamer.live.switches import Switches
from streamer.messages import SAMPLE_RATE_HZ as RATE
from streamer.messages import AudioChunk, Event, Samples
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.sinks.history.store import History
from streamer.sources import open_source
from streamer.stream.sound_memory import SoundMemory


class Teaching(Bench):
    """Window of a program that can be taught."""

    def __init__(self, qtbot: QtBot, threads: ThreadGroup, history: History, file: Path) -> None:
        self.history = history
        settings = load_settings(
            {"source": ["mic=demo"], "model": "tiny", "precision": "fp32", "history": str(file)},
            config=Path("/dev/null"),
            environment={},
        )
        watchlists = WatchLists(None, {}, ("Dog", "Siren"))
        session = live_session([open_source("demo", name="mic")], lambda batch: batch)
        running = Running(session, watchlists, lambda *_: None)
        live_settings = LiveSettings(settings, lambda: settings, None, running)
        switches = Switches()
        self.memory = SoundMemory()
        self.controller = TeachingController(live_settings, watchlists, self.memory, threads)
        actions = window_actions(
            live_settings, watchlists, switches.turn, switches, history, self.controller.actions()
        )
        super().__init__(qtbot, actions=actions)
        self.seconds = 0.0

    @property
    def card(self) -> TeachCard:
        return self.window.control.teach.card

    @property
    def span(self) -> tuple[int, int] | None:
        return self.window.panels.spectrogram.selection.span

    def hear(self, samples: Samples) -> None:
        start = round(self.seconds * RATE)
        self.memory.add_chunk("mic", AudioChunk(samples, start, 1.7e9 + self.seconds))
        self.play(samples, start_sample=start)
        self.seconds += len(samples) / RATE
        self.pass_time()

    def drag(self, begin: float, end: float) -> None:
        """Select a stretch of the picture with the mouse; 0 is its left edge and 1 its right one."""
        selection = self.window.panels.spectrogram.selection
        places = [QPoint(round(share * selection.width()), selection.height() // 2) for share in (begin, end)]
        QTest.mousePress(selection, Qt.MouseButton.LeftButton, pos=places[0])
        self.pass_time()
        QTest.mouseMove(selection, places[1])
        QTest.mouseRelease(selection, Qt.MouseButton.LeftButton, pos=places[1])
        self.pass_time()

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.window, key, modifier)
        self.pass_time()

    def is_over(self) -> bool:
        """Return True once a lesson is over, and shown."""
        lesson = self.controller.lesson()
        self.pass_time()
        return lesson is not None and lesson.is_over


@pytest.fixture(name="bench")
def make_bench(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teaching]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = tmp_path / "history.db"
    with History(file, days=36_500.0) as history, ThreadGroup() as threads:
        yield Teaching(qtbot, threads, history, file)


def test_a_drag_holds_the_picture_and_asks_for_a_name(bench: Teaching) -> None:
    bench.hear(tone(1000.0, 12.0))
    bench.drag(0.25, 0.5)
    assert bench.window.state.frozen_at is not None
    assert bench.span is not None
    assert bench.span[1] - bench.span[0] == pytest.approx(256, abs=6)
    assert bench.card.isVisible()
    QTest.keyClicks(bench.card.field, "Our doorbell")
    QTest.keyClick(bench.card.field, Qt.Key.Key_Return)
    assert bench.card.text.text() == "1 of 5 examples; select the next one."
    assert bench.span is None
    QTest.keyClick(bench.card, Qt.Key.Key_Escape)
    assert not bench.card.isVisible()
    bench.drag(0.25, 0.5)
    QTest.keyClick(bench.card.field, Qt.Key.Key_Return)
    assert bench.card.text.text().startswith("example 1 and example 2 are the same recording")
    assert bench.controller.examples("Our doorbell").count == 1


def test_a_click_selects_nothing_and_lets_the_picture_go_on(bench: Teaching) -> None:
    bench.hear(tone(1000.0, 12.0))
    bench.drag(0.5, 0.5)
    assert bench.span is None
    assert not bench.card.isVisible()
    assert bench.window.state.frozen_at is None


def test_keys_select_move_and_name(bench: Teaching) -> None:
    bench.hear(tone(1000.0, 12.0))
    bench.press(Qt.Key.Key_L)
    assert bench.span is not None
    first, last = bench.span
    assert last - first == 200
    bench.press(Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert bench.span == (first - 25, last - 25)
    bench.press(Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert bench.span == (first - 25, last)
    bench.press(Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    bench.press(Qt.Key.Key_L)
    assert bench.card.isVisible()


def test_what_can_not_be_an_example_is_said_in_the_card(bench: Teaching) -> None:
    bench.hear(np.zeros(12 * RATE, np.float32))
    bench.drag(0.5, 0.8)
    for name, complaint in (
        ("Our door", "example 1 is silent"),
        ("smoke alarm", "the sound 'Smoke alarm' is known already"),
        ("bark", "the sound 'Bark' is known already"),
        ("", "a sound needs a name"),
    ):
        bench.card.named.emit(name)
        assert complaint in bench.card.text.text()
    assert bench.card.isVisible()


def teach_quickly(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """Teach a small model in place of the real ones."""
    monkeypatch.setattr(teach_lesson, "models_of", lambda _: [model])
    monkeypatch.setattr(lessons, "general_sounds", lambda *_: other_sounds())


def add_ring(bench: Teaching, number: int) -> None:
    """Let a bell ring, and make it an example."""
    begin = round(bench.seconds * RATE)
    bench.hear(ring(1000.0 + number, seed=number))
    bench.controller.add("mic", begin, round(bench.seconds * RATE), "Our bell")


def finished(bench: Teaching) -> Lesson:
    wait_until(bench.is_over, "the lesson")
    lesson = bench.controller.lesson()
    assert lesson is not None
    return lesson


def test_kept_recordings_without_the_sound_are_learned_from_and_stay(
    bench: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_quickly(monkeypatch, Model())
    file = TaughtSounds(own_sounds_folder()).examples_file("Our bell")
    file.parent.mkdir(parents=True)
    rings = [
        find_example(f"{number}.wav", ring(1000.0 + number, seed=number), 2 * RATE) for number in range(4)
    ]
    write_examples(file, rings, [ring(3000.0, seconds=3.0)])
    add_ring(bench, 4)
    assert not finished(bench).failed
    kept = read_examples(file)
    assert kept is not None
    assert [example.name for example in kept.examples] == ["0.wav", "1.wav", "2.wav", "3.wav", "example 5"]
    (other,) = kept.others
    np.testing.assert_allclose(other, ring(3000.0, seconds=3.0), atol=1e-4)


def test_an_unexpected_error_ends_the_lesson_alone(
    bench: Teaching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> list[Model]:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(teach_lesson, "models_of", fail)
    for number in range(5):
        add_ring(bench, number)
    lesson = finished(bench)
    assert (lesson.failed, lesson.verdict) == (True, ("CUDA out of memory",))
    assert "'Our bell' can't be learned: CUDA out of memory" in caplog.text
    teach_quickly(monkeypatch, Model())
    add_ring(bench, 5)
    assert not finished(bench).failed


def test_an_example_that_the_model_refuses_is_left_out(
    bench: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_quickly(monkeypatch, Model(speech=0.9))
    for number in range(5):
        add_ring(bench, number)
    lesson = finished(bench)
    assert lesson.failed
    assert lesson.verdict[0].startswith("example 1 is mostly speech")
    assert lesson.verdict[0].endswith("It is left out: select another one")
    assert bench.controller.examples("Our bell").count == 4
    teach_quickly(monkeypatch, Model())
    add_ring(bench, 5)
    assert not finished(bench).failed
    assert TaughtSounds(own_sounds_folder()).find("Our bell").examples == 5


def test_a_name_that_only_the_loaded_model_has_is_given_up(
    bench: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    model.labels = ("Speech", "Our bell")
    teach_quickly(monkeypatch, model)
    for number in range(5):
        add_ring(bench, number)
    lesson = finished(bench)
    assert lesson.verdict[0].startswith("the sound 'Our bell' is known already")
    assert bench.controller.names() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_stretches_teach_a_sound_and_the_verdict_is_shown(bench: Teaching, tmp_path: Path) -> None:
    for number in range(5):
        recording, _ = soundfile.read(chime(tmp_path / f"{number}.wav", number), dtype="float32")
        bench.hear(0.001 * np.ones(7 * RATE, np.float32))
        bench.hear(recording)
        bench.drag(0.65, 0.98)
        bench.card.named.emit("Our chime")
        if number == 2:
            assert bench.card.buttons["Learn now"].isVisible()
        if number < 4:
            QTest.keyClick(bench.card, Qt.Key.Key_Escape)
            assert bench.window.state.frozen_at is None
    assert bench.card.progress.isVisible()
    wait_until(bench.is_over, "the lesson", START_SECONDS)
    lesson = bench.controller.lesson()
    assert lesson is not None
    assert not lesson.failed, lesson
    assert "of 5 examples were found" in lesson.verdict[0]
    assert lesson.verdict[0] in bench.card.text.text()
    assert bench.card.title == "Our chime is learned"
    assert TaughtSounds(own_sounds_folder()).find("Our chime").examples == 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_wrong_event_is_corrected_from_its_menu(bench: Teaching, tmp_path: Path) -> None:
    clip = chime(tmp_path / "clip.flac", 1)
    event = Event("1", "ended", "Smoke alarm", "mic", 0.8, 1.7e9, 1.7e9 + 3, clip)
    bench.history.accept(event)
    bench.feed.accept(event)
    bench.pass_time()
    events = bench.window.control.events
    events.fill_menu(event)
    correct = {action.text(): action for action in events.menu.actions()}["Correct this…"]
    correct.trigger()
    bench.pass_time()
    assert bench.card.progress.isVisible()
    wait_until(bench.is_over, "the lesson", START_SECONDS)
    assert "Smoke alarm: lowered where it sounds like 1 recording" in bench.card.text.text()
    assert bench.card.title == "Smoke alarm is corrected"
    assert TaughtSounds(own_sounds_folder()).find("Smoke alarm").lowers


def test_sound_is_kept_for_what_is_on_screen_or_for_ten_minutes() -> None:
    memory = SoundMemory()
    ramp = (np.arange(40 * RATE) % 1000 / 1000).astype(np.float32)
    for start in range(0, len(ramp), 700):
        memory.add_chunk("mic", AudioChunk(ramp[start : start + 700], start, 0.0))
    assert np.abs(memory.cut("mic", 30 * RATE, 32 * RATE) - ramp[30 * RATE : 32 * RATE]).max() < 1e-4
    with pytest.raises(SourceError, match="older than what is kept in memory"):
        memory.cut("mic", 20 * RATE, 22 * RATE)
    memory.is_long = True
    more = (np.arange(100 * RATE) % 700 / 700).astype(np.float32)
    memory.add_chunk("mic", AudioChunk(more, 41 * RATE, 0.0))
    assert np.abs(memory.cut("mic", 30 * RATE, 32 * RATE) - ramp[30 * RATE : 32 * RATE]).max() < 1e-4
    assert not memory.cut("mic", 40 * RATE, 41 * RATE).any()
    assert np.abs(memory.cut("mic", 41 * RATE, 42 * RATE) - more[:RATE]).max() < 1e-4
    memory.is_long = False
    with pytest.raises(SourceError, match="keep ten minutes of sound"):
        memory.cut("mic", 60 * RATE, 61 * RATE)
    memory.set_sources(["other"])
    with pytest.raises(SourceError, match="older"):
        memory.cut("mic", 140 * RATE, 141 * RATE)
