"""The fast window: starts that are published within a second, and confirmed or taken back by the long window."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import Memory
from support.session import live_session
from support.waiting import wait_until

from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.levels import levels_dbfs
from streamer.messages import SAMPLE_RATE_HZ as RATE
from streamer.messages import AudioChunk, Event, Samples, Tagging, Window
from streamer.runtime.threads import ThreadGroup
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.retained import PublishedState
from streamer.sinks.mqtt.topics import Topics
from streamer.sinks.notify.rules import Rules, values_of
from streamer.sources.memory import ArraySource
from streamer.stream.offline import tag_stream
from streamer.stream.scoring import score
from streamer.stream.windows import Lengths, PairedCutter

HOP, WINDOW, FAST = RATE, 163_840, RATE
LABELS = ("Dog", "Siren")
ANCHOR = 1_700_000_000.0


def watched(*names: str) -> tuple[WatchedSound, ...]:
    return resolve_sounds([Watch(name, {"threshold": 0.5}) for name in names or LABELS], LABELS)


def sound(seconds: float, *parts: tuple[float, float, float]) -> Samples:
    """Faint noise with parts (start, end, value): barks are positive; what only the fast window takes for a siren is negative."""
    samples = np.random.default_rng(0).normal(0, 0.001, round(seconds * RATE)).astype(np.float32)
    for start, end, value in parts:
        samples[round(start * RATE) : round(end * RATE)] += np.float32(value)
    return samples


def scorer(batch: Samples) -> Samples:
    """Half a second of a bark is enough in a long window, and a third in a fast one, which also takes other sounds for a siren."""
    seconds = (batch > 0.1).sum(1) / RATE
    is_fast = batch.shape[1] <= FAST
    dog = np.where(seconds >= (0.3 if is_fast else 0.5), 0.9 if is_fast else 0.75, 0.0)
    siren = np.where(is_fast & ((batch < -0.1).sum(1) / RATE >= 0.3), 0.8, 0.0)
    scores: Samples = np.stack([dog, siren], 1).astype(np.float32)
    return scores


def chunks(samples: Samples, sizes: Iterable[int]) -> Iterator[AudioChunk]:
    start, rest = 0, iter(sizes)
    while start < len(samples):
        size = next(rest)
        yield AudioChunk(samples[start : start + size], start, ANCHOR + start / RATE)
        start += size


def numbers() -> Callable[[], str]:
    count = itertools.count(1)
    return lambda: str(next(count))


def told(
    samples: Samples,
    sizes: Iterable[int] = (10**9,),
    *,
    fast: int | None = FAST,
    names: Sequence[str] = (),
    heard_by: Callable[[Samples], Samples] = scorer,
) -> list[Event]:
    messages = tag_stream(
        "x",
        chunks(samples, sizes),
        heard_by,
        window_samples=WINDOW,
        hop_samples=HOP,
        fast_samples=fast,
        detector=EventDetector(watched(*names), new_id=numbers()),
    )
    return [message for message in messages if isinstance(message, Event)]


def decided_at(samples: Samples, *names: str) -> list[tuple[float, str, str, bool]]:
    """Feed a sample's worth of stream at a time; the second at which each event is decided, its label, kind and confirmation."""
    step = RATE // 10
    position = 0

    def fed() -> Iterator[AudioChunk]:
        nonlocal position
        for chunk in chunks(samples, itertools.repeat(step)):
            position = chunk.start_sample + len(chunk.samples)
            yield chunk

    messages = tag_stream(
        "x",
        fed(),
        scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        fast_samples=FAST,
        detector=EventDetector(watched(*names), new_id=numbers()),
    )
    return [
        (position / RATE, message.label, message.kind, message.confirmed)
        for message in messages
        if isinstance(message, Event)
    ]


BARK = sound(40.0, (15.2, 17.0, 0.3))
MISTAKE = sound(60.0, (15.2, 17.0, -0.3), (30.2, 32.0, -0.3))
MIXED = sound(
    90.0, (5.2, 7.0, 0.3), (20.0, 21.0, -0.3), (33.3, 35.0, 0.4), (58.6, 59.5, -0.2), (70.0, 72.0, 0.3)
)


def test_a_start_is_told_within_a_second_and_confirmed_by_the_long_window() -> None:
    (at, *first), (later, *second), (_, *third) = decided_at(BARK, "Dog")
    assert first == ["Dog", "started", False]
    assert 15.2 < at <= 16.2
    assert second == ["Dog", "confirmed", True]
    assert 16.2 < later <= 18.0
    assert third == ["Dog", "ended", True]


def test_all_messages_of_an_occurrence_have_one_identifier_one_start_and_both_scores() -> None:
    started, confirmed, ended = told(BARK, names=["Dog"])
    assert {started.id, confirmed.id, ended.id} == {"1"}
    assert {event.start_sample for event in (started, confirmed, ended)} == {started.start_sample}
    assert started.started_at == pytest.approx(ANCHOR + 15.2, abs=0.06)
    assert [event.fast_score for event in (started, confirmed, ended)] == pytest.approx([0.9] * 3)
    assert (started.score, confirmed.score, ended.score) == pytest.approx((0.0, 0.75, 0.75))


def test_a_start_that_the_long_window_does_not_confirm_is_taken_back() -> None:
    events = told(MISTAKE, names=["Siren"])
    assert [(event.kind, event.confirmed, event.withdrawn) for event in events[:2]] == [
        ("started", False, False),
        ("ended", False, True),
    ]
    started, ended = events[:2]
    assert started.id == ended.id
    assert ended.ended_at == pytest.approx(ANCHOR + 17.0, abs=1.0)
    assert ended.fast_score == pytest.approx(0.8)


def test_after_a_start_that_was_taken_back_the_fast_window_has_no_word_on_that_sound_for_a_while() -> None:
    assert [event.kind for event in told(MISTAKE, names=["Siren"])] == ["started", "ended"]


def test_without_a_step_of_the_level_the_fast_window_tells_nothing() -> None:
    def always(batch: Samples) -> Samples:
        return np.full((len(batch), 2), 0.9 if batch.shape[1] <= FAST else 0.0, np.float32)

    assert told(sound(30.0), heard_by=always) == []


def test_a_start_that_only_the_long_window_tells_has_the_highest_score_of_the_fast_one_since() -> None:
    def hesitant(batch: Samples) -> Samples:
        """The fast window is never sure; the long one notices only what is a second old."""
        is_fast = batch.shape[1] <= FAST
        seconds = ((batch if is_fast else batch[:, :-RATE]) > 0.1).sum(1) / RATE
        dog = np.where(seconds >= 0.3, 0.55 if is_fast else 0.75, 0.0)
        scores: Samples = np.stack([dog, 0 * dog], 1).astype(np.float32)
        return scores

    start, _ = told(sound(25, (5.0, 5.6, 0.5)), heard_by=hesitant)
    assert (start.kind, start.confirmed) == ("started", True)
    assert start.started_at - ANCHOR == pytest.approx(5.0, abs=0.1)
    assert start.score == pytest.approx(0.75)
    assert start.fast_score == pytest.approx(0.55)


def test_the_long_window_starts_what_the_fast_one_misses() -> None:
    def only_long(batch: Samples) -> Samples:
        return scorer(batch) * np.float32(batch.shape[1] > FAST)

    started, ended = told(BARK, names=["Dog"], heard_by=only_long)
    assert (started.kind, started.confirmed) == ("started", True)
    assert ended.kind == "ended"
    assert started.fast_score == 0.0


def test_events_have_no_score_of_a_fast_window_that_was_switched_off() -> None:
    detector = EventDetector(watched("Dog"), new_id=numbers())
    events: list[Event] = []

    def hear(second: int, score: float, *, is_fast: bool = False) -> None:
        scores, end = np.array([score, 0.0], np.float32), second * RATE
        length = FAST if is_fast else WINDOW
        events.extend(
            detector.feed(
                Tagging("x", max(0, end - length), end, ANCHOR + second, scores, -20.0, None, is_fast=is_fast)
            )
        )

    for second in range(1, 11):
        hear(second, 0.07, is_fast=True)
        hear(second, 0.0)
    for second in range(11, 60):
        hear(second, 0.9 if 30 <= second < 40 else 0.0)
    assert [(event.kind, event.fast_score) for event in events] == [("started", None), ("ended", None)]


def test_without_a_fast_window_events_are_what_they_were() -> None:
    events = told(MIXED, fast=None)
    assert {event.kind for event in events} == {"started", "ended"}
    assert all(event.confirmed and event.fast_score is None for event in events)
    dogs = [event for event in told(MIXED) if event.confirmed and event.kind == "ended"]
    plain = [event for event in events if event.kind == "ended"]
    assert [event.end_sample for event in dogs] == [event.end_sample for event in plain]


def test_a_stream_that_ends_takes_back_what_was_not_confirmed() -> None:
    started, ended = told(sound(15.7, (15.0, 15.7, 0.3)), names=["Dog"])
    assert not started.confirmed
    assert ended.withdrawn


@pytest.mark.parametrize("size", [160, 1_601, 16_000, 50_000])
def test_streaming_gives_the_events_of_the_whole(size: int) -> None:
    whole = told(MIXED)
    assert len(whole) == 13
    assert [facts(event) for event in told(MIXED, itertools.repeat(size))] == [
        facts(event) for event in whole
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_streaming_in_irregular_blocks_gives_the_events_of_the_whole(sizes: list[int]) -> None:
    pieces = itertools.cycle([*sizes, 90_000])
    assert [facts(event) for event in told(MIXED, pieces)] == [facts(event) for event in told(MIXED)]


def facts(event: Event) -> tuple[Any, ...]:
    scores = event.score, event.fast_score
    return event.id, event.kind, event.label, event.confirmed, scores, event.start_sample, event.end_sample


def test_fast_windows_come_in_the_order_of_their_ends_and_before_a_long_one_with_the_same() -> None:
    cutter = PairedCutter("x", Lengths(WINDOW, HOP, FAST))
    samples = sound(4.0)
    windows: list[Window] = []
    for chunk in chunks(samples, itertools.repeat(3_333)):
        windows += cutter.feed(chunk)
    ends = [(window.end_sample / RATE, window.is_fast) for window in windows]
    assert ends[:5] == [(0.5, True), (1.0, True), (1.0, False), (1.5, True), (2.0, True)]
    assert len(windows) == 12
    last = windows[-2]
    assert np.array_equal(last.samples, samples[-FAST:])
    assert last.fast_levels_dbfs is not None
    assert np.allclose(last.fast_levels_dbfs, levels_dbfs(samples), atol=1e-3)


def test_a_fast_window_is_switched_on_and_off_within_a_stream() -> None:
    cutter = PairedCutter("x", Lengths(WINDOW, HOP))
    ends: list[tuple[float, bool]] = []
    for second, chunk in enumerate(chunks(sound(6.0), itertools.repeat(RATE))):
        cutter.set_lengths(Lengths(WINDOW, HOP, FAST if 2 <= second < 4 else None))
        ends += [(window.end_sample / RATE, window.is_fast) for window in cutter.feed(chunk)]
    assert [end for end, is_fast in ends if is_fast] == [2.5, 3.0, 3.5, 4.0]
    assert [end for end, is_fast in ends if not is_fast] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_live_equals_offline_for_several_sources_and_only_long_windows_are_published() -> None:
    memory = Memory()
    session = live_session(
        [ArraySource("a", MIXED, RATE), ArraySource("b", BARK, RATE)],
        scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        fast_window_samples=FAST,
        sounds=watched(),
        sinks=[memory],
        fast=True,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: not threads.is_running("tagger"), "the end of both sources")
    for name, samples in (("a", MIXED), ("b", BARK)):
        events = [event for event in memory.messages if isinstance(event, Event) and event.source == name]
        assert [facts(event)[1:] for event in events] == [facts(event)[1:] for event in told(samples)]
        ends = [tagging.end_sample for tagging in memory.taggings if tagging.source == name]
        assert ends == list(range(HOP, len(samples) + 1, HOP))
    health = session.health()
    assert (health.windows, health.dropped_windows) == (90 + 40, 0)
    assert [source.fast_windows for source in health.sources] == [180, 80]


def test_fast_windows_of_several_sources_share_a_batch() -> None:
    batches: list[tuple[int, int]] = []

    def noting(batch: Samples) -> Samples:
        batches.append(batch.shape)
        return scorer(batch)

    cutters = [PairedCutter(name, Lengths(WINDOW, HOP, FAST)) for name in ("a", "b")]
    windows = [
        window
        for cutter in cutters
        for chunk in chunks(sound(11.0), [11 * RATE])
        for window in list(cutter.feed(chunk))[-3:]
    ]
    assert len(list(score(noting, windows))) == 6
    assert sorted(batches) == [(2, WINDOW), (4, FAST)]


STARTED = Event("1", "started", "Dog", "x", 0.1, ANCHOR, start_sample=5, confirmed=False, fast_score=0.8)
CONFIRMED = replace(STARTED, kind="confirmed", confirmed=True, score=0.7)
ENDED = replace(CONFIRMED, kind="ended", ended_at=ANCHOR + 3.0, end_sample=50)
WITHDRAWN = replace(STARTED, kind="ended", ended_at=ANCHOR + 1.0, end_sample=20)


def test_the_history_keeps_all_three_messages_in_order_until_they_are_delivered(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    with History(path, days=36_500.0, events=1000, outgoing=True) as history:
        for event in (STARTED, CONFIRMED, ENDED):
            history.accept(event)
        assert history.pending(10) == [STARTED, CONFIRMED, ENDED]


@pytest.mark.parametrize(
    ("before", "confirmed"), [([STARTED], False), ([STARTED, CONFIRMED], True)], ids=["told", "confirmed"]
)
def test_a_killed_program_leaves_an_event_that_the_next_start_ends(
    tmp_path: Path, before: Sequence[Event], confirmed: bool
) -> None:
    path = tmp_path / "history.sqlite3"
    with History(path, days=36_500.0, events=1000, outgoing=True) as history:
        for event in before:
            history.accept(event)
    with History(path, days=36_500.0, events=1000, outgoing=True) as history:
        *same, ended = history.pending(10)
        assert same == before
        assert (ended.kind, ended.confirmed, ended.fast_score) == ("ended", confirmed, 0.8)


def test_people_hear_of_a_start_when_it_is_confirmed_and_never_of_one_that_is_taken_back() -> None:
    rules = Rules(when="both")
    assert [rules.tells(event) for event in (STARTED, WITHDRAWN)] == [False, False]
    assert [rules.tells(event) for event in (STARTED, CONFIRMED, ENDED)] == [False, True, True]
    assert values_of(CONFIRMED)["event"] == "started"


def test_a_start_in_quiet_hours_is_not_announced_whoever_detects_it() -> None:
    sounds = resolve_sounds([Watch("Dog", {"threshold": 0.5, "quiet": "always"})], LABELS)
    messages = tag_stream(
        "x",
        chunks(BARK, [len(BARK)]),
        scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        fast_samples=FAST,
        detector=EventDetector(sounds),
    )
    events = [message for message in messages if isinstance(message, Event)]
    assert [(event.kind, event.announced) for event in events] == [
        ("started", False),
        ("confirmed", False),
        ("ended", False),
    ]


def test_the_state_of_a_sound_is_on_from_the_first_word_to_its_end_or_until_it_is_taken_back() -> None:
    topics = Topics("earshot/attic", ["x"], {"x": ("Dog",)})
    for events, states in (
        ((STARTED, CONFIRMED, ENDED), ["ON", "ON", "OFF"]),
        ((STARTED, WITHDRAWN), ["ON", "OFF"]),
    ):
        published = PublishedState(topics, lambda _: True)
        seen = []
        for event in events:
            published.set_sound(event)
            seen.append(published.final()[topics.sound("x", "Dog") or ""])
        assert seen == states
