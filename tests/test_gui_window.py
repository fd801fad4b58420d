"""Panels of the live window."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from support.display_bench import Bench, health, tagging, tone

from gui.actions import Actions
from gui.data.columns import bin_of
from gui.data.condition import Light
from gui.style.theme import DARK
from streamer.messages import Losses, NoiseLevels, SourceHealth, SourceStatus


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot)


def test_the_picture_is_brightest_where_the_tone_is(bench: Bench) -> None:
    bench.play(tone(1000, 3.0))
    bench.pass_time()
    picture = bench.picture()
    height, width, _ = picture.shape
    brightness = picture[:, -width // 10 :].sum(axis=2).mean(axis=1)
    drawn_at = (height - brightness.argmax()) / height * 128
    assert drawn_at == pytest.approx(bin_of(1000), abs=1.5)
    before = picture[:, : width // 2].reshape(-1, 3)
    assert (before == before[0]).all(), "nothing was played before that"


def test_the_picture_moves_left_as_sound_arrives(bench: Bench) -> None:
    bench.play(tone(1000, 1.0))
    bench.play(tone(3000, 4.0), start_sample=16_000)
    bench.pass_time()
    picture = bench.picture()
    height, width, _ = picture.shape
    line = picture[round(height * (1 - bin_of(1000) / 128))].sum(axis=1)
    loud = np.flatnonzero(line > 450)
    assert loud.min() == pytest.approx(width * (10.24 - 5) / 10.24, abs=4)
    assert loud.max() == pytest.approx(width * (10.24 - 4) / 10.24, abs=4)


def test_lost_sound_is_a_stripe_on_screen(bench: Bench) -> None:
    bench.play(tone(1000, 2.0))
    bench.play(tone(1000, 2.0), start_sample=40_000)
    bench.pass_time()
    picture = bench.picture()
    stripe = (picture == [0x24, 0x70, 0x8C]).all(axis=(0, 2))
    width = picture.shape[1]
    assert stripe.sum() == pytest.approx(width * 0.5 / 10.24, abs=3)
    assert np.flatnonzero(stripe)[-1] == pytest.approx(width * (10.24 - 2) / 10.24, abs=3)


def test_the_picture_is_redrawn_after_a_resize(bench: Bench, qtbot: QtBot) -> None:
    bench.play(tone(1000, 3.0))
    bench.pass_time()
    bench.window.resize(800, 480)
    qtbot.waitUntil(lambda: bench.window.panels.spectrogram.width() < 500, timeout=60_000)
    QApplication.processEvents()
    picture = bench.picture()
    height, width, _ = picture.shape
    brightness = picture[:, -width // 10 :].sum(axis=2).mean(axis=1)
    assert (height - brightness.argmax()) / height * 128 == pytest.approx(bin_of(1000), abs=1.5)


def test_bars_show_the_top_labels_of_the_newest_tagging(bench: Bench) -> None:
    bench.feed.accept(tagging({3: 0.9, 5: 0.6, 7: 0.3}))
    bench.pass_time(3.0)
    assert bench.labels_shown() == ["Sound 3", "Sound 5", "Sound 7"]
    bench.feed.accept(tagging({8: 0.8, 5: 0.5, 9: 0.25, 3: 0.1}))
    bench.pass_time(5.0)
    assert bench.labels_shown() == ["Sound 8", "Sound 5", "Sound 9", "Sound 3"]
    rows = {row.label: row for row in bench.window.panels.tags.shown}
    assert [rows[label].score for label in ("Sound 8", "Sound 5", "Sound 9")] == ["0.80", "0.50", "0.25"]
    assert rows["Sound 8"].bar / rows["Sound 5"].bar == pytest.approx(1.6, abs=0.05)


def test_a_bar_moves_in_small_steps(bench: Bench) -> None:
    bench.feed.accept(tagging({3: 0.9}))
    bars = []
    for _ in range(30):
        bench.pass_time()
        bars += [row.bar for row in bench.window.panels.tags.shown]
    steps = np.diff(bars)
    assert (steps >= 0).all()
    assert steps.max() < bars[-1] / 5


def test_bars_are_on_screen(bench: Bench) -> None:
    tags = bench.window.panels.tags
    empty = tags.grab().toImage()
    bench.feed.accept(tagging({3: 0.9, 5: 0.4}))
    bench.pass_time(3.0)
    image = tags.grab().toImage()
    assert image != empty
    for row in tags.shown:
        middle = tags.row_geometry.bar_rect(row.top).center().y()
        inside, beyond = image.pixelColor(row.bar - 10, middle), image.pixelColor(row.bar + 10, middle)
        assert inside.value() > beyond.value() + 60


def test_partial_repaints_look_like_a_full_repaint(bench: Bench) -> None:
    for step in range(4):
        bench.feed.accept(tagging({3: 0.9 - 0.2 * step, 5: 0.5, step: 0.35, 10 + step: 0.6}))
        bench.play(tone(400 + 200 * step, 1.0), start_sample=16_000 * step)
        bench.pass_time(0.4)
    in_parts = QApplication.primaryScreen().grabWindow(bench.window.winId()).toImage()
    bench.window.repaint()
    bench.window.panels.tags.repaint()
    bench.window.panels.level.repaint()
    QApplication.processEvents()
    assert not in_parts.isNull()
    assert in_parts == QApplication.primaryScreen().grabWindow(bench.window.winId()).toImage()


def test_the_level_is_shown(bench: Bench) -> None:
    for piece in range(30):
        bench.play(tone(1000, 0.032, amplitude=0.5), start_sample=512 * piece)
        bench.pass_time()
    level = bench.window.panels.level
    assert level.reading == "-9 dB"
    image = level.grab().toImage()
    bar = level._bar_rect()
    lit, unlit = (
        image.pixelColor(bar.center().x(), bar.top() + round(bar.height() * share / 60) // 4 * 4 + 1)
        for share in (20, 4)
    )
    assert lit.value() > unlit.value() + 80


def test_the_status_line_shows_source_model_latency_and_losses(bench: Bench) -> None:
    bench.feed.accept(tagging({1: 0.5}, latency_seconds=0.184))
    bench.feed.accept(SourceStatus("mic", online=True))
    bench.feed.accept(health(overrun_seconds=1.5, lost_seconds=3600.0))
    bench.pass_time()
    assert bench.window.panels.status.text() == (
        "source mic  model tiny  device cpu  latency 184 ms  load 35%  drops 3  lost 1.5 s  broker connected"
    )


def test_a_model_that_is_being_loaded_stands_in_the_place_of_tags(bench: Bench) -> None:
    bench.feed.accept(health(model="", device="", loading="tiny"))
    bench.pass_time()
    assert bench.window.panels.tags._hint == "Loading tiny…"
    assert bench.window.panels.status.text().startswith("source mic  loading tiny  latency")
    bench.feed.accept(tagging({1: 0.5}))
    bench.feed.accept(health(loading="base, 34 % fetched"))
    bench.pass_time()
    assert "model tiny  device cpu  loading base, 34 % fetched" in bench.window.panels.status.text()
    bench.feed.accept(health())
    bench.pass_time()
    assert bench.window.panels.tags._hint == "Listening…"
    assert "loading" not in bench.window.panels.status.text()


def test_the_status_line_warns_of_problems_with_the_sound(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    sources = (
        SourceHealth(source="garden", state="clipping"),
        SourceHealth(source="kitchen", state="silent", gaps=2, overruns=1, drift_ppm=23.4, floor_dbfs=-61.2),
    )
    bench.feed.accept(health(dropped_windows=0, lost_seconds=0.0, sources=sources))
    bench.pass_time()
    status = bench.window.panels.status
    assert status.text().startswith("source kitchen  sound silent  garden clipping  model tiny")
    lights = {figure.caption: figure.light for figure in status.condition.figures}
    assert lights["sound"] == lights["garden"] == Light.DEGRADED
    assert lights["drops"] == lights["lost"] == lights["load"] == Light.OK
    assert status.line() == "Degraded: kitchen: silent; garden: clipping"
    assert status.accessibleName() == f"{status.line()}. {status.text()}"
    details = status.accessibleDescription().splitlines()
    assert details == [
        "sound silent, 0.00% of the last minute clipped",
        "noise floor -61 dBFS",
        "lost 0.0 s in 2 gaps, 0.0 s of it in overruns (1)",
        "clock +23 ppm",
        "latency p50, p95, p99 200 ms, 400 ms, 900 ms",
        "windows 55 tagged, 0 dropped",
        "memory 512 MB",
    ]
    warning = DARK.warning.rgb()
    image = status.grab().toImage()
    assert any(image.pixel(x, y) == warning for x in range(image.width()) for y in range(image.height())), (
        "the light has the colour of a warning"
    )


def test_the_figures_have_the_noise_of_the_last_minute(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen")
    noise = NoiseLevels(
        source="kitchen",
        started_at=0.0,
        ended_at=60.0,
        seconds=60.0,
        is_calibrated=True,
        leq_db=45.26,
        lmax_db=61.0,
        l10_db=47.0,
        l90_db=38.0,
    )
    bench.feed.accept(health(sources=(SourceHealth(source="kitchen", noise=noise),)))
    bench.pass_time()
    details = bench.window.panels.status.accessibleDescription().splitlines()
    assert "noise Leq 45.3, Lmax 61.0, L10 47.0, L90 38.0 dB(A) in the last minute" in details


@pytest.mark.parametrize(
    ("dropped", "lost", "broker", "warned"),
    [
        (0, 0.05, "none", []),
        (1, 0.05, "connected", ["drops"]),
        (0, 0.1, "connected", ["lost"]),
        (0, 0.0, "unreachable: no answer", ["broker"]),
    ],
)
def test_the_status_line_warns_of_drops_and_losses_only_above_a_share(
    bench: Bench, dropped: int, lost: float, broker: str, warned: list[str]
) -> None:
    bench.feed.accept(
        health(windows=60, dropped_windows=dropped, lost_seconds=3600.0, overrun_seconds=lost, broker=broker)
    )
    bench.pass_time()
    condition = bench.window.panels.status.condition
    assert [figure.caption for figure in condition.figures if figure.light is Light.DEGRADED] == warned
    assert condition.light is (Light.DEGRADED if warned else Light.OK)


def test_the_status_line_says_why_a_source_is_offline(bench: Bench) -> None:
    bench.play(tone(1000, 0.1))
    bench.pass_time()
    assert bench.window.panels.header.state.text().startswith("LIVE")
    bench.feed.accept(SourceStatus("mic", online=False, reason="The microphone was unplugged."))
    bench.pass_time()
    assert bench.window.panels.status.text().startswith("mic The microphone was unplugged.")
    assert bench.window.panels.status.line() == "Trouble: mic: The microphone was unplugged."
    assert bench.window.panels.header.state.text().startswith("OFFLINE")


def test_each_condition_has_its_word_and_its_shape(bench: Bench) -> None:
    status = bench.window.panels.status
    shapes, words = [], []
    for message in (
        health(dropped_windows=0, lost_seconds=0.0),
        health(dropped_windows=50),
        SourceStatus("mic", online=False, reason="unplugged"),
    ):
        bench.feed.accept(message)
        bench.pass_time()
        image = status.grab(QRect(0, 0, 14, status.height())).toImage()
        back = image.pixel(0, 0)
        shapes.append(
            [image.pixel(x, y) != back for x in range(image.width()) for y in range(image.height())]
        )
        words.append(status.line().partition(":")[0])
    assert words == ["All well", "Degraded", "Trouble"]
    assert shapes[0] != shapes[1] != shapes[2] != shapes[0]


def test_a_lasting_problem_and_lost_events_are_named(qtbot: QtBot) -> None:
    bench = Bench(
        qtbot, actions=Actions(notice="another Earshot uses this data folder, so events are not stored")
    )
    status = bench.window.panels.status
    bench.feed.accept(health(dropped_windows=0, lost_seconds=0.0))
    bench.pass_time()
    assert status.line() == "Degraded: another Earshot uses this data folder, so events are not stored"
    losses = Losses(unsaved_events=2, lost_events=1)
    bench.feed.accept(health(dropped_windows=0, lost_seconds=0.0, losses=losses))
    bench.pass_time()
    assert "1 starts and ends of events lost; 2 starts and ends of events not stored yet" in status.line()


def test_no_latency_is_shown_if_there_is_none(bench: Bench) -> None:
    bench.feed.accept(tagging({1: 0.5}, latency_seconds=None))
    bench.feed.accept(health(latency_p50_seconds=None))
    bench.pass_time()
    assert "latency" not in bench.window.panels.status.text()


def test_a_click_on_a_tab_shows_its_source(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    bench.play(tone(500, 3.0), source="kitchen")
    bench.play(tone(3000, 3.0), source="garden")
    bench.feed.accept(tagging({1: 0.9}, "kitchen"))
    bench.feed.accept(tagging({2: 0.9}, "garden"))
    bench.pass_time(1.0)
    tabs = bench.window.panels.header.tabs
    QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(1).center())
    bench.pass_time(1.0)
    assert bench.window.state.source == "garden"
    assert bench.labels_shown() == ["Sound 2"]
    columns = bench.window.panels.spectrogram.picture.columns
    assert columns.values(columns.end - 50, columns.end).mean(axis=0).argmax() == pytest.approx(
        bin_of(3000), abs=1.5
    )


def test_a_new_source_gets_a_tab_and_the_one_on_screen_stays(bench: Bench) -> None:
    bench.play(tone(1000, 3.0))
    bench.feed.accept(tagging({1: 0.9}))
    bench.pass_time(5.0)
    columns, shown = bench.window.panels.spectrogram.picture.columns, bench.window.panels.tags.shown
    bench.feed.set_sources(["garden", "mic"])
    bench.pass_time()
    header = bench.window.panels.header
    assert header.tabs.isVisible()
    assert [header.tabs.tabText(index) for index in range(2)] == ["garden", "mic"]
    assert (bench.window.state.source, header.tabs.currentIndex()) == ("mic", 1)
    assert bench.window.panels.spectrogram.picture.columns is columns
    assert (columns.end, bench.window.panels.tags.shown) == (298, shown)
    bench.play(tone(3000, 3.0), source="garden")
    bench.feed.accept(tagging({2: 0.9}, "garden"))
    QTest.mouseClick(header.tabs, Qt.MouseButton.LeftButton, pos=header.tabs.tabRect(0).center())
    bench.pass_time(1.0)
    assert (bench.window.state.source, bench.labels_shown()) == ("garden", ["Sound 2"])


def test_a_removed_source_loses_its_tab(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    bench.play(tone(1000, 3.0), source="garden")
    bench.pass_time(1.0)
    tabs = bench.window.panels.header.tabs
    tabs.setCurrentIndex(1)
    columns = bench.window.panels.spectrogram.picture.columns
    bench.feed.set_sources(["garden"])
    bench.pass_time()
    assert not tabs.isVisible()
    assert bench.window.state.source == "garden"
    assert bench.window.panels.spectrogram.picture.columns is columns
    assert columns.end == 298
    bench.window.panels.header.select_next()
    bench.pass_time()
    assert bench.window.state.source == "garden"


@pytest.mark.parametrize(
    ("sources", "shown"),
    [
        (["kitchen", "yard", "attic"], "yard"),
        (["kitchen", "attic"], "attic"),
        (["kitchen"], "kitchen"),
        (["cellar"], "cellar"),
    ],
)
def test_the_next_source_replaces_a_removed_one_on_screen(
    sources: list[str], shown: str, qtbot: QtBot
) -> None:
    bench = Bench(qtbot, "kitchen", "garden", "attic")
    bench.window.panels.header.select("garden")
    bench.play(tone(1000, 3.0), source="garden")
    bench.feed.accept(tagging({1: 0.9}, "garden"))
    bench.pass_time(1.0)
    bench.window.control.navigation.freeze(bench.window.state.shown_until - 1.0)
    bench.feed.set_sources(sources)
    bench.pass_time()
    window = bench.window
    assert (window.state.source, window.state.frozen_at) == (shown, None)
    assert sources[window.panels.header.tabs.currentIndex()] == shown
    assert bench.labels_shown() == []
    assert not window.panels.spectrogram.picture.columns.started
    assert window.panels.header.state.text() == "WAITING"


def test_a_frozen_picture_stays_while_other_sources_come_and_go(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    bench.play(tone(1000, 3.0), source="kitchen")
    bench.pass_time()
    bench.window.control.navigation.freeze(bench.window.state.shown_until - 1.0)
    frozen_at = bench.window.state.frozen_at
    bench.feed.set_sources(["attic", "kitchen"])
    bench.pass_time()
    assert (bench.window.state.source, bench.window.state.frozen_at) == ("kitchen", frozen_at)


def test_a_hidden_window_follows_the_list_of_sources(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    bench.feed.set_sources(["attic"])
    bench.play(tone(1000, 3.0), source="attic")
    bench.window.collect(2000.0)
    assert bench.window.state.source == "attic"
    assert bench.window.panels.spectrogram.picture.columns.end == 298


def test_a_single_source_has_no_tabs(bench: Bench) -> None:
    assert not bench.window.panels.header.tabs.isVisible()


@pytest.mark.parametrize(
    ("width", "height"), [(640, 400), (800, 480), (1280, 720), (1920, 1080), (720, 1280)]
)
def test_nothing_is_clipped_or_overlaps(bench: Bench, qtbot: QtBot, width: int, height: int) -> None:
    window = bench.window
    bench.feed.accept(tagging({label: 0.9 - label / 50 for label in range(20)}))
    window.resize(width, height)
    qtbot.waitUntil(lambda: (window.width(), window.height()) == (width, height), timeout=60_000)
    bench.pass_time(3.0)
    views = (
        window.panels.header,
        window.panels.spectrogram,
        window.panels.level,
        window.panels.tags,
        window.panels.timeline,
        window.panels.events,
        window.panels.status,
    )
    rects = [QRect(view.mapTo(window, QPoint(0, 0)), view.size()) for view in views]
    assert window.panels.spectrogram.rect().contains(window.panels.spectrogram.picture.geometry())
    assert window.panels.spectrogram.picture.width() > window.panels.spectrogram.width() * 0.75
    for number, rect in enumerate(rects):
        assert window.rect().contains(rect)
        assert not any(rect.intersects(other) for other in rects[:number])
    rows = sorted(window.panels.tags.shown, key=lambda row: row.top)
    assert len(rows) >= 4
    assert rows[-1].top + window.panels.tags.row_geometry.row_height <= window.panels.tags.height()
    assert np.diff([row.top for row in rows]).min() >= window.panels.tags.row_geometry.row_height - 1
