"""The kiosk, on its own and in the real event loop."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QKeyEvent, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from support.display_bench import (
    FRAME_SECONDS,
    LABELS,
    chunks_of,
    feed_with_sound,
    health,
    polls,
    tagging,
    tone,
)
from support.system import require
from support.waiting import PATIENCE_SECONDS, wait_until

from gui.actions import Actions
from gui.app.kiosk import HOLD_SECONDS, KioskWindow, columns_for
from gui.app.run import run
from gui.data.feed import Feed
from gui.data.histories import SourceHistories
from gui.errors import LookError
from gui.look import KioskLook
from gui.style import pictograms
from gui.style.fitting import Fitted, fit, paint_fitted
from gui.style.theme import Style, Tone
from gui.widgets.banner import Banner
from models.labels import audioset_classes, family_of
from models.log_mel import log_mel
from streamer.messages import Event, SourceStatus, Watched

ROOT = Path(__file__).resolve().parent.parent
PLAIN = KioskLook()
FAMILIES = {"Sound 3": "alarm", "Sound 5": "music"}


class KioskBench:
    """Real kiosk window with its own feed and clock."""

    def __init__(
        self, qtbot: QtBot, width: int = 1280, height: int = 720, *sources: str, look: KioskLook = PLAIN
    ) -> None:
        self.feed = Feed(sources or ["mic"], LABELS)
        watched = [Watched("Alarm", (3,), (0.5,)), Watched("Music", (5,), (0.5,))]
        actions = Actions(watched=lambda source: watched if source != "attic" else [], families=FAMILIES)
        self.window = KioskWindow(
            self.feed, histories=SourceHistories(log_mel), title="Earshot", actions=actions, look=look
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
def bench(qtbot: QtBot) -> KioskBench:
    return KioskBench(qtbot)


def kiosks() -> Iterator[KioskWindow]:
    return (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, KioskWindow))


def test_a_model_that_is_being_loaded_is_named(bench: KioskBench) -> None:
    bench.pass_time()
    assert bench.tags._hint == "Listening…"
    listening = bench.tags.grab().toImage()
    bench.feed.accept(health(model="", loading="tiny"))
    bench.pass_time()
    assert bench.tags._hint == "Loading tiny…"
    assert bench.tags.grab().toImage() != listening


def test_only_the_three_highest_tags_are_shown(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4, 9: 0.3}))
    bench.pass_time(3.0)
    assert [tag.label for tag in sorted(bench.tags.shown, key=lambda tag: tag.position)] == [
        "Sound 3",
        "Sound 5",
        "Sound 7",
    ]
    bench.feed.accept(tagging({3: 0.05}))
    bench.pass_time(3.0)
    assert bench.tags.shown == ()


def test_two_tags_that_change_places_are_in_them_within_a_sixth_of_a_second(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.5}))
    bench.pass_time(3.0)
    bench.feed.accept(tagging({3: 0.9, 5: 0.5, 7: 0.6}))
    bench.pass_time(1 / 6)
    places = {tag.label: tag.position for tag in bench.tags.shown}
    assert places["Sound 7"] == pytest.approx(100, abs=4)
    assert places["Sound 5"] == pytest.approx(200, abs=4)


def test_names_can_be_read_at_five_metres(bench: KioskBench) -> None:
    # Letters of 25 mm can be read at five metres: a sixteenth of a screen 40 cm high.
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(3.0)
    image = bench.tags.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    left = round(0.46 * 0.8 * bench.tags.height()) + 40
    words = pixels[: round(0.3 * image.height()), left : left + 300].max(axis=(1, 2)) > 150
    assert words.sum() > bench.window.height() / 16


def test_an_active_alarm_is_red_and_music_is_not(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9, 5: 0.8}))
    bench.feed.accept(Event("1", "started", "Alarm", "mic", 0.9, 1.7e9))
    bench.feed.accept(Event("2", "started", "Music", "mic", 0.8, 1.7e9))
    bench.pass_time(3.0)
    assert {tag.label: tag.alarming for tag in bench.tags.shown} == {"Sound 3": True, "Sound 5": False}
    bench.feed.accept(Event("1", "ended", "Alarm", "mic", 0.9, 1.7e9, 1.7e9 + 3))
    bench.pass_time()
    assert not any(tag.alarming for tag in bench.tags.shown)


def test_an_alarm_has_a_frame_too(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(3.0)
    corner = bench.tags._rect_of(bench.tags.shown[0]).bottomRight() - QPoint(30, 8)
    before = bench.tags.grab().toImage().pixelColor(corner)
    bench.feed.accept(Event("1", "started", "Alarm", "mic", 0.9, 1.7e9))
    bench.pass_time(1.0)
    assert bench.tags.grab().toImage().pixelColor(corner) != before


def test_the_invitation_fills_the_screen_until_something_is_heard(qtbot: QtBot) -> None:
    bench = KioskBench(qtbot, look=KioskLook(text="Clap, whistle, sing…"))
    bench.pass_time()
    assert bench.tags._hint == "Clap, whistle, sing…"
    assert bench.banner._invitation == ""
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(1.0)
    assert bench.banner._invitation == "Clap, whistle, sing…"
    with_words = bench.banner.grab().toImage()
    bench.banner.invite("")
    assert bench.banner.grab().toImage() != with_words
    several = KioskBench(qtbot, 1280, 720, "hall", "stairs", look=KioskLook(text="Sing!"))
    several.pass_time()
    assert [tile.tags._hint for tile in several.window.tiles] == ["Listening…", "Listening…"]
    assert several.window.banner._invitation == "Sing!"


LONG = "Clap, whistle, sing, stamp, laugh or bark, and see what the machine says of you!"
"""Invitation of 80 characters, the most that the settings allow."""

SIZES = [(1280, 720), (720, 1280), (800, 480), (480, 320), (3840, 2160)]


def lit(widget: QWidget) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Return which pixels of a widget are not dark."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = pixels[:, :, :3].max(axis=2) > 90
    return found


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Fitted]:
    """Texts that were drawn so that they fit."""
    found: list[Fitted] = []

    def note(text: str, width: int, height: int, *more: Any) -> Fitted:
        found.append(fit(text, width, height, *more))
        box = QRect(0, 0, width, height)
        needed = QFontMetrics(found[-1].font).boundingRect(box, found[-1].flags, found[-1].text)
        assert needed.width() <= width
        assert needed.height() <= height
        return found[-1]

    monkeypatch.setattr("gui.style.fitting.fit", note)
    return found


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("text", [LONG, LONG[:30], "m" * 80])
def test_the_whole_invitation_is_on_screen(
    qtbot: QtBot, fitted: list[Fitted], width: int, height: int, text: str
) -> None:
    bench = KioskBench(qtbot, width, height, look=KioskLook(text=text))
    bench.pass_time()
    fitted.clear()
    drawn = lit(bench.tags)
    assert drawn.any()
    assert not drawn[:, [0, 1, -2, -1]].any()
    assert [found.text for found in fitted] == [text] or " " not in text


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (1920, 1080)])
def test_the_whole_invitation_stands_beside_the_clock(
    qtbot: QtBot, fitted: list[Fitted], width: int, height: int
) -> None:
    bench = KioskBench(qtbot, width, height, look=KioskLook(text=LONG))
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(1.0)
    fitted.clear()
    bench.banner.grab()
    assert [found.text for found in fitted] == [LONG]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (800, 480)])
def test_the_whole_reason_is_shown_why_a_source_is_offline(
    qtbot: QtBot, fitted: list[Fitted], width: int, height: int
) -> None:
    reason = "USB Audio can't be recorded (device unplugged); check whether another program uses it"
    bench = KioskBench(qtbot, width, height)
    bench.feed.accept(SourceStatus("mic", online=False, reason=reason))
    bench.pass_time()
    fitted.clear()
    bench.banner.grab()
    assert [found.text for found in fitted] == [reason]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_long_names_are_shown_in_full(qtbot: QtBot, fitted: list[Fitted], width: int, height: int) -> None:
    bench = KioskBench(qtbot, width, height)
    names = ["Wind instrument, woodwind instrument", "Vehicle horn, car horn, honking", "Smoke detector"]
    bench.tags._labels = [{3: names[0], 5: names[1], 7: names[2]}.get(number, "") for number in range(40)]
    bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4}))
    bench.pass_time(3.0)
    fitted.clear()
    bench.tags.grab()
    assert sorted(found.text for found in fitted) == sorted(names)
    for tag in bench.tags.shown:
        assert bench.tags._bar_rect(tag).width() > bench.tags.width() / 2


@pytest.mark.usefixtures("qapp")
def test_a_text_that_fits_keeps_its_size() -> None:
    expected = Fitted(Style().font(48), "Listening…", Qt.TextFlag.TextWordWrap.value)
    assert fit("Listening…", 600, 60, (48, 16)) == expected


@pytest.mark.usefixtures("qapp")
def test_a_text_that_is_too_long_for_the_smallest_letters_loses_its_middle(fitted: list[Fitted]) -> None:
    picture = QImage(300, 60, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    paint_fitted(painter, picture.rect(), f"Loading /home/{'m' * 300}/model.pth…", (48, 16))
    painter.end()
    assert fitted[0].text.startswith("Loading /home/")
    assert fitted[0].text.endswith("model.pth…")


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("USB Audio at usb-0000 can't be opened because another program uses it now: " * 4, "TextWordWrap"),
        (f"Model {'M' * 300}", "TextWrapAnywhere"),
    ],
)
def test_words_of_a_text_that_is_too_long_stay_whole_where_they_fit(text: str, flag: str) -> None:
    fitted = fit(text, 400, 60, (30, 14))
    assert fitted.flags == Qt.TextFlag[flag].value
    assert "…" in fitted.text
    needed = QFontMetrics(fitted.font).boundingRect(QRect(0, 0, 400, 60), fitted.flags, fitted.text)
    assert needed.width() <= 400
    assert needed.height() <= 60


def test_the_kiosk_speaks_german(qtbot: QtBot) -> None:
    bench = KioskBench(qtbot, look=KioskLook(language="de"))
    bench.pass_time()
    assert bench.tags._hint == "Ich höre zu…"
    bench.feed.accept(health(model="", loading="tiny"))
    bench.feed.accept(SourceStatus("mic", online=False))
    bench.pass_time()
    assert bench.tags._hint == "Lädt tiny…"
    assert bench.banner.text == "mic: kein Ton"
    QTest.keyPress(bench.window, Qt.Key.Key_Escape)
    bench.pass_time()
    assert bench.banner.text == "Escape gedrückt halten, um zu beenden"


def test_hidden_sounds_are_not_shown(qtbot: QtBot) -> None:
    bench = KioskBench(qtbot, look=KioskLook(hidden=frozenset({"Sound 3"})))
    bench.feed.accept(tagging({3: 0.9, 5: 0.6}))
    bench.pass_time(3.0)
    assert [tag.label for tag in bench.tags.shown] == ["Sound 5"]


def picture_file(folder: Path, name: str) -> Path:
    """Write a wide red picture."""
    path = folder / name
    if path.suffix == ".svg":
        path.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><rect width="40" height="10" fill="#ff0000"/></svg>'
        )
    else:
        image = QImage(40, 10, QImage.Format.Format_RGB32)
        image.fill(QColor("#ff0000"))
        assert image.save(str(path))
    return path


@pytest.mark.parametrize("name", ["logo.png", "logo.svg", "logo.jpg"])
def test_a_logo_takes_the_place_of_the_programs(qtbot: QtBot, tmp_path: Path, name: str) -> None:
    bench = KioskBench(qtbot, look=KioskLook(logo=picture_file(tmp_path, name)))
    bench.pass_time()
    image = bench.banner.grab().toImage()
    for x in (4, 3 * bench.banner.height()):
        colour = image.pixelColor(x, image.height() // 2)
        assert colour.red() > 240
        assert colour.green() < 20


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read (No such file or directory); check the path"),
        (b"hello", "give a PNG, an SVG or a JPEG"),
    ],
)
def test_a_logo_that_can_not_be_shown_is_reported(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "logo.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LookError) as caught:
        KioskLook(logo=path).check()
    assert str(caught.value).startswith(f"kiosk_logo: {path} ")
    assert str(caught.value).endswith(reason)


@pytest.mark.usefixtures("qapp")
def test_a_damaged_logo_ends_the_start(tmp_path: Path) -> None:
    for name, content in (("logo.png", b"\x89PNG damaged"), ("logo.svg", b"<svg damaged")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(LookError, match="is damaged; give another PNG or SVG"):
            run(feed_with_sound(), log_mel=log_mel, poll=polls(3), kiosk=True, look=KioskLook(logo=path))


def test_a_lost_device_is_shown_until_it_returns(bench: KioskBench) -> None:
    bench.feed.accept(SourceStatus("mic", online=False, reason="USB Audio has stopped recording"))
    bench.pass_time()
    assert bench.banner.text == "USB Audio has stopped recording"
    bench.feed.accept(SourceStatus("mic", online=True))
    bench.pass_time()
    assert bench.banner.text == ""


def test_escape_closes_the_kiosk_only_if_it_is_held(bench: KioskBench) -> None:
    QTest.keyPress(bench.window, Qt.Key.Key_Escape)
    bench.pass_time(HOLD_SECONDS * 0.8)
    assert bench.banner.text == "keep holding Escape to leave"
    QTest.keyRelease(bench.window, Qt.Key.Key_Escape)
    bench.pass_time(HOLD_SECONDS)
    assert bench.window.isVisible()
    QTest.keyPress(bench.window, Qt.Key.Key_Escape)
    for _ in range(20):  # key repeats while the key is held
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress):
            repeated = QKeyEvent(
                kind, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier, autorep=True, text=""
            )
            QApplication.sendEvent(bench.window, repeated)
        bench.pass_time(HOLD_SECONDS / 15)
    assert not bench.window.isVisible()


@pytest.mark.parametrize(("width", "height"), [(800, 480), (3840, 2160), (720, 1280)])
def test_a_single_tile_fits(qtbot: QtBot, width: int, height: int) -> None:
    bench = KioskBench(qtbot, width, height)
    bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4}))
    bench.pass_time(2.0)
    views = (bench.tags, bench.banner, bench.picture)
    for number, view in enumerate(views):
        assert bench.window.rect().contains(view.geometry())
        assert not any(view.geometry().intersects(other.geometry()) for other in views[:number])
    for tag in bench.tags.shown:
        assert bench.tags.rect().contains(bench.tags._rect_of(tag))


ROOMS = ("kitchen", "attic", "garden")


def test_each_source_has_a_tile_with_its_own_tags_alarms_and_problem(qtbot: QtBot) -> None:
    bench = KioskBench(qtbot, 1280, 720, *ROOMS)
    for number, room in enumerate(ROOMS):
        bench.feed.accept(tagging({3: 0.9, 10 + number: 0.5}, source=room))
    bench.feed.accept(Event("1", "started", "Alarm", "kitchen", 0.9, 1.7e9))
    bench.feed.accept(Event("2", "started", "Alarm", "attic", 0.9, 1.7e9))  # not watched there any more
    bench.feed.accept(SourceStatus("garden", online=False, reason="USB Audio has stopped recording"))
    bench.pass_time(3.0)
    kitchen, attic, garden = bench.window.tiles
    assert [tile.banner.title for tile in bench.window.tiles] == list(ROOMS)
    assert [[tag.label for tag in tile.tags.shown] for tile in bench.window.tiles] == [
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
    assert bench.window.banner.text == ""


def test_with_several_sources_escape_is_explained_below_them(qtbot: QtBot) -> None:
    bench = KioskBench(qtbot, 1280, 720, *ROOMS)
    QTest.keyPress(bench.window, Qt.Key.Key_Escape)
    bench.pass_time()
    assert bench.window.banner.text == "keep holding Escape to leave"
    QTest.keyRelease(bench.window, Qt.Key.Key_Escape)
    bench.pass_time()
    assert bench.window.banner.text == ""


def test_tiles_that_stay_are_the_same_while_others_come_and_go(bench: KioskBench) -> None:
    for chunk in chunks_of(tone(1000, 3.0)):
        bench.feed.add_chunk("mic", chunk)
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(3.0)
    window, (mic,) = bench.window, bench.window.tiles
    shown, end = mic.tags.shown, mic.picture.columns.end
    alone = [view.geometry() for view in (mic, mic.tags, mic.banner, mic.picture)]

    bench.feed.set_sources(["kitchen", "mic", "attic"])
    bench.feed.accept(tagging({5: 0.9}, source="attic"))
    bench.pass_time(3.0)
    bench.pass_time()
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

    bench.feed.set_sources(["mic"])
    bench.pass_time(3.0)
    bench.pass_time()
    assert window.tiles == [mic]
    assert [view.geometry() for view in (mic, mic.tags, mic.banner, mic.picture)] == alone
    assert (mic.tags.shown, mic.banner.title, window.banner) == (shown, "", mic.banner)
    assert [banner for banner in window.findChildren(Banner) if banner.isVisible()] == [mic.banner]


def test_tiles_stay_visible_while_others_come_and_go(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(3.0)
    (mic,) = bench.window.tiles
    for sources in (["mic", "kitchen"], ["kitchen", "attic", "mic"], ["mic"]):
        bench.feed.set_sources(sources)
        bench.now_seconds += FRAME_SECONDS
        bench.window.refresh(bench.now_seconds)
        assert bench.window.isVisible()
        assert mic.isVisible()
        assert mic.tags.shown
        QApplication.processEvents()
        drawn = mic.tags.shown
        mic.tags.advance(0.0)
        assert mic.tags.shown == drawn, "the size is up to date"


def test_a_renamed_source_gets_a_new_tile(bench: KioskBench) -> None:
    bench.feed.accept(tagging({3: 0.9}))
    bench.pass_time(3.0)
    bench.feed.set_sources(["kitchen"])
    bench.pass_time()
    (tile,) = bench.window.tiles
    assert (tile.source, tile.tags.shown) == ("kitchen", ())
    bench.feed.accept(SourceStatus("kitchen", online=False))
    bench.pass_time()
    assert bench.window.banner.text == "kitchen is offline"


def test_removed_tiles_are_deleted(bench: KioskBench) -> None:
    before = len(bench.window.findChildren(QWidget))
    for number in range(5):
        bench.feed.set_sources(["mic", f"room {number}", f"hall {number}"])
        bench.pass_time()
        bench.feed.set_sources(["mic"])
        bench.pass_time()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert len(bench.window.findChildren(QWidget)) == before


@pytest.mark.parametrize(
    ("tiles", "width", "height", "columns"),
    [(1, 1280, 720, 1), (2, 1280, 720, 2), (2, 720, 1280, 1), (3, 1920, 1080, 2), (8, 1920, 1080, 3)],
)
def test_tiles_are_as_large_as_possible(tiles: int, width: int, height: int, columns: int) -> None:
    assert columns_for(tiles, width, height) == columns


@pytest.mark.parametrize(("width", "height"), [(800, 480), (3840, 2160), (720, 1280)])
def test_all_tiles_fit(qtbot: QtBot, width: int, height: int) -> None:
    bench = KioskBench(qtbot, width, height, *(f"room {number}" for number in range(8)))
    for tile in bench.window.tiles:
        bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.4}, source=tile.source))
    bench.pass_time(2.0)
    shown = [*bench.window.tiles, bench.window.banner]
    for number, view in enumerate(shown):
        assert bench.window.rect().contains(view.geometry())
        assert not any(view.geometry().intersects(other.geometry()) for other in shown[:number])
    for tile in bench.window.tiles:
        assert tile.tags.height() > tile.height() / 3
        assert all(tile.rect().contains(view.geometry()) for view in (tile.tags, tile.banner, tile.picture))


def test_each_kind_of_sound_has_its_own_pictogram() -> None:
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
def test_the_kiosk_fills_the_screen_and_hides_the_pointer() -> None:
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
def test_the_kiosk_is_opened_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert after is before, "the sound is kept"
    assert not list(kiosks())


@pytest.mark.usefixtures("qapp")
def test_a_kiosk_that_fails_at_once_raises_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("always")

    monkeypatch.setattr(KioskWindow, "refresh", broken)
    with pytest.raises(ZeroDivisionError, match="always"):
        run(feed_with_sound(), log_mel=log_mel, poll=polls(300), kiosk=True)


@pytest.mark.usefixtures("qapp")
def test_an_error_of_poll_ends_the_kiosk() -> None:
    def poll() -> bool:
        raise OSError("a thread has failed")

    with pytest.raises(OSError, match="a thread has failed"):
        run(feed_with_sound(), log_mel=log_mel, poll=poll, kiosk=True)


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other interfaces")
def test_the_desktop_is_asked_to_keep_the_screen_on(tmp_path: Path) -> None:
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
        wait_until(lambda: "NameAcquired" in log.read_text(), "the bus monitor")
        code = "from PySide6.QtCore import QCoreApplication; a = QCoreApplication([]); from gui.app.awake import keep_screen_awake; keep_screen_awake('Earshot')"
        environment = os.environ | {"DBUS_SESSION_BUS_ADDRESS": address}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        assert "can't be kept on" in done.stderr, "nothing on this bus can do it"
        request = 'interface=org.freedesktop.ScreenSaver; member=Inhibit\n   string "Earshot"'
        wait_until(lambda: request in log.read_text(), "the request")
    finally:
        for process in (monitor, bus):
            process.kill()
            process.wait(timeout=10)
        bus.stdout.close()
