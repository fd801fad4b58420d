"""Deciding on events: the rule, the dates, gaps, and that it makes no difference how sound arrives."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.detector import EventDetector, detect_events
from streamer.levels import levels_dbfs
from streamer.messages import AudioChunk, Event, Samples, Tagging
from streamer.stream.offline import tag_stream

RATE, HOP, WINDOW = 16_000, 16_000, 163_840
LABELS = ("Dog", "Siren")
ANCHOR = 1_700_000_000.0
FRAME_SECONDS = 0.05


def watched(sound: str = "Dog", **rule: Any) -> tuple[WatchedSound, ...]:
    plain = {"threshold": 0.5, "hits": 1, "of": 1, "minimum_off_seconds": 0.0}
    return resolve_sounds([Watch(sound, plain | rule)], LABELS)


def numbers() -> Callable[[], str]:
    count = itertools.count(1)
    return lambda: str(next(count))


def tagging(second: int, score: float, *, length: int = 1) -> Tagging:
    """A window of some seconds that ends at a second, without a course of the level."""
    start = max(0, second - length) * RATE
    return Tagging(
        "x", start, second * RATE, ANCHOR + second, np.array([score, 0.0], np.float32), -20.0, None
    )


def decided(scores: Sequence[float], **rule: Any) -> list[tuple[int, str]]:
    """Feed a score each second; the seconds at which events are decided."""
    detector = EventDetector(watched(**rule))
    return [
        (second, event.kind)
        for second, score in enumerate(scores, 1)
        for event in detector.feed(tagging(second, score))
    ]


def test_a_sound_begins_at_its_threshold_and_ends_below_the_lower_one() -> None:
    assert decided([0.1, 0.49, 0.5, 0.4, 0.31, 0.29, 0.1]) == [(3, "started"), (6, "ended")]


def test_a_flicker_is_no_event_where_two_of_three_windows_must_hear_it() -> None:
    assert decided([0.9, 0.1, 0.1, 0.9, 0.1, 0.1], hits=2, of=3) == []
    assert decided([0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1], hits=2, of=3) == [(3, "started"), (7, "ended")]


def test_a_pause_shorter_than_the_minimum_off_time_is_part_of_the_sound() -> None:
    scores = [0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]
    assert decided(scores, minimum_off_seconds=3.0) == [(1, "started"), (7, "ended")]


def test_it_stays_on_for_the_minimum_time() -> None:
    assert decided([0.9, *[0.1] * 9], minimum_on_seconds=5.0) == [(1, "started"), (6, "ended")]


def test_it_is_not_on_again_before_the_cooldown_is_over() -> None:
    scores = [0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    assert decided(scores, cooldown_seconds=4.0) == [(1, "started"), (2, "ended"), (6, "started")]


def starts(detector: EventDetector, *seconds: int) -> list[int]:
    """Feed windows with the sound that end at these seconds; the seconds at which it starts."""
    return [
        second
        for second in seconds
        for event in detector.feed(tagging(second, 0.9))
        if event.kind == "started"
    ]


@pytest.mark.parametrize("is_on", [True, False])
def test_a_cooldown_lasts_over_an_interruption(is_on: bool) -> None:
    detector = EventDetector(watched(cooldown_seconds=60.0))
    assert starts(detector, 1, 2) == [1]
    if not is_on:
        detector.feed(tagging(3, 0.0))
    detector.close()  # a camera connects again
    assert starts(detector, 20, 30) == []
    detector.close()
    assert starts(detector, 40, 61, 62, 63) == [62 if is_on else 63]
    assert starts(detector, 100, 101, 102) == [], "a gap is an interruption, too"


def test_another_stream_has_no_cooldown() -> None:
    detector = EventDetector(watched(cooldown_seconds=60.0))
    assert starts(detector, 200) == [200]
    detector.close()
    assert starts(detector, 1, 2) == [1]


def test_the_clock_is_the_stream_s_whatever_the_wall_clock_does() -> None:
    detector = EventDetector(watched(minimum_off_seconds=2.0))
    events = []
    for second, score in enumerate([0.9, 0.1, 0.1, 0.1], 1):
        moved = tagging(second, score)
        jumping = Tagging(
            "x", moved.start_sample, moved.end_sample, ANCHOR - 1000 * second, moved.scores, 0, None
        )
        events += detector.feed(jumping)
    started, ended = events
    assert ended.ended_at is not None
    assert ended.ended_at >= started.started_at
    assert (started.start_sample, ended.end_sample) == (0, RATE)


def test_an_occurrence_has_one_identifier_and_the_next_one_another() -> None:
    detector = EventDetector(watched())
    events = [
        event
        for second, score in enumerate([0.9, 0.1, 0.9, 0.1], 1)
        for event in detector.feed(tagging(second, score))
    ]
    identifiers = [event.id for event in events]
    assert identifiers[0] == identifiers[1] != identifiers[2] == identifiers[3]
    assert all(len(identifier) == 32 and int(identifier, 16) for identifier in identifiers)


def test_the_score_is_the_highest_so_far() -> None:
    detector = EventDetector(watched())
    events = [
        event
        for second, score in enumerate([0.4, 0.6, 0.8, 0.1], 1)
        for event in detector.feed(tagging(second, score))
    ]
    assert [event.score for event in events] == pytest.approx([0.6, 0.8])


def test_scores_of_nan_count_as_low() -> None:
    assert decided([0.9, float("nan"), float("nan")]) == [(1, "started"), (2, "ended")]


def test_active_sounds_end_with_the_stream_and_only_once() -> None:
    detector = EventDetector(watched())
    detector.feed(tagging(1, 0.1))
    (started,) = detector.feed(tagging(2, 0.9))
    (ended,) = detector.close()
    assert (ended.kind, ended.id, ended.label, ended.source) == ("ended", started.id, "Dog", "x")
    assert (ended.started_at, ended.ended_at) == (ANCHOR + 1, ANCHOR + 2)
    assert detector.close() == []


def test_events_of_one_tagging_come_in_the_order_of_the_sounds() -> None:
    detector = EventDetector((*watched("Siren"), *watched("Dog")))
    both = Tagging("x", 0, RATE, ANCHOR, np.array([0.9, 0.9], np.float32), -20.0, None)
    assert [event.label for event in detector.feed(both)] == ["Siren", "Dog"]


def test_after_a_gap_the_sound_is_a_new_event() -> None:
    detector = EventDetector(watched())
    detector.feed(tagging(1, 0.9))
    ended, started = detector.feed(tagging(3600, 0.9))
    assert (ended.kind, ended.ended_at) == ("ended", ANCHOR + 1)
    assert (started.kind, started.started_at) == ("started", ANCHOR + 3599)


@pytest.mark.parametrize("hop", [5, 20, 30, 60])
def test_the_time_between_windows_that_a_long_hop_leaves_unheard_is_no_gap(hop: int) -> None:
    detector = EventDetector(watched(hits=2, of=3))
    assert starts(detector, *range(hop, 8 * hop, hop)) == [2 * hop if hop <= 10 else 3 * hop], (
        "the second distance tells that the first was none"
    )
    (ended, started) = [
        event for second in (10_000, 10_000 + hop) for event in detector.feed(tagging(second, 0.9))
    ]
    assert (ended.kind, started.kind) == ("ended", "started"), "a longer one is"


def test_a_few_windows_that_were_dropped_end_nothing() -> None:
    detector = EventDetector(watched())
    detector.feed(tagging(1, 0.9))
    assert detector.feed(tagging(8, 0.9)) == []


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.sampled_from([1, 1, 1, 2, 5, 30])), max_size=60),
    st.integers(1, 3),
    st.sampled_from([0.0, 1.0, 5.0]),
    st.integers(1, 10),
)
def test_events_alternate_and_make_sense_for_any_scores_and_gaps(
    course: list[tuple[float, int]], hits: int, seconds: float, length: int
) -> None:
    detector = EventDetector(
        watched(hits=hits, of=3, minimum_off_seconds=seconds, cooldown_seconds=seconds), new_id=numbers()
    )
    second, events = 0, []
    random = np.random.default_rng(0)
    for score, step in course:
        second += step
        heard = tagging(second, score, length=length)
        frames = (heard.end_sample - heard.start_sample) // 800
        levels = random.uniform(-60, -10, frames).astype(np.float32)
        events += detector.feed(
            Tagging(
                "x", heard.start_sample, heard.end_sample, heard.ended_at, heard.scores, -20.0, None, levels
            )
        )
    events += detector.close()
    assert [event.kind for event in events] == ["started", "ended"] * (len(events) // 2)
    last_end = 0
    for started, ended in zip(events[::2], events[1::2], strict=True):
        assert started.id == ended.id
        assert started.start_sample is not None
        assert ended.end_sample is not None
        assert ended.ended_at is not None
        assert last_end <= started.start_sample <= ended.end_sample <= second * RATE
        assert started.started_at == ended.started_at == pytest.approx(ANCHOR + started.start_sample / RATE)
        assert ended.ended_at == pytest.approx(ANCHOR + ended.end_sample / RATE)
        assert ended.score >= started.score
        last_end = ended.end_sample


# Through the pipeline: sound whose samples are positive is a dog, sound whose samples are negative a siren; what it
# takes for full marks is a second of it in the window.


def seconds_of(batch: Samples) -> Samples:
    """Seconds of dog and siren in each window."""
    heard = [(batch > 0.05).sum(-1), (batch < -0.05).sum(-1)]
    return (np.stack(heard, -1) / RATE).astype(np.float32)


def scorer(batch: Samples) -> Samples:
    scores: Samples = np.minimum(seconds_of(batch), 1.0)
    return scores


def sound(seconds: float, *parts: tuple[float, float, float]) -> Samples:
    """Faint noise with parts (start, end, value)."""
    samples = np.random.default_rng(0).normal(0, 0.001, round(seconds * RATE)).astype(np.float32)
    for start, end, value in parts:
        samples[round(start * RATE) : round(end * RATE)] += np.float32(value)
    return samples


def chunks(samples: Samples, sizes: Iterable[int]) -> Iterator[AudioChunk]:
    start, rest = 0, iter(sizes)
    while start < len(samples):
        size = next(rest)
        yield AudioChunk(samples[start : start + size], start, ANCHOR + start / RATE)
        start += size


def listen(
    given: Iterable[AudioChunk],
    sounds: Sequence[WatchedSound],
    *,
    window: int = WINDOW,
    hop: int = HOP,
    score: Callable[[Samples], Samples] = scorer,
) -> list[Event]:
    detector = EventDetector(sounds, new_id=numbers())
    messages = tag_stream("x", given, score, window_samples=window, hop_samples=hop, detector=detector)
    return [message for message in messages if isinstance(message, Event)]


def spans(events: Sequence[Event]) -> list[tuple[str, float, float]]:
    """Return each event as label, start and end, in seconds of the stream."""
    return [
        (event.label, event.started_at - ANCHOR, event.ended_at - ANCHOR)
        for event in events
        if event.ended_at is not None
    ]


def test_a_bang_is_dated_to_the_level_s_frame_though_windows_remember_it_for_ten_seconds() -> None:
    samples = sound(40.0, (7.3, 9.1, 0.3))
    ((label, start, end),) = spans(listen(chunks(samples, [len(samples)]), watched(hits=2, of=3)))
    assert label == "Dog"
    assert start == pytest.approx(7.3, abs=FRAME_SECONDS)
    assert end == pytest.approx(9.1, abs=FRAME_SECONDS)


@pytest.mark.parametrize(("window", "hop"), [(WINDOW, 4_000), (2 * RATE, 8_000), (RATE, 4_000)])
def test_dates_hold_for_other_windows_and_hops(window: int, hop: int) -> None:
    samples = sound(40.0, (7.3, 12.1, 0.3), (30.4, 32.0, 0.3))
    found = spans(listen(chunks(samples, [len(samples)]), watched(), window=window, hop=hop))
    assert [time for span in found for time in span[1:]] == pytest.approx(
        [7.3, 12.1, 30.4, 32.0], abs=FRAME_SECONDS
    )


def slow_scorer(batch: Samples) -> Samples:
    """Scores of a model that needs four seconds for full marks: a second leaves a trace."""
    scores: Samples = np.square(np.minimum(seconds_of(batch) / 4.0, 1.0)).astype(np.float32)
    return scores


def test_a_sound_that_the_model_recognises_late_is_dated_by_its_first_and_last_trace() -> None:
    samples = sound(50.0, (4.0, 6.0, -0.3), (8.3, 16.3, 0.3))
    ((_, start, end),) = spans(listen(chunks(samples, [len(samples)]), watched(), score=slow_scorer))
    assert (start, end) == pytest.approx((8.3, 16.3), abs=FRAME_SECONDS)


def test_a_trace_in_a_sound_before_does_not_date_the_next_one() -> None:
    def confused(batch: Samples) -> Samples:
        dog, siren = seconds_of(batch).T
        return np.stack((np.clip(np.maximum(dog, 0.1 * siren), 0, 1), siren), -1).astype(np.float32)

    samples = sound(40.0, (5.1, 8.0, -0.3), (9.2, 11.0, 0.3))
    ((_, start, end),) = spans(listen(chunks(samples, [len(samples)]), watched(), score=confused))
    assert (start, end) == pytest.approx((9.2, 11.0), abs=FRAME_SECONDS)


def test_a_pause_at_the_end_of_the_first_window_is_not_taken_for_the_start() -> None:
    samples = sound(20.0, (0.0, 0.8, 0.3), (1.0, 3.0, 0.3))
    ((_, start, _),) = spans(listen(chunks(samples, [len(samples)]), watched(hits=2, of=3)))
    assert start == 0.0


def test_two_sounds_that_follow_each_other_are_each_dated() -> None:
    samples = sound(50.0, (7.3, 9.1, 0.3), (10.0, 15.2, -0.3))
    dog, siren = spans(listen(chunks(samples, [len(samples)]), (*watched("Dog"), *watched("Siren"))))
    assert (dog[0], siren[0]) == ("Dog", "Siren")
    assert (*dog[1:], *siren[1:]) == pytest.approx((7.3, 9.1, 10.0, 15.2), abs=FRAME_SECONDS)


def test_an_occurrence_lasts_even_if_the_score_falls_while_its_beginning_is_in_the_window() -> None:
    detector = EventDetector(watched())
    scores = [*[0.0] * 11, *[0.9] * 9, *[0.0] * 5]  # the window of 11 to 21 s hears it no longer
    heard = [tagging(second, score, length=10) for second, score in enumerate(scores, 1)]
    started, ended = (event for one in heard for event in detector.feed(one))
    assert started.start_sample == 11 * RATE
    assert ended.end_sample is not None
    assert ended.end_sample > started.start_sample


def test_a_pause_shorter_than_the_window_is_not_seen_and_a_longer_one_is() -> None:
    samples = sound(60.0, (7.0, 9.0, 0.3), (13.0, 15.0, 0.3), (30.0, 32.0, 0.3))
    found = spans(listen(chunks(samples, [len(samples)]), watched()))
    assert [(round(start), round(end)) for _, start, end in found] == [(7, 15), (30, 32)]


def test_a_sound_without_a_step_of_the_level_is_dated_by_windows() -> None:
    """As loud before and after: only the model can tell."""
    samples = sound(40.0, (0.0, 40.0, 0.03), (12.3, 15.1, 0.025))
    ((_, start, end),) = spans(listen(chunks(samples, [len(samples)]), watched(threshold=0.8)))
    assert start == pytest.approx(12.3, abs=1.0)
    assert end == pytest.approx(15.1, abs=1.0)


def test_a_sound_from_the_beginning_to_the_end_of_a_stream_is_dated_to_them() -> None:
    ((_, start, end),) = spans(listen(chunks(sound(5.5, (0.0, 5.5, 0.3)), [80_000] * 2), watched()))
    assert (start, end) == pytest.approx((0.0, 5.5))


def test_a_sound_that_a_stream_ends_soon_after_is_not_dated_to_its_end() -> None:
    ((_, start, end),) = spans(listen(chunks(sound(8.0, (2.0, 3.5, 0.3)), [8 * RATE]), watched()))
    assert (start, end) == pytest.approx((2.0, 3.5), abs=FRAME_SECONDS)


def test_a_sound_that_goes_on_to_the_end_of_a_stream_lasts_to_it_in_spite_of_pauses() -> None:
    ((_, _, end),) = spans(
        listen(chunks(sound(9.0, (2.0, 3.5, 0.3), (5.0, 9.0, 0.3)), [9 * RATE]), watched())
    )
    assert end == pytest.approx(9.0)


BARKS = sound(
    70.0, (5.2, 7.0, 0.3), (9.1, 9.9, 0.3), (20.0, 30.3, -0.2), (33.0, 35.0, 0.4), (66.0, 70.0, 0.3)
)
WHOLE = listen(chunks(BARKS, [len(BARKS)]), (*watched(hits=2, of=3), *watched("Siren")))


@pytest.mark.parametrize("size", [160, 1_601, 16_000, 50_000])
def test_streaming_gives_the_events_of_the_whole(size: int) -> None:
    events = listen(chunks(BARKS, itertools.repeat(size)), (*watched(hits=2, of=3), *watched("Siren")))
    assert len(WHOLE) == 8
    assert_same(events, WHOLE)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_streaming_in_irregular_blocks_gives_the_events_of_the_whole(sizes: list[int]) -> None:
    events = listen(
        chunks(BARKS, itertools.cycle([*sizes, 90_000])), (*watched(hits=2, of=3), *watched("Siren"))
    )
    assert_same(events, WHOLE)


def assert_same(events: Sequence[Event], expected: Sequence[Event]) -> None:
    def facts(event: Event) -> tuple[Any, ...]:
        return event.id, event.kind, event.label, event.score, event.start_sample, event.end_sample

    assert [facts(event) for event in events] == [facts(event) for event in expected]
    for event, other in zip(events, expected, strict=True):
        assert event.started_at == pytest.approx(other.started_at, abs=1e-5)
        assert event.ended_at == pytest.approx(other.ended_at, abs=1e-5)


def test_dropped_windows_do_not_shift_dates() -> None:
    """An inference that takes 2.5 hops sees every third window."""
    messages = tag_stream("x", chunks(BARKS, [len(BARKS)]), scorer, window_samples=WINDOW, hop_samples=HOP)
    taggings = [message for message in messages if isinstance(message, Tagging)]
    detector = EventDetector(watched())
    events = [event for some in taggings[::3] for event in detector.feed(some)] + detector.close()
    times = [time for span in spans(events) for time in span[1:]]
    assert times == pytest.approx([5.2, 9.9, 33.0, 35.0, 66.0, 70.0], abs=1.1)


def test_lost_sound_does_not_shift_dates_around_it() -> None:
    samples = sound(80.0, (5.0, 7.0, 0.3), (40.0, 42.0, 0.3), (60.0, 62.0, 0.3))
    before, after = samples[: 6 * RATE], samples[39 * RATE :]
    given = [
        AudioChunk(before, 0, ANCHOR),
        AudioChunk(after, 39 * RATE, ANCHOR + 39),
    ]
    found = spans(listen(given, watched()))
    times = [time for span in found for time in span[1:]]
    assert times == pytest.approx([5.0, 6.0, 40.0, 42.0, 60.0, 62.0], abs=FRAME_SECONDS)


def test_the_course_of_the_level_is_counted_back_from_the_end() -> None:
    samples = np.concatenate([np.zeros(100), np.full(800, 0.1), np.full(800, 1.0)]).astype(np.float32)
    assert levels_dbfs(samples) == pytest.approx([-20.0, 0.0], abs=1e-4)
    assert levels_dbfs(np.zeros(1_700, np.float32)).tolist() == [-120.0, -120.0]
    assert len(levels_dbfs(np.zeros(799, np.float32))) == 0


def test_an_unwatched_sound_ends_and_the_others_continue() -> None:
    dog, siren = watched("Dog"), watched("Siren")
    detector = EventDetector(dog)
    (started,) = detector.feed(tagging(1, 0.9))
    assert detector.watch(dog + siren) == []
    assert detector.feed(tagging(2, 0.9)) == [], "the dog is on already"
    (ended,) = detector.watch(siren)
    assert (ended.id, ended.kind, ended.label) == (started.id, "ended", "Dog")
    assert detector.watch(siren) == []


def test_another_threshold_counts_from_the_next_tagging_on() -> None:
    detector = EventDetector(watched(threshold=0.8))
    assert detector.feed(tagging(1, 0.6)) == []
    assert detector.watch(watched(threshold=0.5)) == []
    assert [event.kind for event in detector.feed(tagging(2, 0.6))] == ["started"]
    detector.watch(watched(threshold=0.95))
    assert [event.kind for event in detector.feed(tagging(3, 0.5))] == ["ended"]


def test_a_preview_gives_the_events_of_the_detector() -> None:
    taggings = [tagging(second, score) for second, score in enumerate([0.1, 0.9, 0.6, 0.1, 0.6, 0.6], 1)]
    (strict,) = detect_events(watched(threshold=0.8)[0], taggings)
    assert strict.kind == "ended"
    assert strict.score == pytest.approx(0.9)
    first, second = detect_events(watched(threshold=0.5)[0], taggings)
    assert (first.kind, second.kind, second.ended_at) == ("ended", "started", None)
    assert detect_events(watched()[0], []) == []
