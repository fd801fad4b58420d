"""Buffer of sound without an answer of a worker: two minutes, scored later, so that its events are late instead of lost."""

from collections.abc import Generator
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from support.fakes import Memory, scorer
from support.session import live_session

from streamer.events.catalogue import Watch, resolve_sounds
from streamer.live.backlog import Backlog
from streamer.messages import AudioChunk, Event, Samples, Window
from streamer.runtime.threads import ThreadGroup

RATE = 16_000
WINDOW, HOP = 10 * RATE, RATE
LOUD = resolve_sounds([Watch("loud", {"threshold": 0.05})], ("loud", "rough"))
ANSWERED, UNANSWERED, BURST = 2e-4, 1e-4, 0.3


class Bursts:
    """Source with a burst at 20 s, while nobody answers (from 10 s to 40 s), and one at 60 s."""

    name, live, repaired_samples = "a", False, 0
    retry_seconds: float | None = None

    def chunks(self) -> Generator[AudioChunk, None, None]:
        sound = np.full(90 * RATE, ANSWERED, np.float32)
        sound[10 * RATE : 40 * RATE] = UNANSWERED
        for second in (20, 60):
            sound[second * RATE : (second + 4) * RATE] = BURST
        for start in range(0, len(sound), 8000):
            yield AudioChunk(sound[start : start + 8000], start, 1e9 + start / RATE)

    def close(self) -> None:
        """Do nothing."""


class Workers:
    """Remote scorer whose workers are away while the newest sample says so, and then are back for good."""

    def __init__(self) -> None:
        self.away = self.back = False
        self.late_windows = 0
        self.traffic = SimpleNamespace(
            address="", requests=0, retries=0, seconds_p50=None, seconds_p95=None, problem=""
        )

    def __call__(self, batch: Samples) -> Samples:
        scores = scorer(batch)
        for window, row in zip(batch, scores, strict=True):
            if window[-1] < 2 * ANSWERED and not self.back:
                self.back = self.away and bool(window[-1] > 1.5 * UNANSWERED)
                self.away = bool(window[-1] < 1.5 * UNANSWERED)
            if self.away and not self.back:
                row[:] = np.nan
        return scores


def events_with(workers: Workers | None) -> list[Event]:
    memory = Memory()
    session = live_session(
        [Bursts()],
        workers or scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        sounds=LOUD,
        sinks=[memory],
        fast=True,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.05)
    (source,) = session.health().sources
    assert source.cut_windows == source.windows + source.dropped_windows == 90
    assert source.unanswered_windows == (0 if workers is None else 30)
    return memory.events


def test_events_of_an_outage_are_told_late_and_others_once() -> None:
    undisturbed = events_with(None)
    disturbed = events_with(Workers())
    assert [event.kind for event in undisturbed] == ["started", "ended", "started", "ended"]
    assert sorted(event.kind for event in disturbed) == ["ended", "ended", "started", "started"]
    for kind in ("started", "ended"):
        times, expected = (
            sorted(event.ended_at or event.started_at for event in events if event.kind == kind)
            for events in (disturbed, undisturbed)
        )
        assert times == pytest.approx(expected, abs=5.0)


def window(end_second: float, value: float = 0.1) -> Window:
    end = round(end_second * RATE)
    return Window(
        "a", np.full(min(end, WINDOW), value, np.float32), max(0, end - WINDOW), end, 1e9 + end_second, HOP
    )


def test_a_short_outage_leaves_nothing_to_score() -> None:
    backlog = Backlog("a")
    for second in range(20, 24):
        backlog.keep(window(second))
    assert backlog.next_windows(WINDOW, LOUD, 4) == []
    assert backlog.samples == 0


def test_two_minutes_are_kept_and_scored_at_a_stride_of_five_seconds() -> None:
    backlog = Backlog("a")
    for second in range(20, 400):
        backlog.keep(window(second))
    assert 119 * RATE <= backlog.samples <= 120 * RATE
    windows: list[Window] = []
    while batch := backlog.next_windows(WINDOW, LOUD, 4):
        assert len(batch) <= 4
        backlog.put(batch, {late: scorer(late.samples[None])[0] for late in batch})
        windows += batch
    assert {late.end_sample - early.end_sample for early, late in pairwise(windows[:-1])} == {5 * RATE}
    assert windows[-1].end_sample == 399 * RATE
    assert all(abs(late.samples - 0.1).max() < 1e-5 for late in windows)
    (started, ended) = backlog.late_events()
    assert (started.kind, ended.kind) == ("started", "ended")
    assert backlog.late_events() == []


def test_a_window_that_has_no_answer_again_is_asked_for_again() -> None:
    backlog = Backlog("a")
    for second in range(20, 60):
        backlog.keep(window(second))
    first = backlog.next_windows(WINDOW, LOUD, 4)
    backlog.put(first, {first[0]: scorer(first[0].samples[None])[0]})
    assert backlog.next_windows(WINDOW, LOUD, 4)[:3] == first[1:]


def heard_late(backlog: Backlog) -> list[Event]:
    for second in range(20, 60):
        backlog.keep(window(second))
    while batch := backlog.next_windows(WINDOW, LOUD, 4):
        backlog.put(batch, {late: scorer(late.samples[None])[0] for late in batch})
    return backlog.late_events()


def test_what_was_told_in_time_is_not_told_again() -> None:
    backlog = Backlog("a")
    backlog.note(Event("1", "started", "loud", "a", 0.9, 1e9 + 30.0))
    backlog.note(Event("1", "ended", "loud", "a", 0.9, 1e9 + 30.0, 1e9 + 35.0))
    assert heard_late(backlog) == []
    assert len(heard_late(Backlog("a"))) == 2


def test_a_late_end_does_not_switch_off_a_sound_that_goes_on() -> None:
    backlog = Backlog("a")
    backlog.note(Event("1", "started", "loud", "a", 0.9, 1e9 + 500.0))
    assert heard_late(backlog) == []
    backlog.note(Event("1", "ended", "loud", "a", 0.9, 1e9 + 500.0, 1e9 + 510.0))
    assert len(backlog.late_events()) == 2


def test_sound_that_is_kept_twice_gives_its_events_once() -> None:
    backlog = Backlog("a")
    assert len(heard_late(backlog)) == 2
    assert heard_late(backlog) == []
    waiting = Backlog("a")
    waiting.note(Event("1", "started", "loud", "a", 0.9, 1e9 + 500.0))
    assert heard_late(waiting) == heard_late(waiting) == []
    waiting.note(Event("1", "ended", "loud", "a", 0.9, 1e9 + 500.0, 1e9 + 510.0))
    assert len(waiting.late_events()) == 2
