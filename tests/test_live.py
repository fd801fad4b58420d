"""Live listening with real threads: readers and tagger."""

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.fakes import HOP, WINDOW, Memory, Tone, scorer, slow_scorer
from support.session import live_session
from support.waiting import PATIENCE_SECONDS, wait_until

from streamer.errors import DeviceError, RecordingError, SourceError
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.health import HealthMeter
from streamer.live import backoff, channel
from streamer.live import session as session_module
from streamer.live.backoff import Backoff
from streamer.live.channel import Input
from streamer.live.session import LiveSession
from streamer.live.switches import Switches
from streamer.messages import AudioChunk, Health, Message, Samples, SourceStatus, Tagging
from streamer.runtime.threads import ThreadGroup, threads_remain
from streamer.runtime.timing import format_duration
from streamer.sinks.clips.recorder import ClipLimits, Clips
from streamer.stream.offline import tag_stream


class Hanging(Tone):
    """One that is not to be ended, before it is let go."""

    def close(self) -> None:
        """Do nothing."""

    def let_go(self) -> None:
        super().close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give removed sources all the time that a busy machine needs."""
    monkeypatch.setattr(channel, "_RELEASE_SECONDS", PATIENCE_SECONDS)


def listen(session: LiveSession) -> None:
    began = time.monotonic()
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.02)
            session.report_health()
            assert time.monotonic() - began < PATIENCE_SECONDS
    if session.failure is not None:
        raise session.failure


def test_fast_listening_tags_every_window_in_order() -> None:
    memory = Memory()
    listen(
        live_session(
            [Tone("a", 5.0, live=False), Tone("b", 3.0, live=False)],
            scorer,
            sinks=[memory],
            fast=True,
        )
    )
    for name, seconds in (("a", 5), ("b", 3)):
        ends = [tagging.end_sample for tagging in memory.taggings if tagging.source == name]
        assert ends == list(range(HOP, seconds * 16_000 + 1, HOP))
    assert all(tagging.scores[0] == pytest.approx(0.1) for tagging in memory.taggings)


def test_live_equals_offline() -> None:
    memory = Memory()
    session = live_session([Tone("a", 2.0, live=True)], scorer, sinks=[memory])
    listen(session)
    chunks = Tone("a", 2.0, live=False).chunks()
    offline = tag_stream("a", chunks, scorer, window_samples=WINDOW, hop_samples=HOP)
    by_end = {tagging.end_sample: tagging for tagging in offline if isinstance(tagging, Tagging)}
    assert memory.taggings
    assert len(memory.taggings) + session.dropped_windows == 20, "a machine under load may drop a few"
    for tagging in memory.taggings:
        assert np.array_equal(tagging.scores, by_end[tagging.end_sample].scores)
        assert tagging.latency_seconds is not None
        assert 0 <= tagging.latency_seconds < PATIENCE_SECONDS


def test_late_windows_are_dropped_counted_and_latency_stays_bounded() -> None:
    memory = Memory()
    session = live_session([Tone("a", 4.0, live=True)], slow_scorer, sinks=[memory])
    listen(session)
    session._health_due._next = 0
    session.report_health()
    (health,) = [message for message in memory.messages if isinstance(message, Health)][-1:]
    assert health.windows == len(memory.taggings)
    assert health.dropped_windows > 20
    assert health.windows + health.dropped_windows == 40
    assert health.real_time_factor is not None
    assert health.real_time_factor > 2
    latencies = [tagging.latency_seconds for tagging in memory.taggings]
    assert max(latency for latency in latencies if latency is not None) < 5.0, "in line, it would be 10 s"


def test_a_switched_off_source_is_not_tagged() -> None:
    memory, switches = Memory(), Switches()
    heard: list[int] = []

    def hear(_source: str, chunk: AudioChunk) -> None:
        heard.append(chunk.start_sample)

    class Switching(Tone):
        """Off for half a second, which is half a window."""

        def chunks(self) -> Generator[AudioChunk, None, None]:
            for chunk in super().chunks():
                switches.turn(self.name, not 16_000 <= chunk.start_sample < 24_000)
                yield chunk

    listen(
        live_session(
            [Switching("a", 4.0, live=False)],
            scorer,
            sinks=[memory],
            taps=[hear],
            switches=switches,
            fast=True,
        )
    )
    statuses = [message for message in memory.messages if isinstance(message, SourceStatus)]
    assert [(status.online, status.reason) for status in statuses] == [
        (True, ""),
        (False, "listening is switched off"),
        (True, ""),
        (False, "it has ended"),
    ]
    assert not [start for start in heard if 16_000 <= start < 24_000]
    assert len(heard) == 70
    taggings = [message for message in memory.messages if isinstance(message, Tagging)]
    assert not [tagging for tagging in taggings if 16_000 < tagging.end_sample <= 24_000]
    assert not [tagging for tagging in taggings if tagging.start_sample < 24_000 < tagging.end_sample]
    assert taggings[-1].end_sample == 64_000


class Blocking:
    """A scorer that waits at its first window until it is let go."""

    def __init__(self) -> None:
        self.busy, self.free = threading.Event(), threading.Event()

    def __call__(self, batch: Samples) -> Samples:
        self.busy.set()
        assert self.free.wait(PATIENCE_SECONDS)
        return scorer(batch)


def test_news_wait_behind_windows_while_the_tagger_is_busy_and_only_windows_are_dropped() -> None:
    memory, switches, blocking = Memory(), Switches(), Blocking()
    rounds = 20

    class Toggled(Tone):
        """Switched off and on again and again, while the tagger is busy with its first window."""

        def chunks(self) -> Generator[AudioChunk, None, None]:
            for number, chunk in enumerate(super().chunks()):
                if number == 2:
                    assert blocking.busy.wait(PATIENCE_SECONDS)
                switches.turn(self.name, number % 4 != 2)
                yield chunk

    session = live_session(
        [Toggled("a", rounds * 4 * 0.05, live=False)],
        blocking,
        sinks=[memory],
        sounds=watched("Hum"),
        switches=switches,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: not any(thread.name == "reader a" for thread in threading.enumerate()))
        assert memory.messages in ([], [SourceStatus("a", online=True)]), "nothing overtakes the window"
        assert len(session._queue._items) <= 6, "one for each state"
        blocking.free.set()
        until(lambda: not threads.is_running("tagger"))
    health = session.health()
    (source,) = health.sources
    assert source.cut_windows > rounds
    assert len(memory.taggings) == 2
    assert session.dropped_windows == health.dropped_windows == source.cut_windows - 2
    assert [event.kind for event in memory.events] == ["started", "ended"] * 2, "the pause ends the event"
    news = statuses(memory, "a")
    assert news[0] == (True, "")
    assert news[-1] == (False, "it has ended")
    last = next(m for m in reversed(memory.messages) if not isinstance(m, Health))
    assert last == SourceStatus("a", online=False, reason="it has ended")


def test_a_source_that_comes_and_goes_while_the_tagger_is_busy_is_online_before_its_tagging() -> None:
    memory, tone = Memory(), Tone("a", 1.0, live=False)
    session = live_session([tone], sinks=[memory])
    (source,) = session.channels
    chunks = tone.chunks()
    for _ in range(2):
        source._take(next(chunks))
    source._settle(tone, DeviceError("unplugged"))
    source.start()
    source._take(next(chunks))
    session._queue.close()
    session._tag()
    news = [message for message in memory.messages if isinstance(message, SourceStatus | Tagging)]
    assert news[0] == SourceStatus("a", online=True)
    assert isinstance(news[1], Tagging)


def test_the_last_health_comes_before_other_threads_are_stopped_however_long_the_last_batch_takes() -> None:
    blocking, memory = Blocking(), Memory()
    session = live_session([Tone("a", 60.0, live=True)], blocking, sinks=[memory])
    came: list[object] = []

    def stop_publisher() -> None:
        came.extend(memory.messages)
        stopped.set()

    stopped = threading.Event()

    def wait_for_stop() -> None:
        stopped.wait(PATIENCE_SECONDS)

    with ThreadGroup(timeout_seconds=0.1) as threads:
        threads.start("publisher", wait_for_stop, stop_publisher)
        session.start(threads)
        assert blocking.busy.wait(PATIENCE_SECONDS)
        threading.Timer(0.5, blocking.free.set).start()
    *_, health = came
    assert isinstance(health, Health)
    (source,) = health.sources
    assert source.waiting_samples == 0
    assert source.samples == source.windowed_samples + source.skipped_samples
    assert SourceStatus("a", online=False, reason="listening was stopped") in came


def test_a_fast_session_that_is_stopped_has_not_been_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_LAST_BATCH_SECONDS", 0.0)
    blocking = Blocking()
    session = live_session([Tone("a", 60.0, live=False)], blocking, fast=True)
    with ThreadGroup(timeout_seconds=0.2) as threads:
        session.start(threads)
        assert blocking.busy.wait(PATIENCE_SECONDS)
        until(lambda: len(session._queue._items) >= 4)
    until(lambda: session.health().dropped_windows > 0)
    assert session.dropped_windows == 0
    blocking.free.set()


def test_a_tagger_that_waits_is_not_busy() -> None:
    blocking = Blocking()
    session = live_session([Tone("a", 0.1, live=True)], blocking, stay=True)
    with ThreadGroup() as threads:
        session.start(threads)
        assert blocking.busy.wait(PATIENCE_SECONDS)
        assert session.busy_seconds > 0
        blocking.free.set()
        until(lambda: session.busy_seconds == 0)


def test_a_source_switched_off_from_the_start_is_not_read_and_reports_it() -> None:
    memory, switches = Memory(), Switches()
    switches.turn("a", on=False)
    heard: list[str] = []
    listen(
        live_session(
            [Tone("a", 1.0, live=False), Tone("b", 1.0, live=False)],
            scorer,
            sinks=[memory],
            taps=[lambda name, _chunk: heard.append(name)],
            switches=switches,
            fast=True,
        )
    )
    assert SourceStatus("a", online=False, reason="listening is switched off") in memory.messages
    assert set(heard) == {tagging.source for tagging in memory.taggings} == {"b"}


def test_the_health_says_which_sources_are_paused_now_and_which_have_ended() -> None:
    switches = Switches()
    sources = [
        Tone("over", 0.1, live=False),
        Tone("unplugged", 0.1, live=False, error=DeviceError("gone"), retry_seconds=60.0),
        Tone("live", 60.0, live=True),
    ]
    session = live_session(sources, stay=True, switches=switches)

    def activities() -> dict[str, str]:
        return {source.source: source.activity for source in session.health().sources}

    assert set(activities().values()) == {"listening"}
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: activities() == {"over": "ended", "unplugged": "listening", "live": "listening"})
        for source in sources:
            switches.turn(source.name, on=False)
        assert activities() == {"over": "ended", "unplugged": "paused", "live": "paused"}
        switches.turn("live", on=True)
        assert activities()["live"] == "listening"


def test_sources_come_online_and_go_offline() -> None:
    memory = Memory()
    listen(
        live_session(
            [Tone("a", 1.0, live=False)],
            scorer,
            sinks=[memory],
            fast=True,
        )
    )
    statuses = [message for message in memory.messages if isinstance(message, SourceStatus)]
    assert [(status.source, status.online) for status in statuses] == [("a", True), ("a", False)]
    heard = [message for message in memory.messages if not isinstance(message, Health)]
    assert heard[-1] is statuses[-1]
    assert len(memory.taggings) == 10


LOUD = resolve_sounds([Watch("loud", {"threshold": 0.05})], ("loud", "rough"))
"""Sound that `scorer` detects in a `Tone` from the first window to the last."""


def eventful(sources: list[Tone], memory: Memory, *, fast: bool = True) -> LiveSession:
    return live_session(sources, scorer, sinks=[memory], sounds=LOUD, fast=fast)


def test_each_source_has_its_own_events_between_its_taggings_and_its_last_status() -> None:
    memory = Memory()
    listen(eventful([Tone("a", 2.0, live=False), Tone("b", 1.0, live=False)], memory))
    for name, seconds in (("a", 2.0), ("b", 1.0)):
        own = [
            message
            for message in memory.messages
            if not isinstance(message, Health) and message.source == name
        ]
        started, ended = (event for event in memory.events if event.source == name)
        first = own.index(started)
        assert isinstance(own[first - 1], Tagging)
        assert len([message for message in own[:first] if isinstance(message, Tagging)]) == 2
        assert own[-2:] == [ended, SourceStatus(name, online=False, reason="it has ended")]
        assert (started.kind, started.start_sample) == ("started", 0)
        assert (ended.kind, ended.end_sample) == ("ended", seconds * 16_000)


def test_active_sounds_end_when_listening_is_stopped() -> None:
    memory = Memory()
    with ThreadGroup() as threads:
        eventful([Tone("a", 60.0, live=True)], memory, fast=False).start(threads)
        until(lambda: bool(memory.events))
    assert [event.kind for event in memory.events] == ["started", "ended"]
    assert memory.events[0].id == memory.events[1].id


def test_active_sounds_end_when_the_tagger_fails() -> None:
    calls = iter(range(100))

    def breaking(batch: Samples) -> Samples:
        if next(calls) == 5:
            raise RuntimeError("out of memory")
        return scorer(batch)

    memory = Memory()
    session = live_session(
        [Tone("a", 30.0, live=True)],
        breaking,
        sinks=[memory],
        sounds=LOUD,
    )
    with pytest.raises(RuntimeError, match="out of memory"):
        listen(session)
    assert [event.kind for event in memory.events] == ["started", "ended"]


def test_an_error_of_the_only_source_ends_listening_with_its_sentence() -> None:
    memory = Memory()
    source = Tone("a", 0.5, live=False, error=DeviceError("the microphone has gone: plug it in"))
    session = live_session([source], scorer, sinks=[memory], fast=True)
    with pytest.raises(DeviceError, match="plug it in"):
        listen(session)
    assert SourceStatus("a", online=False, reason="the microphone has gone: plug it in") in memory.messages


def test_an_unexpected_error_of_a_source_ends_that_source_alone() -> None:
    memory = Memory()
    broken = Tone("broken", 0.1, live=False, error=ValueError("select() of http://u:hidden@radio/x"))
    session = live_session([broken, Tone("a", 1.0, live=False)], scorer, sinks=[memory], fast=True)
    with pytest.raises(SourceError, match="unexpected error"):
        listen(session)
    reasons = [message.reason for message in memory.messages if isinstance(message, SourceStatus)]
    assert (
        "an unexpected error (ValueError: select() of http://radio); run with --debug and report the traceback"
        in reasons
    )
    assert max(tagging.end_sample for tagging in memory.taggings if tagging.source == "a") == 16_000


def test_a_source_with_an_unexpected_error_is_opened_again_after_a_pause() -> None:
    memory = Memory()
    broken = Tone("broken", 0.1, live=False, error=KeyError("x"), retry_seconds=0.05)
    with ThreadGroup() as threads:
        live_session([broken], scorer, sinks=[memory]).start(threads)
        until(lambda: sum(getattr(message, "online", False) for message in memory.messages) > 2)
        assert threads.is_running("reader broken")
        assert not threads.failed


def test_an_error_of_the_tagger_reaches_main() -> None:
    def broken(_batch: Samples) -> Samples:
        raise RuntimeError("out of memory")

    session = live_session([Tone("a", 30.0, live=True)], broken, sinks=[])
    with pytest.raises(RuntimeError, match="out of memory"):
        listen(session)


def test_all_threads_are_joined_soon_after_the_end() -> None:
    sources = [Tone(f"s{number}", 60.0, live=True) for number in range(4)]
    session = live_session(sources, slow_scorer, sinks=[])
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        session.start(threads)
        threads.wait(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < 10.0, "there is sound for a minute"
    assert not any(thread.name.startswith("reader") for thread in threading.enumerate())


def test_a_limit_ends_each_source_on_the_sample() -> None:
    memory = Memory()
    heard: list[int] = []
    session = live_session(
        [Tone("a", 60.0, live=False)],
        scorer,
        sinks=[memory],
        taps=[lambda _name, chunk: heard.append(len(chunk.samples))],
        fast=True,
        limit_samples=5_000,
    )
    listen(session)
    assert sum(heard) == 5_000
    assert [tagging.end_sample for tagging in memory.taggings] == [1_600, 3_200, 4_800]


def test_the_first_error_wins() -> None:
    ending = threading.Event()

    def late() -> None:
        ending.wait(PATIENCE_SECONDS)
        raise ValueError("second")

    def early() -> None:
        raise ValueError("first")

    def work() -> None:
        with ThreadGroup(PATIENCE_SECONDS) as threads:
            threads.start("late", late, ending.set)
            threads.start("early", early, ending.set)
            until(lambda: threads.failed)

    with pytest.raises(ValueError, match="first"):
        work()


def test_a_thread_left_behind_is_listed_until_it_ends() -> None:
    over = threading.Event()

    def be_busy() -> None:
        over.wait(PATIENCE_SECONDS)

    with ThreadGroup(0.0) as threads:
        threads.start("busy", be_busy, lambda: None)
    assert threads_remain()
    over.set()
    until(lambda: not threads_remain())


def test_gaps_are_counted() -> None:
    meter = HealthMeter()
    source = meter.source("a")
    source.add(AudioChunk(np.zeros(10, np.float32), 0, 0.0))
    source.add(AudioChunk(np.zeros(10, np.float32), 8_010, 0.0))
    source.add_dropped()
    source.add_dropped()
    health = meter.report([source.report(repaired_samples=7)])
    assert (health.overruns, health.lost_seconds, health.overrun_seconds) == (1, 0.5, 0.5)
    assert (health.dropped_windows, health.repaired_samples, health.broker) == (2, 7, "none")
    assert (health.latency_p50_seconds, health.real_time_factor) == (None, None)


@pytest.mark.slow
def test_memory_is_flat_over_a_simulated_day() -> None:
    """86,400 windows through the pipeline and the meter, in blocks of a second."""
    samples = np.full(16_000, 0.1, np.float32)

    def day(seconds: int) -> Iterator[AudioChunk]:
        for second in range(seconds):
            yield AudioChunk(samples, second * 16_000, 1e9 + second)

    meter = HealthMeter()
    process = psutil.Process()
    windows, resident = 0, []
    for tagging in tag_stream("a", day(86_400), scorer, window_samples=1_600, hop_samples=16_000):
        assert isinstance(tagging, Tagging)
        meter.tagged([tagging], 0.01)
        windows += 1
        if windows in {2_000, 86_400}:
            resident.append(process.memory_info().rss)
    assert windows == 86_400
    assert resident[1] - resident[0] < 4_000_000, "46 bytes a window"


def until(done: Callable[[], bool]) -> None:
    """Wait until something is so, but not for ever."""
    wait_until(done, "what is expected of the session")


def statuses(memory: Memory, source: str) -> list[tuple[bool, str]]:
    return [
        (message.online, message.reason)
        for message in memory.messages
        if isinstance(message, SourceStatus) and message.source == source
    ]


def newcomer(
    name: str, *, hop_samples: int = HOP, sounds: Sequence[WatchedSound] = LOUD, clipped: bool = False
) -> Input:
    return Input(Tone(name, 60.0, live=True), hop_samples, sounds, clipped)


def session_on(memory: Memory, *sources: Tone) -> LiveSession:
    return live_session(sources, scorer, sinks=[memory], stay=True)


def test_replacing_a_source_does_not_affect_the_others() -> None:
    memory = Memory()
    session = session_on(memory, Tone("a", 60.0, live=True), Tone("b", 60.0, live=True))
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.taggings) >= 8)
        session.channels.exchange("a", Tone("another", 60.0, live=True))
        until(lambda: statuses(memory, "a")[-2:] == [(False, "another source was chosen"), (True, "")])
        count = len(memory.taggings)
        until(lambda: {tagging.source for tagging in memory.taggings[count + 8 :]} == {"a", "b"})
    own = [tagging for tagging in memory.taggings if tagging.source == "a"]
    ends = [tagging.end_sample for tagging in own]
    assert ends == sorted(set(ends)), "positions in the stream go on"
    news = memory.messages.index(SourceStatus("a", online=False, reason="another source was chosen"))
    before = max(m.end_sample for m in memory.messages[:news] if isinstance(m, Tagging) and m.source == "a")
    assert all(tagging.end_sample <= before or tagging.start_sample >= before for tagging in own), (
        "the new source's windows begin anew"
    )
    assert {tagging.source for tagging in memory.taggings} == {"a", "b"}
    assert statuses(memory, "b") == [(True, ""), (False, "listening was stopped")]
    others = [tagging.end_sample for tagging in memory.taggings if tagging.source == "b"]
    assert others == sorted(others)


def test_a_source_with_retries_is_reopened_whenever_it_fails() -> None:
    memory = Memory()
    error = DeviceError("a has stopped")
    session = eventful([Tone("a", 0.3, live=True, error=error, retry_seconds=0.1)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: statuses(memory, "a").count((True, "")) >= 3)
        assert threads.is_running("tagger")
    assert session.failure is None
    assert statuses(memory, "a")[:4] == [(True, ""), (False, "a has stopped")] * 2
    ends = [tagging.end_sample for tagging in memory.taggings]
    assert ends == sorted(set(ends))
    assert ends[-1] > round(0.3 * 16_000), "positions in the stream go on, behind the gap"


def test_with_a_window_an_ended_source_waits_for_another() -> None:
    memory = Memory()
    session = session_on(memory, Tone("a", 0.3, live=True))
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: (False, "it has ended") in statuses(memory, "a"))
        time.sleep(0.3)
        assert threads.is_running("tagger")
        session.channels.exchange("a", Tone("more", 60.0, live=True))
        until(lambda: statuses(memory, "a")[-1] == (True, ""))


def test_watched_sounds_change_from_the_next_tagging_on() -> None:
    memory = Memory()
    session = session_on(memory, Tone("a", 60.0, live=True))
    rule = {"threshold": 0.05, "hits": 1, "of": 1}
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.taggings) >= 3)
        assert memory.events == []
        session.channels.watch("a", resolve_sounds([Watch("Mean", rule)], ("Mean", "Deviation")))
        until(lambda: len(memory.events) == 1)
        session.channels.watch("a", ())
        until(lambda: len(memory.events) == 2)
    assert [event.kind for event in memory.events] == ["started", "ended"]


RULE = {"threshold": 0.05, "hits": 1, "of": 1}


def watched(*names: str) -> list[WatchedSound]:
    """Sounds of these names, each of them in a `Tone` from the first window to the last."""
    return [sound for name in names for sound in resolve_sounds([Watch(name, RULE)], (name, "rough"))]


def test_each_source_detects_its_own_sounds() -> None:
    memory = Memory()
    listen(
        live_session(
            [Tone(name, 1.0, live=False) for name in "abc"],
            scorer,
            sinks=[memory],
            sounds=watched("Hum"),
            own_sounds={"b": watched("Buzz"), "c": ()},
            fast=True,
        )
    )
    assert {(event.source, event.label) for event in memory.events} == {("a", "Hum"), ("b", "Buzz")}


def test_changing_the_watched_sounds_of_a_source_does_not_affect_the_others() -> None:
    memory = Memory()
    session = session_on(memory, Tone("a", 60.0, live=True), Tone("b", 60.0, live=True))
    with ThreadGroup() as threads:
        session.start(threads)
        session.channels.watch("a", watched("Hum"))
        until(lambda: len(memory.events) == 1)
        session.channels.watch("b", watched("Hum", "Buzz"))
        until(lambda: len(memory.events) == 3)
        session.channels.watch("a", ())
        until(lambda: len(memory.events) == 4)
    assert [(event.source, event.kind) for event in memory.events[:4]] == [
        ("a", "started"),
        ("b", "started"),
        ("b", "started"),
        ("a", "ended"),
    ]


def test_each_source_has_its_own_hop() -> None:
    memory = Memory()
    listen(
        live_session(
            [Tone("a", 2.0, live=False), Tone("b", 2.0, live=False)],
            scorer,
            hops={"b": 4 * HOP},
            sinks=[memory],
            fast=True,
        )
    )
    ends = {name: [t.end_sample for t in memory.taggings if t.source == name] for name in "ab"}
    assert ends == {
        "a": list(range(HOP, 20 * HOP + 1, HOP)),
        "b": list(range(4 * HOP, 20 * HOP + 1, 4 * HOP)),
    }


def test_an_added_source_has_its_own_hop_and_sounds_until_it_shares_those_of_all() -> None:
    memory, meter = Memory(), HealthMeter()
    session = live_session([Tone("a", 60.0, live=True)], sinks=[memory], sounds=watched("Hum"), meter=meter)
    with ThreadGroup() as threads:
        session.start(threads)
        session.channels.rearrange(["a", "b"], [newcomer("b", hop_samples=4 * HOP, sounds=watched("Buzz"))])
        until(lambda: len([tagging for tagging in memory.taggings if tagging.source == "b"]) >= 3)
        session.channels.watch("b", watched("Hum"))
        until(lambda: ("b", "Hum") in {(event.source, event.label) for event in memory.events})
        assert meter._windows_per_second == pytest.approx(10.0 + 2.5, rel=1e-3)
        session.channels.rearrange(["a"])
        assert meter._windows_per_second == pytest.approx(10.0)
    ends = [tagging.end_sample for tagging in memory.taggings if tagging.source == "b"]
    assert all(end % (4 * HOP) == 0 for end in ends[:3])
    assert [(event.label, event.kind) for event in memory.events if event.source == "b"][:3] == [
        ("Buzz", "started"),
        ("Buzz", "ended"),
        ("Hum", "started"),
    ]


def test_a_source_missing_at_the_start_is_waited_for_and_reported_once() -> None:
    class Plugged(Tone):
        """A microphone that is not there at first."""

        attempts = 0

        def chunks(self) -> Generator[AudioChunk, None, None]:
            self.attempts += 1
            if self.attempts < 4:
                raise DeviceError("there is no a")
            yield from super().chunks()

    memory = Memory()
    source = Plugged("a", 60.0, live=True, retry_seconds=0.05)
    session = eventful([source, Tone("b", 60.0, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: (True, "") in statuses(memory, "a"))
    assert statuses(memory, "a") == [(False, "there is no a"), (True, ""), (False, "listening was stopped")]


def test_waiting_for_a_source_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "_FIRST_PAUSE_SECONDS", 3_600.0)
    memory = Memory()
    error = DeviceError("there is no a")
    session = eventful([Tone("a", 0.0, live=True, error=error, retry_seconds=3_600.0)], memory, fast=False)
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        session.start(threads)
        until(lambda: bool(statuses(memory, "a")))
        began = time.monotonic()
    assert time.monotonic() - began < 10.0


def test_a_broken_recording_ends_alone_and_is_the_sessions_failure() -> None:
    memory = Memory()
    torn = Tone("torn", 0.5, live=True, error=RecordingError("torn is broken"))
    session = eventful([torn, Tone("whole", 2.0, live=True)], memory, fast=False)
    with pytest.raises(RecordingError, match="torn is broken"):
        listen(session)
    assert statuses(memory, "torn") == [(True, ""), (False, "torn is broken")]
    assert statuses(memory, "whole") == [(True, ""), (False, "it has ended")]
    ends = [tagging.end_sample for tagging in memory.taggings if tagging.source == "whole"]
    assert ends[-1] == 32_000


def test_sources_that_end_together_lose_neither_their_last_status_nor_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory, say = Memory(), channel._Outbox.say

    def say_late(outbox: channel._Outbox, *, online: bool, reason: str = "") -> None:
        if reason == "it broke off":
            wait_until(lambda: SourceStatus("a", False, "it has ended") in memory.messages, "the end of a")
            time.sleep(0.1)
        say(outbox, online=online, reason=reason)

    monkeypatch.setattr(channel._Outbox, "say", say_late)
    broken = Tone("b", 0.2, live=False, error=RecordingError("it broke off"))
    session = live_session([Tone("a", 0.2, live=False), broken], sinks=[memory], fast=True)
    with pytest.raises(RecordingError):
        listen(session)
    assert SourceStatus("b", False, "it broke off") in memory.messages


def test_with_a_window_a_broken_recording_waits_for_another() -> None:
    memory = Memory()
    session = session_on(memory, Tone("a", 0.3, live=True, error=RecordingError("a is broken")))
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: (False, "a is broken") in statuses(memory, "a"))
        time.sleep(0.3)
        assert threads.is_running("tagger")
        session.channels.exchange("a", Tone("more", 60.0, live=True))
        until(lambda: statuses(memory, "a")[-1] == (True, ""))
    assert session.failure is None


def test_adding_and_removing_a_source_does_not_affect_the_others() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.taggings) >= 3)
        session.channels.rearrange(["b", "a"], [newcomer("b")])
        assert list(session.channels.names) == ["b", "a"]
        until(lambda: len([tagging for tagging in memory.taggings if tagging.source == "b"]) >= 4)
        session.channels.rearrange(["a"])
        assert list(session.channels.names) == ["a"]
        until(lambda: memory.sources[-1] == ("a",))
        assert (False, "it was removed") in statuses(memory, "b")
        session.channels.rearrange(["a", "b"], [newcomer("b")])
        until(lambda: [event.kind for event in memory.events if event.source == "b"].count("started") == 2)
        with pytest.raises(SourceError, match="already"):
            session.channels.rearrange(["a", "b"], [newcomer("b")])
    assert statuses(memory, "a") == [(True, ""), (False, "listening was stopped")]
    assert statuses(memory, "b")[:3] == [(True, ""), (False, "it was removed"), (True, "")]
    own = [event.kind for event in memory.events if event.source == "b"]
    assert own == ["started", "ended"] * 2, "what was on has ended with the source"
    ends = [tagging.end_sample for tagging in memory.taggings if tagging.source == "a"]
    assert ends == sorted(ends)
    with pytest.raises(SourceError, match="listening is over"):
        session.channels.rearrange(["a", "b", "d"], [newcomer("d")])
    assert memory.sources == [("b", "a"), ("a", "b"), ("a",), ("a", "b")], (
        "one that leaves is known to its end"
    )


def test_all_sources_may_be_replaced_while_listening_continues() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.events) == 1)
        session.channels.rearrange(["b", "c"], [newcomer("c"), newcomer("b")])
        until(lambda: memory.sources == [("b", "c", "a"), ("b", "c")])
        until(lambda: {tagging.source for tagging in memory.taggings} == {"a", "b", "c"})
        assert threads.is_running("tagger")
    assert [event.kind for event in memory.events if event.source == "a"] == ["started", "ended"]


def test_sources_removed_right_after_they_were_added_affect_no_others() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        for number in range(30):
            session.channels.rearrange(["a", "b"], [newcomer("b")])
            time.sleep(0.01 * (number % 4))
            session.channels.rearrange(["a"])
            until(lambda: memory.sources[-1] == ("a",))
        count = len(memory.taggings)
        until(lambda: len(memory.taggings) >= count + 3)
        assert not threads.failed
        assert len(threads._members) < 10, "who has ended is forgotten"
    assert [event.source for event in memory.events if event.kind == "started"].count("a") == 1


def test_a_source_chosen_while_the_end_of_the_one_before_it_is_published_is_heard() -> None:
    class Chooser(Memory):
        """Chooses another source once, on the tagger's thread, as soon as the first one has ended."""

        def accept(self, message: Message) -> None:
            super().accept(message)
            if isinstance(message, SourceStatus) and not message.online and others:
                session.channels.exchange("a", others.pop())

    memory, others = Chooser(), [Tone("a", 0.5, live=False)]
    session = eventful([Tone("a", 0.5, live=False)], memory)
    listen(session)
    assert statuses(memory, "a") == [(True, ""), (False, "it has ended")] * 2
    assert len(memory.taggings) == 10


def test_a_source_chosen_at_the_very_end_of_the_one_before_it_is_heard() -> None:
    class Last(Tone):
        def chunks(self) -> Generator[AudioChunk, None, None]:
            yield from super().chunks()
            session.channels.exchange("a", Tone("a", 0.5, live=False))

    memory = Memory()
    session = eventful([Last("a", 0.5, live=False)], memory)
    listen(session)
    assert statuses(memory, "a") == [
        (True, ""),
        (False, "another source was chosen"),
        (True, ""),
        (False, "it has ended"),
    ]
    assert len(memory.taggings) == 10


def test_a_change_of_sources_returns_at_once_though_a_source_hangs() -> None:
    memory, hanging = Memory(), Hanging("b", 60.0, live=True)
    session = eventful([Tone("a", 60.0, live=True), hanging], memory, fast=False)
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        session.start(threads)
        until(lambda: len({tagging.source for tagging in memory.taggings}) == 2)
        began = time.monotonic()
        session.channels.rearrange(["a", "c"], [newcomer("c")])
        assert time.monotonic() - began < 1.0
        time.sleep(0.5)
        assert not statuses(memory, "c"), "it waits until the device is free"
        hanging.let_go()
        until(lambda: (True, "") in statuses(memory, "c"))
        until(lambda: memory.sources[-1] == ("a", "c"))


def test_a_new_source_waits_a_short_time_for_all_that_hang_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_RELEASE_SECONDS", 0.5)
    memory, hanging = Memory(), [Hanging(str(number), 60.0, live=True) for number in range(40)]
    session = eventful([Tone("a", 60.0, live=True), *hanging], memory, fast=False)
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        session.start(threads)
        until(lambda: len({tagging.source for tagging in memory.taggings}) == 41)
        began = time.monotonic()
        session.channels.rearrange(["a", "new"], [newcomer("new")])
        until(lambda: (True, "") in statuses(memory, "new"))
        assert time.monotonic() - began < 10.0, "one after the other, it would be 20 s"
        for source in hanging:
            source.let_go()
        until(lambda: memory.sources[-1] == ("a", "new"))


def test_an_ended_source_can_be_removed_and_replaced() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True), Tone("b", 0.3, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: statuses(memory, "b")[-1:] == [(False, "it has ended")])
        session.channels.exchange("b", Tone("b", 0.5, live=True))
        until(lambda: statuses(memory, "b")[2:] == [(True, ""), (False, "it has ended")])
        session.channels.rearrange(["a"])
        until(lambda: memory.sources[-1] == ("a",))
        session.channels.rearrange(["a", "b"], [newcomer("b")])
        until(lambda: statuses(memory, "b")[-1] == (True, ""))


def test_a_removed_source_cannot_be_replaced() -> None:
    session = session_on(Memory(), Tone("a", 60.0, live=True), Tone("b", 60.0, live=True))
    session.channels.rearrange(["a"])
    with pytest.raises(SourceError, match="'b' was removed"):
        session.channels.exchange("b", Tone("b", 60.0, live=True))


def test_a_new_hop_applies_from_the_next_chunk_and_loses_no_sample_or_event() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True), Tone("b", 60.0, live=True)], memory, fast=True)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.events) == 2)
        session.channels.set_hops({"a": 4 * HOP})
        count = len(memory.taggings)
        until(lambda: len([t for t in memory.taggings[count:] if t.source == "a"]) >= 4)
        session.channels.set_hops({"a": HOP // 2})
        count = len(memory.taggings)
        until(lambda: len([t for t in memory.taggings[count:] if t.source == "a"]) >= 6)
    ends = {name: [t.end_sample for t in memory.taggings if t.source == name][:-1] for name in "ab"}
    steps = [after - before for before, after in itertools.pairwise(ends["a"])]
    assert {HOP, 4 * HOP, HOP // 2} <= set(steps)
    assert all(end % (HOP // 2) == 0 for end in ends["a"])
    assert steps[-1] == HOP // 2
    assert ends["b"] == list(range(HOP, HOP * len(ends["b"]) + 1, HOP))
    assert [event.kind for event in memory.events] == ["started"] * 2 + ["ended"] * 2
    last = memory.messages[-1]
    assert isinstance(last, Health)
    for source in last.sources:
        assert (source.lost_samples, source.dropped_windows) == (0, 0)
        assert source.samples == source.windowed_samples + source.skipped_samples


def test_a_removed_source_is_not_listed_and_the_accounts_of_the_others_are_exact() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True), Tone("b", 60.0, live=True)], memory, fast=False)

    def health() -> Health:
        session._health_due._next = 0.0
        session.report_health()
        return next(message for message in reversed(memory.messages) if isinstance(message, Health))

    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.taggings) >= 10)
        before = health()
        session.channels.rearrange(["a"])
        until(lambda: memory.sources[-1] == ("a",))
        after = health()
        assert [source.source for source in after.sources] == ["a"]
        assert after.windows >= before.windows
        assert after.repaired_samples == before.repaired_samples == 6
        session.channels.rearrange(["a", "b"], [newcomer("b")])
        until(lambda: len(health().sources) == 2)
    last = memory.messages[-1]
    assert isinstance(last, Health)
    assert last.windows == len(memory.taggings)
    assert last.repaired_samples == 9
    for source in last.sources:
        assert source.samples == source.windowed_samples + source.skipped_samples
        assert source.cut_windows == source.windows + source.dropped_windows
    (a, b) = last.sources
    assert a.windows + b.windows < last.windows


def test_clips_of_an_added_source_are_kept_only_if_it_allows_them(tmp_path: Path) -> None:
    clips = Clips(
        tmp_path, sources=["a"], model="", limits=ClipLimits(0, 0, 16_000), never=(), days=1.0, max_bytes=10**6
    )  # fmt: skip
    session = live_session(
        [Tone("a", 60.0, live=True)], scorer, sinks=[], clips=clips
    )  # fmt: skip
    with ThreadGroup() as threads:
        session.start(threads)
        session.channels.rearrange(["a", "b", "c"], [newcomer("b"), newcomer("c", clipped=True)])
        assert clips._recorders.keys() == {"a", "c"}
        session.channels.rearrange(["a", "b"])
        until(lambda: clips._recorders.keys() == {"a"})


def test_an_added_source_that_is_switched_off_is_not_read_and_reports_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory, file = Memory(), tmp_path / "off.json"
    Switches(file).turn("b", on=False)
    session = live_session(
        [Tone("a", 60.0, live=True)],
        scorer,
        sinks=[memory],
        switches=Switches(file),
    )
    with ThreadGroup() as threads:
        session.start(threads)
        session.channels.rearrange(["a", "b"], [newcomer("b")])
        until(lambda: bool(statuses(memory, "b")))
    assert statuses(memory, "b")[0] == (False, "listening is switched off")
    assert [message.partition(" is ")[0] for message in caplog.messages] == ["b"]


def test_listening_ends_when_the_last_source_is_removed() -> None:
    memory = Memory()
    session = eventful([Tone("a", 60.0, live=True)], memory, fast=False)
    with ThreadGroup() as threads:
        session.start(threads)
        until(lambda: len(memory.taggings) >= 1)
        session.channels.rearrange([])
        until(lambda: not threads.is_running("tagger"))
        assert not threads.failed


def test_the_log_has_each_reason_once_a_minute_and_the_length_of_the_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    pauses_of = Backoff("a", clock=lambda: now)
    caplog.set_level("INFO")
    pauses = []
    for _ in range(40):
        pauses.append(pauses_of.fail("there is no a", 3.0))
        now += pauses[-1]
    assert pauses[:4] == [0.5, 1.0, 2.0, 3.0]
    assert set(pauses[3:]) == {3.0}
    pauses_of.deliver(0.1)
    assert [record.message for record in caplog.records] == [
        "no audio from a (there is no a); retrying",
        "no audio from a (there is no a); retrying",
        f"audio from a is back after {format_duration(now)}",
    ]
    assert pauses_of.fail("there is no a", 3.0) == 3.0, "it was back for a moment only"
    pauses_of.deliver(20.0)
    assert pauses_of.fail("there is no a", 3.0) == 0.5
