"""The window for a wall, with the real loop."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import require
from display_bench import FRAME_SECONDS, LABELS, chunks_of, tagging, tone
from mosquitto import PATIENCE_SECONDS, wait_until
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.actions import Actions, Watched
from gui.app.kiosk import HOLD_SECONDS, KioskWindow, columns_for
from gui.app.run import run
from gui.data.feed import Feed
from gui.data.histories import SourceHistories
from gui.style import pictograms
from gui.style.theme import Tone
from gui.widgets.banner import Banner
from models.fbank import log_mel
from models.labels import audioset_classes, family_of
from streamer.messages import Event, SourceStatus

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {"Sound 3": "alarm", "Sound 5": "music"}


class Wall:
    """A kiosk on a feed, with a clock of its own."""

    def __init__(self, qtbot: QtBot, width: int = 1280, height: int = 720, *sources: str) -> None:
        self.feed = Feed(sources or ["mic"], LABELS)
        watched = [Watched("Alarm", (3,), (0.5,)), Watched("Music", (5,), (0.5,))]
        actions = Actions(watched=lambda source: watched if source != "attic" else [], families=FAMILIES)
        self.window = KioskWindow(
            self.feed, histories=SourceHistories(log_mel), title="Earshot", actions=actions
        )
        tile = self.window.tiles[0]
        self.tags, self.banner, self.picture = tile.tags, tile.banner, tile.picture
        qtbot.addWidget(self.window)
        self.window.resize(width, height)
        with qtbot.waitExposed(self.window):
            self.window.show()
        self.now_seconds = 1000.0

    def pass_time(self, seconds: float = FRAME_SECONDS) -> None:
        for _ in range(max(1, round(seconds / FRAME_SECONDS))):
            self.now_seconds += FRAME_SECONDS
            self.window.refresh(self.now_seconds)
        QApplication.processEvents()


@pytest.fixture
def wall(qtbot: QtBot) -> Wall:
    return Wall(qtbot)


def kiosks() -> Iterator[KioskWindow]:
    return (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, KioskWindow))


def feed_with_sound() -> Feed:
    feed = Feed(["mic"], LABELS)
    for chunk in chunks_of(tone(1000, 1.0)):
        feed.add_chunk("mic", chunk)
    return feed


def polls(count: int) -> Callable[[], bool]:
    ticks = iter(range(count))
    return lambda: next(ticks, None) is not None


def test_the_three_most_certain_tags_are_shown_and_no_more(wall: Wall) -> None:
    wall.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4, 9: 0.3}))
    wall.pass_time(3.0)
    assert [tag.label for tag in sorted(wall.tags.shown, key=lambda tag: tag.position)] == [
        "Sound 3",
        "Sound 5",
        "Sound 7",
    ]
    wall.feed.accept(tagging({3: 0.05}))
    wall.pass_time(3.0)
    assert wall.tags.shown == ()


def test_words_are_a_tenth_of_the_screen_high(wall: Wall) -> None:
    # At five metres, letters of 25 mm are easily read: on a screen 40 cm high, a sixteenth of it.
    wall.feed.accept(tagging({3: 0.9}))
    wall.pass_time(3.0)
    image = wall.tags.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    left = round(0.46 * 0.8 * wall.tags.height()) + 40
    words = pixels[: round(0.3 * image.height()), left : left + 300].max(axis=(1, 2)) > 150
    assert words.sum() > wall.window.height() / 16


def test_an_alarm_that_goes_on_is_red_and_music_is_not(wall: Wall) -> None:
    wall.feed.accept(tagging({3: 0.9, 5: 0.8}))
    wall.feed.accept(Event("1", "started", "Alarm", "mic", 0.9, 1.7e9))
    wall.feed.accept(Event("2", "started", "Music", "mic", 0.8, 1.7e9))
    wall.pass_time(3.0)
    assert {tag.label: tag.alarming for tag in wall.tags.shown} == {"Sound 3": True, "Sound 5": False}
    wall.feed.accept(Event("1", "ended", "Alarm", "mic", 0.9, 1.7e9, 1.7e9 + 3))
    wall.pass_time()
    assert not any(tag.alarming for tag in wall.tags.shown)


def test_a_device_that_vanishes_is_told_and_its_return_too(wall: Wall) -> None:
    wall.feed.accept(SourceStatus("mic", online=False, reason="USB Audio has stopped recording"))
    wall.pass_time()
    assert wall.banner.text == "USB Audio has stopped recording"
    wall.feed.accept(SourceStatus("mic", online=True))
    wall.pass_time()
    assert wall.banner.text == ""


def test_escape_must_be_held(wall: Wall) -> None:
    QTest.keyPress(wall.window, Qt.Key.Key_Escape)
    wall.pass_time(HOLD_SECONDS * 0.8)
    assert wall.banner.text == "keep holding Escape to leave"
    QTest.keyRelease(wall.window, Qt.Key.Key_Escape)
    wall.pass_time(HOLD_SECONDS)
    assert wall.window.isVisible()
    QTest.keyPress(wall.window, Qt.Key.Key_Escape)
    for _ in range(20):  # what a keyboard sends while a key is held
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress):
            repeated = QKeyEvent(
                kind, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier, autorep=True, text=""
            )
            QApplication.sendEvent(wall.window, repeated)
        wall.pass_time(HOLD_SECONDS / 15)
    assert not wall.window.isVisible()


@pytest.mark.parametrize(("width", "height"), [(800, 480), (3840, 2160), (720, 1280)])
def test_everything_fits(qtbot: QtBot, width: int, height: int) -> None:
    wall = Wall(qtbot, width, height)
    wall.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4}))
    wall.pass_time(2.0)
    views = (wall.tags, wall.banner, wall.picture)
    for number, view in enumerate(views):
        assert wall.window.rect().contains(view.geometry())
        assert not any(view.geometry().intersects(other.geometry()) for other in views[:number])
    for tag in wall.tags.shown:
        assert wall.tags.rect().contains(wall.tags._rect_of(tag))


ROOMS = ("kitchen", "attic", "garden")


def test_each_source_has_a_tile_with_its_own_tags_alarms_and_trouble(qtbot: QtBot) -> None:
    wall = Wall(qtbot, 1280, 720, *ROOMS)
    for number, room in enumerate(ROOMS):
        wall.feed.accept(tagging({3: 0.9, 10 + number: 0.5}, source=room))
    wall.feed.accept(Event("1", "started", "Alarm", "kitchen", 0.9, 1.7e9))
    wall.feed.accept(
        Event("2", "started", "Alarm", "attic", 0.9, 1.7e9)
    )  # where nobody watches for it any more
    wall.feed.accept(SourceStatus("garden", online=False, reason="USB Audio has stopped recording"))
    wall.pass_time(3.0)
    kitchen, attic, garden = wall.window.tiles
    assert [tile.banner.title for tile in wall.window.tiles] == list(ROOMS)
    assert [[tag.label for tag in tile.tags.shown] for tile in wall.window.tiles] == [
        ["Sound 3", "Sound 10"],
        ["Sound 3", "Sound 11"],
        ["Sound 3", "Sound 12"],
    ]
    assert [tag.alarming for tile in (kitchen, attic) for tag in tile.tags.shown] == [
        True,
        False,
        False,
        False,
    ]
    assert [tile.banner.text for tile in (kitchen, garden)] == ["", "USB Audio has stopped recording"]
    assert (kitchen.banner.tone, garden.banner.tone) == (Tone.WARNING, Tone.BAD)
    assert wall.window.banner.text == ""


def test_with_several_sources_escape_is_explained_below_them(qtbot: QtBot) -> None:
    wall = Wall(qtbot, 1280, 720, *ROOMS)
    QTest.keyPress(wall.window, Qt.Key.Key_Escape)
    wall.pass_time()
    assert wall.window.banner.text == "keep holding Escape to leave"
    QTest.keyRelease(wall.window, Qt.Key.Key_Escape)
    wall.pass_time()
    assert wall.window.banner.text == ""


def test_tiles_come_and_go_and_those_that_stay_are_the_same(wall: Wall) -> None:
    for chunk in chunks_of(tone(1000, 3.0)):
        wall.feed.add_chunk("mic", chunk)
    wall.feed.accept(tagging({3: 0.9}))
    wall.pass_time(3.0)
    window, (mic,) = wall.window, wall.window.tiles
    shown, end = mic.tags.shown, mic.picture.columns.end
    alone = [view.geometry() for view in (mic, mic.tags, mic.banner, mic.picture)]

    wall.feed.follow(["kitchen", "mic", "attic"])
    wall.feed.accept(tagging({5: 0.9}, source="attic"))
    wall.pass_time(3.0)
    wall.pass_time()
    assert [tile.source for tile in window.tiles] == ["kitchen", "mic", "attic"]
    assert window.tiles[1] is mic
    assert mic.picture.columns.end == end
    assert [[(tag.label, tag.strength) for tag in tile.tags.shown] for tile in window.tiles] == [
        [],
        [(tag.label, tag.strength) for tag in shown],
        [("Sound 5", shown[0].strength)],
    ]
    assert [tile.banner.title for tile in window.tiles] == ["kitchen", "mic", "attic"]
    views = [*window.tiles, window.banner]
    for number, view in enumerate(views):
        assert view.isVisible()
        assert window.rect().contains(view.geometry())
        assert not any(view.geometry().intersects(other.geometry()) for other in views[:number])
    assert mic.banner.geometry().bottom() < mic.tags.geometry().top()

    wall.feed.follow(["mic"])
    wall.pass_time(3.0)
    wall.pass_time()
    assert window.tiles == [mic]
    assert [view.geometry() for view in (mic, mic.tags, mic.banner, mic.picture)] == alone
    assert (mic.tags.shown, mic.banner.title, window.banner) == (shown, "", mic.banner)
    assert [banner for banner in window.findChildren(Banner) if banner.isVisible()] == [mic.banner]


def test_while_tiles_come_and_go_the_wall_is_never_without_them(wall: Wall) -> None:
    wall.feed.accept(tagging({3: 0.9}))
    wall.pass_time(3.0)
    (mic,) = wall.window.tiles
    for sources in (["mic", "kitchen"], ["kitchen", "attic", "mic"], ["mic"]):
        wall.feed.follow(sources)
        wall.now_seconds += FRAME_SECONDS
        wall.window.refresh(wall.now_seconds)
        assert wall.window.isVisible()
        assert mic.isVisible()
        assert mic.tags.shown
        QApplication.processEvents()
        drawn = mic.tags.shown
        mic.tags.advance(0.0)
        assert mic.tags.shown == drawn, "as large as it is now"


def test_a_source_with_another_name_has_a_tile_of_its_own(wall: Wall) -> None:
    wall.feed.accept(tagging({3: 0.9}))
    wall.pass_time(3.0)
    wall.feed.follow(["kitchen"])
    wall.pass_time()
    (tile,) = wall.window.tiles
    assert (tile.source, tile.tags.shown) == ("kitchen", ())
    wall.feed.accept(SourceStatus("kitchen", online=False))
    wall.pass_time()
    assert wall.window.banner.text == "kitchen is offline"


def test_tiles_that_have_gone_are_no_more(wall: Wall) -> None:
    before = len(wall.window.findChildren(QWidget))
    for number in range(5):
        wall.feed.follow(["mic", f"room {number}", f"hall {number}"])
        wall.pass_time()
        wall.feed.follow(["mic"])
        wall.pass_time()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert len(wall.window.findChildren(QWidget)) == before


@pytest.mark.parametrize(
    ("tiles", "width", "height", "columns"),
    [(1, 1280, 720, 1), (2, 1280, 720, 2), (2, 720, 1280, 1), (3, 1920, 1080, 2), (8, 1920, 1080, 3)],
)
def test_tiles_are_as_large_as_they_can_be(tiles: int, width: int, height: int, columns: int) -> None:
    assert columns_for(tiles, width, height) == columns


@pytest.mark.parametrize(("width", "height"), [(800, 480), (3840, 2160), (720, 1280)])
def test_all_tiles_fit(qtbot: QtBot, width: int, height: int) -> None:
    wall = Wall(qtbot, width, height, *(f"room {number}" for number in range(8)))
    for tile in wall.window.tiles:
        wall.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4}, source=tile.source))
    wall.pass_time(2.0)
    shown = [*wall.window.tiles, wall.window.banner]
    for number, view in enumerate(shown):
        assert wall.window.rect().contains(view.geometry())
        assert not any(view.geometry().intersects(other.geometry()) for other in shown[:number])
    for tile in wall.window.tiles:
        assert tile.tags.height() > tile.height() / 3
        assert all(tile.rect().contains(view.geometry()) for view in (tile.tags, tile.banner, tile.picture))


def test_each_family_of_sounds_has_a_picture_of_its_own() -> None:
    assert {family_of(entry.name) for entry in audioset_classes()} <= pictograms.FAMILIES
    pictures = {}
    for family in pictograms.FAMILIES:
        image = QImage(96, 96, QImage.Format.Format_RGB32)
        image.fill(QColor("black"))
        painter = QPainter(image)
        pictograms.paint(painter, family, image.rect().toRectF(), QColor("white"))
        painter.end()
        pictures[family] = bytes(image.constBits())
        lit = np.frombuffer(pictures[family], np.uint8).reshape(96, 96, 4)[:, :, 0] > 128
        assert 0.05 < lit.mean() < 0.6, family
    assert len(set(pictures.values())) == len(pictograms.FAMILIES)


@pytest.mark.usefixtures("qapp")
def test_it_fills_the_screen_and_hides_the_pointer() -> None:
    seen: list[tuple[object, ...]] = []

    def poll() -> bool:
        seen.extend(
            (kiosk.isFullScreen(), kiosk.cursor().shape(), kiosk.size())
            for kiosk in kiosks()
            if kiosk.isVisible()
        )
        return len(seen) < 5

    run(feed_with_sound(), log_mel=log_mel, poll=poll, kiosk=True)
    assert seen[-1] == (True, Qt.CursorShape.BlankCursor, QApplication.primaryScreen().size())


@pytest.mark.usefixtures("qapp")
def test_after_an_error_it_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.app.run._MIN_KIOSK_SECONDS", 0.1)
    draw = KioskWindow.refresh
    failures = iter([ZeroDivisionError("once")])
    opened: dict[KioskWindow, object] = {}
    began = time.monotonic()

    def failing(window: KioskWindow, now_seconds: float) -> None:
        opened[window] = window.tiles[0].picture.columns
        if time.monotonic() - began > 0.5 and (error := next(failures, None)) is not None:
            raise error
        draw(window, now_seconds)

    def poll() -> bool:
        return len(opened) < 2 and time.monotonic() - began < PATIENCE_SECONDS

    monkeypatch.setattr(KioskWindow, "refresh", failing)
    run(feed_with_sound(), log_mel=log_mel, poll=poll, kiosk=True)
    before, after = opened.values()
    assert after is before, "what was heard before is still there"
    assert not list(kiosks())


@pytest.mark.usefixtures("qapp")
def test_one_that_fails_at_once_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("always")

    monkeypatch.setattr(KioskWindow, "refresh", broken)
    with pytest.raises(ZeroDivisionError, match="always"):
        run(feed_with_sound(), log_mel=log_mel, poll=polls(300), kiosk=True)


@pytest.mark.usefixtures("qapp")
def test_what_the_crew_raises_ends_it() -> None:
    def poll() -> bool:
        raise OSError("a thread has failed")

    with pytest.raises(OSError, match="a thread has failed"):
        run(feed_with_sound(), log_mel=log_mel, poll=poll, kiosk=True)


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="other systems are asked in other ways")
def test_the_desktop_is_asked_to_leave_the_screen_on(tmp_path: Path) -> None:
    require("dbus-daemon", "dbus-monitor")
    bus = subprocess.Popen(
        [
            shutil.which("dbus-daemon") or "",
            "--session",
            "--nofork",
            "--print-address",
            f"--address=unix:path={tmp_path}/bus",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert bus.stdout is not None
    address = bus.stdout.readline().strip()
    log = tmp_path / "log"
    with log.open("w") as file:
        monitor = subprocess.Popen(["dbus-monitor", "--address", address], stdout=file)
    try:
        wait_until(lambda: "NameAcquired" in log.read_text(), "the monitor of the bus")
        code = "from PySide6.QtCore import QCoreApplication; a = QCoreApplication([]); from gui.app.awake import keep_screen_awake; keep_screen_awake('Earshot')"
        environment = os.environ | {"DBUS_SESSION_BUS_ADDRESS": address}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        assert "can't be kept on" in done.stderr, "nobody on this bus can do it"
        asked = 'interface=org.freedesktop.ScreenSaver; member=Inhibit\n   string "Earshot"'
        wait_until(lambda: asked in log.read_text(), "the question")
    finally:
        for process in (monitor, bus):
            process.kill()
            process.wait(timeout=10)
        bus.stdout.close()
