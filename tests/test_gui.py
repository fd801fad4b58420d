import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from display_bench import FRAME_SECONDS, LABELS, Bench, chunks_of, health, tagging, tone
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.actions import Actions
from gui.app.display import require_display
from gui.app.kiosk import KioskWindow
from gui.app.run import run
from gui.app.window import LiveWindow
from gui.data.columns import COLUMNS, EMPTY, GAP, Columns, bin_of
from gui.data.feed import KEPT_SAMPLES, Feed
from gui.data.levelmeter import LevelMeter
from gui.data.ranking import Ranking
from gui.errors import DisplayError
from gui.style.theme import DARK, Tone
from models.fbank import log_mel
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Samples, SourceHealth, SourceStatus

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot)


# The feed


def test_the_feed_keeps_twelve_seconds_of_each_source_and_no_more() -> None:
    feed = Feed(["mic"], LABELS)
    second = np.zeros(SAMPLE_RATE_HZ, np.float32)
    for chunk in chunks_of(np.tile(second, 60), size=1000):
        feed.add_chunk("mic", chunk)
    kept = feed.snapshot().sources["mic"].chunks
    samples = sum(len(chunk.samples) for chunk in kept)
    assert KEPT_SAMPLES <= samples < KEPT_SAMPLES + 1000
    assert kept[-1].start_sample == 959_000


def test_the_feed_is_bounded_for_chunks_of_one_sample_and_empty_chunks() -> None:
    feed = Feed(["mic"], LABELS)
    for position in range(20_000):
        feed.add_chunk("mic", AudioChunk(np.zeros(position % 2, np.float32), position // 2, 0.0))
    assert len(feed.snapshot().sources["mic"].chunks) <= 12_000


def test_a_snapshot_holds_the_newest_of_each_source_and_does_not_change() -> None:
    feed = Feed(["a", "b"], LABELS)
    old, new, other = tagging({1: 0.5}, "a"), tagging({2: 0.5}, "a"), tagging({3: 0.5}, "b")
    for message in (old, other, new, SourceStatus("b", online=False, reason="Gone."), health()):
        feed.accept(message)
    feed.accept(Event("1", "started", "Bark", "a", 0.9, 0.0))
    snapshot = feed.snapshot()
    feed.accept(old)
    assert snapshot.sources["a"].tagging is new
    assert snapshot.sources["b"].tagging is other
    assert snapshot.sources["b"].status == SourceStatus("b", online=False, reason="Gone.")
    assert snapshot.health == health()


def test_taggings_stay_in_order_when_the_clock_is_set_back() -> None:
    feed = Feed(["mic"], LABELS)
    for ended_at in (100.0, 101.0, 102.0, 50.0, 51.0):
        feed.accept(replace(tagging({1: 0.5}), ended_at=ended_at))
    view = feed.snapshot().sources["mic"]
    assert [kept.ended_at for kept in view.taggings] == [50.0, 51.0]
    assert view.tagging_at(50.5) is view.taggings[0]


def test_chunks_after_a_count_are_the_new_ones() -> None:
    feed = Feed(["mic"], LABELS)
    chunks = list(chunks_of(np.zeros(1600, np.float32), size=160))
    for chunk in chunks:
        feed.add_chunk("mic", chunk)
    view = feed.snapshot().sources["mic"]
    assert view.chunk_count == 10
    assert view.chunks_after(7) == tuple(chunks[7:])
    assert view.chunks_after(10) == ()
    assert view.chunks_after(0) == tuple(chunks)


def test_threads_may_write_while_snapshots_are_taken() -> None:
    feed = Feed(["a", "b"], LABELS)

    def write(source: str) -> None:
        for chunk in chunks_of(np.zeros(320_000, np.float32), size=160):
            feed.add_chunk(source, chunk)

    writers = [threading.Thread(target=write, args=(source,)) for source in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for view in feed.snapshot().sources.values():
            starts = [chunk.start_sample for chunk in view.chunks]
            assert starts == sorted(starts)
            assert not starts or starts[-1] == (view.chunk_count - 1) * 160
    assert [view.chunk_count for view in feed.snapshot().sources.values()] == [2000, 2000]


def test_sources_that_stay_lose_nothing_when_others_come_and_go() -> None:
    feed = Feed(["a", "b"], LABELS)
    for source in "ab":
        for chunk in chunks_of(np.zeros(1600, np.float32), size=160):
            feed.add_chunk(source, chunk)
        feed.accept(tagging({1: 0.5}, source))
        feed.accept(SourceStatus(source, online=True))
    feed.accept(health(sources=(SourceHealth(source="a", state="silent"), SourceHealth(source="b"))))
    before = feed.snapshot()
    feed.follow(["c", "b"])
    after = feed.snapshot()
    assert feed.sources == tuple(after.sources) == ("c", "b")
    stayed, was = after.sources["b"], before.sources["b"]
    assert (stayed.chunks, stayed.chunk_count, stayed.taggings, stayed.status) == (
        was.chunks, was.chunk_count, was.taggings, was.status,
    )  # fmt: skip
    assert after.sources["c"].chunk_count == 0
    assert after.health == health(sources=(SourceHealth(source="b"),))
    assert list(before.sources) == ["a", "b"]


def test_only_the_events_of_a_removed_source_are_kept() -> None:
    feed = Feed(["a", "b"], LABELS)
    feed.accept(Event("1", "started", "Bark", "a", 0.9, 0.0))
    feed.follow(["b"])
    feed.add_chunk("a", AudioChunk(np.zeros(160, np.float32), 0, 0.0))
    feed.accept(tagging({1: 0.5}, "a"))
    feed.accept(SourceStatus("a", online=False, reason="it was removed"))
    ended = Event("1", "ended", "Bark", "a", 0.9, 0.0, 3.0)
    feed.accept(ended)
    snapshot = feed.snapshot()
    assert list(snapshot.sources) == ["b"]
    assert snapshot.events == (ended,)
    feed.follow(["a", "b"])
    returned = feed.snapshot().sources["a"]
    assert (returned.chunk_count, returned.tagging, returned.status) == (0, None, None)


def test_all_chunks_of_a_source_that_returns_under_its_old_name_are_new() -> None:
    feed = Feed(["a", "b"], LABELS)
    for chunk in chunks_of(np.zeros(1600, np.float32), size=160):
        feed.add_chunk("a", chunk)
    count = feed.snapshot().sources["a"].chunk_count
    feed.follow(["b"])
    feed.follow(["a", "b"])
    for chunk in chunks_of(np.zeros(480, np.float32), size=160):
        feed.add_chunk("a", chunk)
    view = feed.snapshot().sources["a"]
    assert len(view.chunks_after(count)) == view.chunk_count == 3


def test_sources_may_change_while_threads_write_and_snapshots_are_taken() -> None:
    source_lists = [("a", "b"), ("c",), ("b", "c", "a")]
    feed = Feed(source_lists[0], LABELS)
    over = threading.Event()

    def change_sources() -> None:
        for number in range(3000):
            feed.follow(source_lists[number % len(source_lists)])
        over.set()

    def write() -> None:
        number = 0
        while not over.is_set():
            for source in "abc":
                feed.add_chunk(source, AudioChunk(np.zeros(160, np.float32), 160 * number, 0.0))
                feed.accept(tagging({1: 0.5}, source))
                feed.accept(SourceStatus(source, online=True))
            number += 1

    threads = [threading.Thread(target=work) for work in (change_sources, write)]
    for thread in threads:
        thread.start()
    seen = set()
    while not over.is_set():
        snapshot = feed.snapshot()
        seen.add(tuple(snapshot.sources))
        seen.add(feed.sources)
        assert all(len(view.chunks) == min(view.chunk_count, 1200) for view in snapshot.sources.values())
    for thread in threads:
        thread.join()
    assert seen <= set(source_lists)


def test_the_data_modules_and_the_display_check_do_not_load_qt() -> None:
    modules = [f"gui.data.{path.stem}" for path in (ROOT / "gui" / "data").glob("*.py")]
    names = ", ".join(["gui.actions", "gui.errors", "gui.app.display", "gui.app.run", *modules])
    code = f"import sys, {names}; print(any('PySide' in name for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


# Spectrogram columns


@pytest.mark.parametrize("size", [97, 160, 480, 4000])
def test_columns_do_not_depend_on_the_chunk_size(size: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 12_000).astype(np.float32)
    whole, pieces = Columns(log_mel), Columns(log_mel)
    whole.extend(chunks_of(samples, size=len(samples)))
    for chunk in chunks_of(samples, size=size):
        pieces.extend([chunk])
    assert whole.end == pieces.end == 73
    difference = whole.values(0, 73).astype(int) - pieces.values(0, 73)
    assert np.abs(difference).max() <= 1  # a value between two steps may be rounded either way


def test_a_gap_becomes_a_stripe_as_wide_as_the_lost_sound() -> None:
    columns = Columns(log_mel)
    columns.extend(chunks_of(tone(1000, 1.0)))
    columns.extend(chunks_of(tone(1000, 1.0), start_sample=16_000 + 8_000))
    values = columns.values(0, columns.end)
    lost = (values == GAP).all(axis=1)
    assert lost.sum() == 52  # half a second, and the two frames that overlap the gap
    assert not (values[~lost] == GAP).any()
    assert np.flatnonzero(lost)[-1] == 149


def test_a_single_lost_sample_is_visible() -> None:
    columns = Columns(log_mel)
    columns.extend(chunks_of(tone(1000, 1.0)))
    columns.extend(chunks_of(tone(1000, 1.0), start_sample=16_001))
    assert (columns.values(0, columns.end) == GAP).all(axis=1).sum() >= 2


def test_a_restarted_stream_clears_the_picture() -> None:
    columns = Columns(log_mel)
    columns.extend(chunks_of(tone(1000, 2.0), start_sample=160_000))
    columns.extend(chunks_of(tone(1000, 0.5)))
    assert columns.restarts == 1
    assert columns.end == 48
    assert (columns.values(48, 48 + 800) == EMPTY).all()


def test_an_outage_of_hours_takes_no_memory_and_fills_the_picture() -> None:
    columns = Columns(log_mel)
    columns.extend(chunks_of(tone(1000, 1.0)))
    columns.extend(chunks_of(tone(1000, 0.1), start_sample=10_000 * SAMPLE_RATE_HZ))
    lost = (columns.values(columns.end - COLUMNS, columns.end) == GAP).all(axis=1)
    assert lost.sum() == COLUMNS - 8


@pytest.mark.parametrize("frequency_hz", [500, 1000, 3500])
def test_a_tone_is_brightest_at_its_frequency(frequency_hz: int) -> None:
    rows = log_mel(tone(frequency_hz, 1.0))
    assert abs(int(rows[50].argmax()) + 0.5 - bin_of(frequency_hz)) <= 1.0


# Ranking and level meter


def test_the_order_is_exact_once_the_scores_rest() -> None:
    ranking = Ranking(6, rows=4)
    scores = np.array([0.1, 0.42, 0.4, 0.41, 0.9, 0.3], np.float32)
    ranking.set_target(scores[::-1].copy())
    ranking.advance(5.0)
    ranking.set_target(scores)
    for _ in range(600):
        ranking.advance(FRAME_SECONDS)
    assert ranking.order == (4, 1, 3, 2)
    assert ranking.scores == pytest.approx(scores, abs=1e-4)


def test_nearly_equal_scores_do_not_flicker() -> None:
    ranking = Ranking(2, rows=2)
    changes = 0
    for second in range(20):
        ranking.set_target(np.array([0.5, 0.48 + 0.04 * (second % 2)], np.float32))
        for _ in range(30):
            before = ranking.order
            ranking.advance(FRAME_SECONDS)
            changes += bool(before) and before != ranking.order
    assert changes <= 8  # although another label leads each second


def test_a_high_score_reaches_the_top_within_a_second() -> None:
    ranking = Ranking(20, rows=3)
    ranking.set_target(np.linspace(0.6, 0.1, 20, dtype=np.float32))
    for _ in range(60):
        ranking.advance(FRAME_SECONDS)
    ranking.set_target(np.array([*np.linspace(0.3, 0.1, 19), 0.95], np.float32))
    for _ in range(30):
        ranking.advance(FRAME_SECONDS)
    assert ranking.order[0] == 19


def test_the_meter_reads_a_sine_as_its_rms_and_holds_its_peak() -> None:
    meter = LevelMeter()
    for chunk in chunks_of(tone(1000, 2.0, amplitude=0.5)):
        meter.advance(chunk.samples, 0.03)
    assert meter.level_dbfs == pytest.approx(-9.03, abs=0.05)
    assert meter.peak_dbfs == pytest.approx(-6.02, abs=0.05)
    for chunk in chunks_of(np.zeros(16_000, np.float32)):
        meter.advance(chunk.samples, 0.03)
    assert meter.level_dbfs < -40
    assert meter.peak_dbfs == pytest.approx(-6.02, abs=0.05)
    for chunk in chunks_of(np.zeros(16_000, np.float32)):
        meter.advance(chunk.samples, 0.03)
    assert meter.peak_dbfs == pytest.approx(-6.02 - 24 * 0.5, abs=1.0)


def test_the_meter_falls_without_samples() -> None:
    meter = LevelMeter()
    meter.advance(tone(1000, 0.5), 0.5)
    meter.advance(np.zeros(0, np.float32), 0.3)
    assert meter.level_dbfs > -10
    for _ in range(60):
        meter.advance(np.zeros(0, np.float32), FRAME_SECONDS)
    assert meter.level_dbfs < -40


# The window


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
    bench.feed.accept(health())
    bench.pass_time()
    assert bench.window.panels.status.text() == (
        "source mic  model tiny  device cpu  latency 184 ms  load 35%  drops 3  lost 1.5 s  broker connected"
    )


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
    tones = {field.caption: field.tone for field in status._fields}
    assert tones["sound"] == tones["garden"] == Tone.WARNING
    assert tones["drops"] == tones["lost"] == tones["load"] == Tone.PLAIN
    details = status.toolTip().splitlines()[1:]
    assert details == [
        "sound: silent, 0.00% of the last minute clipped",
        "noise floor: -61 dBFS",
        "lost: 0.0 s in 2 gaps, 1 of them overruns",
        "clock: +23 ppm",
        "latency p50, p95, p99: 200 ms, 400 ms, 900 ms",
        "windows: 55 tagged, 0 dropped",
        "memory: 512 MB",
    ]
    warning = DARK.warning.rgb()
    image = status.grab().toImage()
    assert any(image.pixel(x, y) == warning for x in range(image.width()) for y in range(image.height())), (
        "the value has the colour of a warning"
    )


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
    bench.feed.accept(health(windows=60, dropped_windows=dropped, lost_seconds=lost, broker=broker))
    bench.pass_time()
    fields = bench.window.panels.status._fields
    assert [field.caption for field in fields if field.tone == Tone.WARNING] == warned


def test_the_status_line_says_why_a_source_is_offline(bench: Bench) -> None:
    bench.play(tone(1000, 0.1))
    bench.pass_time()
    assert bench.window.panels.header.state.text().startswith("LIVE")
    bench.feed.accept(SourceStatus("mic", online=False, reason="The microphone was unplugged."))
    bench.pass_time()
    assert bench.window.panels.status.text().startswith("mic The microphone was unplugged.")
    assert bench.window.panels.header.state.text().startswith("OFFLINE")


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
    bench.feed.follow(["garden", "mic"])
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
    bench.feed.follow(["garden"])
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
    bench.feed.follow(sources)
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
    bench.feed.follow(["attic", "kitchen"])
    bench.pass_time()
    assert (bench.window.state.source, bench.window.state.frozen_at) == ("kitchen", frozen_at)


def test_a_hidden_window_follows_the_list_of_sources(qtbot: QtBot) -> None:
    bench = Bench(qtbot, "kitchen", "garden")
    bench.feed.follow(["attic"])
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


# The event loop


def feed_with_sound() -> Feed:
    feed = Feed(["mic"], LABELS)
    for chunk in chunks_of(tone(1000, 1.0)):
        feed.add_chunk("mic", chunk)
    return feed


def polls(count: int) -> Callable[[], bool]:
    """Return a function that returns False after some calls."""
    ticks = iter(range(count))
    return lambda: next(ticks, None) is not None


@pytest.mark.usefixtures("qapp")
def test_the_window_closes_when_poll_returns_false() -> None:
    began_at = time.monotonic()
    run(feed_with_sound(), log_mel=log_mel, poll=polls(5))
    assert time.monotonic() - began_at < 10
    assert not [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, LiveWindow)]


@pytest.mark.usefixtures("qapp")
def test_run_returns_when_the_window_is_closed() -> None:
    closed: list[bool] = []

    def poll() -> bool:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, LiveWindow) and not closed:
                closed.append(widget.close())
        return True

    run(feed_with_sound(), log_mel=log_mel, poll=poll)
    assert closed == [True]


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("kiosk", [False, True])
def test_a_hidden_window_loses_no_sound(kiosk: bool) -> None:
    feed = Feed(["mic"], LABELS)
    kept: list[Columns] = []
    due = [time.monotonic() + 1.2 * number for number in range(4)]

    def poll() -> bool:
        (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow | KioskWindow))
        window.hide()
        if due and time.monotonic() >= due[0]:
            del due[0]
            start = 10 * SAMPLE_RATE_HZ * (3 - len(due))
            for chunk in chunks_of(tone(1000, 10.0), size=1600, start_sample=start):
                feed.add_chunk("mic", chunk)
        kept[:] = [
            window.state.history.columns
            if isinstance(window, LiveWindow)
            else window.tiles[0].picture.columns
        ]
        return bool(due) or kept[0].end < 3990

    run(feed, log_mel=log_mel, poll=poll, kiosk=kiosk)
    values = kept[0].values(0, 3990)
    assert not (values == GAP).all(axis=1).any()
    assert values.any(axis=1).all()


def open_menu(window: LiveWindow) -> None:
    window.panels.header.buttons["Source"].showMenu()


def open_dialog(window: LiveWindow) -> None:
    window.control.source.menu.aboutToShow.emit()
    window.control.source.menu.actions()[-1].trigger()


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("open_something", [open_menu, open_dialog])
def test_sources_may_be_removed_while_a_menu_or_dialog_is_open(
    open_something: Callable[[LiveWindow], None],
) -> None:
    feed = feed_with_sound()
    opened: list[QWidget] = []
    shown: list[str] = []
    ticks = iter(range(200))

    def poll() -> bool:
        (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow))
        if next(ticks) == 3:
            QTimer.singleShot(0, lambda: open_something(window))
        if over := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            opened.append(over)
            feed.follow(["door", "attic"])
        shown.append(window.state.source)
        return len(opened) < 5

    run(feed, log_mel=log_mel, poll=poll, actions=Actions(list_inputs=tuple))
    assert len(opened) == 5
    assert shown[-1] == "door"


@pytest.mark.usefixtures("qapp")
def test_an_error_of_poll_reaches_the_caller() -> None:
    def poll() -> bool:
        raise OSError("a thread has failed")

    with pytest.raises(OSError, match="a thread has failed"):
        run(feed_with_sound(), log_mel=log_mel, poll=poll)


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("open_something", [open_menu, open_dialog])
@pytest.mark.parametrize("fails", ["poll", "view"])
def test_an_open_menu_or_dialog_does_not_keep_the_program_alive(
    open_something: Callable[[LiveWindow], None], fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QWidget] = []
    ticks = iter(range(200))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    def poll() -> bool:
        if next(ticks) == 3:
            (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow))
            QTimer.singleShot(0, lambda: open_something(window))
        if over := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            opened.append(over)
            if fails == "poll":
                raise KeyboardInterrupt
            monkeypatch.setattr(LiveWindow, "refresh", broken)
        return True

    actions = Actions(list_inputs=tuple)
    with pytest.raises(KeyboardInterrupt if fails == "poll" else ZeroDivisionError):
        run(feed_with_sound(), log_mel=log_mel, poll=poll, actions=actions)
    assert len(opened) == 1


@pytest.mark.usefixtures("qapp")
def test_an_error_of_a_widget_reaches_the_caller() -> None:
    def broken(samples: Samples) -> NDArray[np.float32]:
        raise ValueError(f"no rows of {len(samples)} samples")

    with pytest.raises(ValueError, match="no rows of"):
        run(feed_with_sound(), log_mel=broken, poll=polls(100))


@pytest.mark.usefixtures("qapp")
def test_an_error_while_painting_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError(f"{len(arguments)}")

    monkeypatch.setattr("gui.widgets.spectrogram.Picture._draw", broken)
    with pytest.raises(ZeroDivisionError):
        run(feed_with_sound(), log_mel=log_mel, poll=polls(100))


@pytest.mark.usefixtures("qapp")
def test_the_exception_hook_is_restored() -> None:
    before = sys.excepthook
    run(feed_with_sound(), log_mel=log_mel, poll=polls(1))
    assert sys.excepthook is before


# In a child process


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in _DISPLAY_VARIABLES}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_DISPLAY_VARIABLES = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
_REQUIRE = """
    from gui.app.display import require_display
    from gui.errors import DisplayError
    try:
        require_display()
    except DisplayError as error:
        print(error)
    else:
        print("ready")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no DISPLAY")
@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":4711"}, {"QT_QPA_PLATFORM": "no-such-platform"}])
def test_a_missing_display_is_reported_in_one_sentence_with_a_remedy(environment: dict[str, str]) -> None:
    done = run_python(_REQUIRE, **environment)
    assert done.returncode == 0, done.stderr
    assert "--headless" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_the_offscreen_platform_counts_as_a_display() -> None:
    done = run_python(_REQUIRE, QT_QPA_PLATFORM="offscreen")
    assert (done.stdout.strip(), done.returncode) == ("ready", 0)


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyqtgraph" else name)
    with pytest.raises(DisplayError, match=r'pip install "earshot\[gui\]"'):
        require_display()


def test_a_process_that_opened_a_window_ends_cleanly() -> None:
    done = run_python(
        """
        import numpy as np
        from gui.app.run import run
        from gui.data.feed import Feed
        ticks = iter(range(5))
        run(
            Feed(["a", "b"], ["Speech"]),
            log_mel=lambda samples: np.zeros((0, 128), np.float32),
            poll=lambda: next(ticks, None) is not None,
        )
        print("closed")
        """,
        QT_QPA_PLATFORM="offscreen",
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("closed", "", 0)


def test_this_pyside_loses_no_references_to_none() -> None:
    done = run_python(
        """
        import sys
        from PySide6.QtCore import QRectF
        rect = QRectF()
        before = sys.getrefcount(None)
        for _ in range(1000):
            rect.setWidth(1.0)
        print(abs(sys.getrefcount(None) - before) < 100)
        """
    )
    assert done.stdout.strip() == "True", (
        "this version of PySide6 loses references to None and will abort the process"
    )
