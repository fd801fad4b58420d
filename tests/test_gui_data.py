"""Feed, spectrogram columns, ranking and level meter: the data behind the window."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.display_bench import FRAME_SECONDS, LABELS, chunks_of, health, tagging, tone

from gui.data.columns import COLUMNS, EMPTY, GAP, Columns, bin_of
from gui.data.feed import KEPT_SAMPLES, Feed
from gui.data.levelmeter import LevelMeter
from gui.data.ranking import Ranking
from models.log_mel import log_mel
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, SourceHealth, SourceStatus

ROOT = Path(__file__).resolve().parent.parent


# Feed


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
    feed.set_sources(["c", "b"])
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
    feed.set_sources(["b"])
    feed.add_chunk("a", AudioChunk(np.zeros(160, np.float32), 0, 0.0))
    feed.accept(tagging({1: 0.5}, "a"))
    feed.accept(SourceStatus("a", online=False, reason="it was removed"))
    ended = Event("1", "ended", "Bark", "a", 0.9, 0.0, 3.0)
    feed.accept(ended)
    snapshot = feed.snapshot()
    assert list(snapshot.sources) == ["b"]
    assert snapshot.events == (ended,)
    feed.set_sources(["a", "b"])
    returned = feed.snapshot().sources["a"]
    assert (returned.chunk_count, returned.tagging, returned.status) == (0, None, None)


def test_all_chunks_of_a_source_that_returns_under_its_old_name_are_new() -> None:
    feed = Feed(["a", "b"], LABELS)
    for chunk in chunks_of(np.zeros(1600, np.float32), size=160):
        feed.add_chunk("a", chunk)
    count = feed.snapshot().sources["a"].chunk_count
    feed.set_sources(["b"])
    feed.set_sources(["a", "b"])
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
            feed.set_sources(source_lists[number % len(source_lists)])
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


def test_the_order_is_that_of_the_newest_scores() -> None:
    ranking = Ranking(6, rows=4)
    scores = np.array([0.1, 0.42, 0.4, 0.41, 0.9, 0.3], np.float32)
    ranking.set_target(scores[::-1].copy())
    ranking.advance(FRAME_SECONDS)
    assert ranking.order == (1, 4, 2, 3)
    ranking.set_target(scores)
    ranking.advance(FRAME_SECONDS)
    assert ranking.order == (4, 1, 3, 2)
    for _ in range(120):
        ranking.advance(FRAME_SECONDS)
    assert ranking.scores == pytest.approx(scores, abs=1e-4)


def test_scores_that_read_the_same_stay_where_they_are() -> None:
    ranking = Ranking(3, rows=2)
    orders = set()
    for second in range(20):
        ranking.set_target(np.array([0.5, 0.498 + 0.004 * (second % 2), 0.4951], np.float32))
        ranking.advance(FRAME_SECONDS)
        orders.add(ranking.order)
    assert orders == {(0, 1)}


def test_quiet_labels_are_not_shown() -> None:
    ranking = Ranking(3, rows=3)
    ranking.set_target(np.array([0.5, 0.019, 0.021], np.float32))
    ranking.advance(FRAME_SECONDS)
    assert ranking.order == (0, 2)


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
