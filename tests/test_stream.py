"""The core of the stream: ring buffer, windows, scoring, queues."""

import threading
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import RecordingError
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.levels import LOWEST_DBFS, level_dbfs
from streamer.messages import AudioChunk, Event, Samples, Tagging, Window
from streamer.runtime.queues import BoundedQueue
from streamer.sources.conversion import Converter
from streamer.stream.offline import tag_stream
from streamer.stream.ring_buffer import RingBuffer
from streamer.stream.scoring import score, tagging_of
from streamer.stream.windows import WindowCutter

HOP, WINDOW = 1_600, 16_000


def ramp(samples: int) -> Samples:
    return np.arange(samples, dtype=np.float32)


def chunks(samples: Samples, sizes: Iterator[int], start: int = 0) -> Iterator[AudioChunk]:
    done = 0
    while done < len(samples):
        size = next(sizes)
        yield AudioChunk(samples[done : done + size], start + done, 100.0 + (start + done) / 16_000)
        done += size


def cut(samples: Samples, sizes: Iterator[int]) -> list[Window]:
    cutter = WindowCutter("x", window_samples=WINDOW, hop_samples=HOP)
    windows = [window for chunk in chunks(samples, sizes) for window in cutter.feed(chunk)]
    return [*windows, *cutter.flush()]


def forever(size: int) -> Iterator[int]:
    while True:
        yield size


def assert_same(found: list[Window], expected: list[Window]) -> None:
    assert [(w.start_sample, w.end_sample) for w in found] == [
        (w.start_sample, w.end_sample) for w in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.samples, other.samples)
        assert one.ended_at == pytest.approx(other.ended_at, abs=1e-6)


@pytest.mark.parametrize("size", [1, 7, 160, 1_600, 1_601, 10_000, 50_000])
def test_windows_do_not_depend_on_the_size_of_chunks(size: int) -> None:
    samples = ramp(40_123)
    assert_same(cut(samples, forever(size)), cut(samples, forever(len(samples))))


@given(st.lists(st.integers(1, 10_000), min_size=50, max_size=50), st.integers(0, 45_000))
def test_windows_do_not_depend_on_irregular_chunks(sizes: list[int], total: int) -> None:
    samples = ramp(total)
    irregular = iter(sizes + [10_000] * 10)
    assert_same(cut(samples, irregular), cut(samples, forever(100_000)))


def test_a_window_ends_at_each_hop_and_reaches_back_as_far_as_it_may() -> None:
    windows = cut(ramp(40_000), forever(333))
    assert [window.end_sample for window in windows] == list(range(HOP, 40_001, HOP))
    for window in windows:
        assert window.start_sample == max(0, window.end_sample - WINDOW)
        assert np.array_equal(window.samples, ramp(40_000)[window.start_sample : window.end_sample])
        assert window.ended_at == pytest.approx(100.0 + window.end_sample / 16_000)


def test_the_rest_of_a_stream_gets_a_window_of_its_own() -> None:
    assert [window.end_sample for window in cut(ramp(2_500), forever(99))] == [1_600, 2_500]


def test_a_stream_shorter_than_the_hop_gets_one_window() -> None:
    assert [window.end_sample for window in cut(ramp(123), forever(99))] == [123]


def test_a_rest_of_less_than_a_frame_is_not_worth_a_window() -> None:
    assert [window.end_sample for window in cut(ramp(1_700), forever(99))] == [1_600]


def test_an_empty_stream_gives_no_window() -> None:
    assert cut(ramp(0), forever(1)) == []


def test_a_short_gap_is_silence_where_it_was() -> None:
    cutter = WindowCutter("x", window_samples=WINDOW, hop_samples=HOP)
    ones = np.ones(2_000, np.float32)
    list(cutter.feed(AudioChunk(ones, 0, 100.0)))
    windows = list(cutter.feed(AudioChunk(ones, 5_000, 100.0 + 5_000 / 16_000)))
    assert [(window.start_sample, window.end_sample) for window in windows] == [(0, 6_400)]
    expected = np.zeros(6_400, np.float32)
    expected[:2_000] = 1
    expected[5_000:] = 1
    assert np.array_equal(windows[0].samples, expected)


def test_after_a_gap_of_a_window_the_stream_is_young_again() -> None:
    cutter = WindowCutter("x", window_samples=WINDOW, hop_samples=HOP)
    ones = np.ones(2_000, np.float32)
    list(cutter.feed(AudioChunk(ones, 0, 100.0)))
    (window,) = cutter.feed(AudioChunk(ones, 40_000, 102.5))
    assert (window.start_sample, window.end_sample) == (40_000, 41_600)
    assert np.array_equal(window.samples, np.ones(1_600, np.float32))


@given(st.lists(st.integers(0, 300), max_size=40))
def test_a_ring_keeps_the_newest_samples(sizes: list[int]) -> None:
    ring, written = RingBuffer(100), np.zeros(0, np.float32)
    for size in sizes:
        samples = ramp(size) + len(written)
        ring.write(samples)
        written = np.concatenate([written, samples])
        assert np.array_equal(ring.last(100), written[-100:] if len(written) else written)
        assert np.array_equal(ring.last(7), written[-7:] if len(written) else written)


def tagged(given: Iterable[AudioChunk]) -> Iterator[Tagging]:
    messages = tag_stream("x", given, mean_scorer, window_samples=WINDOW, hop_samples=HOP)
    return (message for message in messages if isinstance(message, Tagging))


def mean_scorer(batch: Samples) -> Samples:
    return np.stack([batch.mean(-1), batch.std(-1)], -1).astype(np.float32)


@pytest.mark.parametrize("size", [1, 4_000, 10_000])
def test_streaming_gives_the_scores_of_the_whole(size: int) -> None:
    samples = np.random.default_rng(0).standard_normal(40_000).astype(np.float32)

    def tag(size: int) -> list[tuple[int, list[float], float]]:
        return [
            (tagging.end_sample, tagging.scores.tolist(), tagging.level_dbfs)
            for tagging in tagged(chunks(samples, forever(size)))
        ]

    assert tag(size) == tag(len(samples))


def test_what_came_before_a_failure_is_tagged() -> None:
    def broken() -> Iterator[AudioChunk]:
        yield from chunks(ramp(2_500), forever(500))
        raise RecordingError("it is broken")

    ends = []
    with pytest.raises(RecordingError, match="it is broken"):  # noqa: PT012 - what comes before counts
        for tagging in tagged(broken()):
            ends.append(tagging.end_sample)  # noqa: PERF401 - a list would be lost with the exception
    assert ends == [1_600, 2_500]


def test_events_follow_the_tagging_that_brought_them_about_and_end_with_a_stream_that_breaks_off() -> None:
    def broken() -> Iterator[AudioChunk]:
        yield from chunks(np.ones(8_000, np.float32), forever(500))
        raise RecordingError("it is broken")

    sounds = resolve_sounds([Watch("mean", {"hits": 2})], ("mean", "deviation"))
    messages = tag_stream(
        "x",
        broken(),
        mean_scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        detector=EventDetector(sounds),
    )
    kinds = []
    with pytest.raises(RecordingError, match="it is broken"):  # noqa: PT012 - what comes before counts
        for message in messages:
            kinds.append(message.kind if isinstance(message, Event) else "tagging")  # noqa: PERF401
    assert kinds == ["tagging", "tagging", "started", "tagging", "tagging", "tagging", "ended"]


def test_windows_of_one_length_are_scored_as_one_batch() -> None:
    batches = []

    def scorer(batch: Samples) -> Samples:
        batches.append(batch.shape)
        return mean_scorer(batch)

    windows = [Window("x", ramp(size), 0, size, 0.0, HOP) for size in (500, 800, 500)]
    scored = list(score(scorer, windows))
    assert batches == [(2, 500), (1, 800)]
    for window, scores in scored:
        assert scores[0] == pytest.approx(window.samples.mean())


def test_the_level_is_that_of_the_newest_hop() -> None:
    samples = np.concatenate([np.full(8_000, 0.5, np.float32), np.full(HOP, 0.1, np.float32)])
    window = Window("x", samples, 0, 9_600, 0.0, HOP)
    assert tagging_of(window, ramp(1)).level_dbfs == pytest.approx(-20, abs=1e-3)
    assert level_dbfs(np.zeros(100, np.float32)) == LOWEST_DBFS
    assert level_dbfs(np.ones(100, np.float32)) == pytest.approx(0)


def test_a_window_keeps_the_hop_that_it_was_cut_with() -> None:
    cutter = WindowCutter("x", window_samples=WINDOW, hop_samples=4 * HOP)
    samples = np.concatenate([np.full(3 * HOP, 0.5, np.float32), np.full(HOP, 0.1, np.float32)])
    (waiting,) = cutter.feed(AudioChunk(samples, 0, 100.0))
    cutter.set_lengths(WINDOW, HOP)
    list(cutter.feed(AudioChunk(samples, 4 * HOP, 100.4)))
    level = tagging_of(waiting, ramp(1)).level_dbfs
    assert level == pytest.approx(level_dbfs(samples)), "not that of the last tenth of a second"


def test_a_newer_item_replaces_the_one_that_waits_under_its_key() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2)
    assert [queue.put(1, "a"), queue.put(2, "b"), queue.put(3, "a")] == [True, True, False]
    assert queue.take() == [2, 3]
    assert queue.dropped == 1


def test_a_full_queue_refuses_and_counts() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2)
    assert [queue.put(n) for n in range(4)] == [True, True, False, False]
    assert queue.take() == [0, 1]
    assert queue.dropped == 2


@pytest.mark.parametrize("when_full", ["refuse", "wait"])
def test_an_item_with_a_key_has_room_in_a_full_queue_and_keeps_its_place(
    when_full: Literal["refuse", "wait"],
) -> None:
    queue: BoundedQueue[str] = BoundedQueue(2, when_full)
    assert all([queue.put("first"), queue.put("second"), queue.put("news", "a")])
    assert queue.take() == ["first", "second", "news"]
    assert queue.dropped == 0


def test_a_queue_that_waits_drops_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, "wait")
    sender = threading.Thread(target=lambda: [queue.put(n) for n in range(20)])
    sender.start()
    received: list[int] = []
    while len(received) < 20:
        received += queue.take(timeout_seconds=5)
    sender.join()
    assert received == list(range(20))
    assert queue.dropped == 0


def test_closing_frees_a_sender_that_waits() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, "wait")
    queue.put(1)
    sender = threading.Thread(target=queue.put, args=(2,))
    sender.start()
    queue.close()
    sender.join(timeout=5)
    assert not sender.is_alive()
    assert (queue.take(), queue.take()) == ([1], [])


def test_an_error_is_met_after_what_came_before_it() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    queue.put(1)
    queue.fail(ValueError("first"))
    queue.fail(ValueError("second"))
    assert queue.take() == [1]
    with pytest.raises(ValueError, match="first"):
        queue.take()


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("block", [1, 441, 10_000])
def test_resampled_sound_gives_the_same_windows_and_scores_in_any_blocks(rate_hz: int, block: int) -> None:
    seconds = 0.5 if block == 1 else 3.0
    frames = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate_hz), 2)).astype(np.float32)

    def tag(block: int) -> list[tuple[int, int, list[float]]]:
        converter = Converter(rate_hz, channels=2)
        parts = [converter.feed(frames[at : at + block]) for at in range(0, len(frames), block)]
        parts.append(converter.flush())
        sizes = (len(part) for part in parts)
        samples = np.concatenate(parts)
        return [
            (tagging.start_sample, tagging.end_sample, tagging.scores.tolist())
            for tagging in tagged(chunks(samples, sizes))
        ]

    whole = tag(len(frames))
    assert tag(block) == whole
    assert whole[-1][1] == seconds * 16_000
