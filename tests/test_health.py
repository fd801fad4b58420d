"""Health: what became of each sample and window, what the sound is like, how fast clocks run, and what the log says of it."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.session import live_session
from support.waiting import PATIENCE_SECONDS

from streamer.errors import DeviceError
from streamer.health import HealthMeter
from streamer.health.clock_drift import ClockDrift
from streamer.health.noise_floor import NoiseFloor
from streamer.health.signal_quality import SignalQuality
from streamer.health.source import SourceMeter
from streamer.levels import Amplitudes
from streamer.live.switches import Switches
from streamer.messages import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Health,
    Message,
    Samples,
    SourceHealth,
    Tagging,
    Window,
)
from streamer.runtime.threads import ThreadGroup
from streamer.sinks.health_log import HealthLog
from streamer.stream.windows import WindowCutter

DAY_SECONDS = 86_400


def meter_for(clock: Callable[[], float] = time.monotonic) -> HealthMeter:
    return HealthMeter(model="tiny", device="cpu", clock=clock)


def silence(start: int, length: int) -> AudioChunk:
    return AudioChunk(np.zeros(length, np.float32), start, 1e9 + start / SAMPLE_RATE_HZ)


def of(health: Health, source: str = "a") -> SourceHealth:
    (found,) = [entry for entry in health.sources if entry.source == source]
    return found


def assert_balanced(health: SourceHealth) -> None:
    assert health.samples == (
        health.windowed_samples
        + health.lost_samples
        + health.paused_samples
        + health.skipped_samples
        + health.waiting_samples
    )
    assert health.cut_windows >= health.windows + health.dropped_windows


# What happens to a stream: so many samples are heard, lost or thrown away, or the stream ends and begins anew.
DEEDS = st.lists(
    st.tuples(st.sampled_from(["hear", "hear", "hear", "lose", "pause", "end"]), st.integers(1, 5_000)),
    max_size=40,
)


@given(deeds=DEEDS, hop=st.integers(1, 40), window=st.integers(1, 40))
def test_every_sample_is_windowed_lost_paused_skipped_or_waits(
    deeds: Sequence[tuple[str, int]], hop: int, window: int
) -> None:
    """Held against an account that keeps each single sample."""
    cutter = WindowCutter("a", window_samples=window * 160, hop_samples=hop * 160)
    meter = SourceMeter("a")
    meter.open(live=True)
    position, heard, lost, paused = 0, np.zeros(0, bool), 0, 0
    windowed: set[int] = set()
    cut = gaps = 0
    owed = False

    def take(windows: Iterable[Window]) -> None:
        nonlocal cut
        for due in windows:
            meter.add_window(due)
            cut += 1
            windowed.update(range(due.start_sample, due.end_sample))

    for deed, length in [*deeds, ("end", 1)]:
        if deed == "end":
            take(cutter.flush())
            meter.finish()
            continue
        if deed == "lose":
            heard = np.append(heard, np.zeros(length, bool))
            position, lost, owed = position + length, lost + length, True
            continue
        gaps, owed = gaps + owed, False
        chunk = silence(position, length)
        position += length
        heard = np.append(heard, np.full(length, deed == "hear"))
        if deed == "pause":
            take(cutter.flush())
            meter.finish()
            meter.add_paused(chunk)
            paused += length
        else:
            meter.add(chunk)
            take(cutter.feed(chunk))
        health = meter.report()
        assert_balanced(health)
        assert (health.samples, health.lost_samples, health.paused_samples) == (position, lost, paused)
        assert (health.gaps, health.cut_windows) == (gaps, cut)
    health = meter.report()
    assert_balanced(health)
    assert health.waiting_samples == 0
    in_windows = sum(1 for sample in windowed if heard[sample])
    assert health.windowed_samples == in_windows
    assert health.skipped_samples == int(heard.sum()) - in_windows


def test_samples_in_several_windows_count_once() -> None:
    cutter, meter = WindowCutter("a", window_samples=16_000, hop_samples=1_600), SourceMeter("a")
    for start in range(0, 64_000, 800):
        meter.add(silence(start, 800))
        for window in cutter.feed(silence(start, 800)):
            meter.add_window(window)
    health = meter.report()
    assert (health.windowed_samples, health.skipped_samples, health.cut_windows) == (64_000, 0, 40)


def test_between_windows_that_do_not_meet_sound_is_skipped() -> None:
    cutter, meter = WindowCutter("a", window_samples=16_000, hop_samples=64_000), SourceMeter("a")
    for start in range(0, 256_000, 16_000):
        meter.add(silence(start, 16_000))
        for window in cutter.feed(silence(start, 16_000)):
            meter.add_window(window)
    health = meter.report()
    assert (health.windowed_samples, health.skipped_samples) == (64_000, 192_000)


def test_twenty_minutes_of_gaps_without_a_window_take_no_more_memory_than_one() -> None:
    meter = SourceMeter("a")
    for number in range(60_000):
        meter.add(silence(320 * number, 160))
        if number % 10_000 == 0:
            assert_balanced(meter.report())
    assert len(meter._accounting._waiting) <= 163_840 / 320
    health = meter.report()
    assert (health.gaps, health.lost_samples) == (59_999, 59_999 * 160)


class Troubled:
    """A source in real time with a gap of a fifth of a second in each second; switched off for a while, if there are switches."""

    live = True
    repaired_samples = 0

    def __init__(
        self, name: str, seconds: float, switches: Switches | None = None, *, fails: bool = False
    ) -> None:
        self.name = name
        self.retry_seconds = 0.1 if fails else None
        self._seconds, self._switches, self._fails = seconds, switches, fails
        self._closed = threading.Event()
        self.delivered = self.lost = self.times_opened = 0
        self.has_ended = False

    def chunks(self) -> Generator[AudioChunk, None, None]:
        self.times_opened += 1
        anchor, owed = time.time(), 0
        for start in range(0, round(self._seconds * SAMPLE_RATE_HZ), 800):
            if self._closed.wait(max(0.0, anchor + (start + 800) / SAMPLE_RATE_HZ - time.time())):
                return
            if start % 16_000 in {3_200, 4_000, 4_800, 5_600}:
                owed += 800
                continue
            if self._switches is not None:
                self._switches.turn(self.name, not 20_000 < start < 30_000)
            self.delivered += 800
            self.lost += owed
            samples = np.full(800, 0.1, np.float32)
            yield AudioChunk(samples, start, anchor + start / SAMPLE_RATE_HZ)
            owed = 0
        if self._fails:
            raise DeviceError("it has stopped")
        self.has_ended = True

    def close(self) -> None:
        self._closed.set()


class Memory:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def accept(self, message: Message) -> None:
        self.messages.append(message)

    def taggings(self, source: str) -> list[Tagging]:
        return [m for m in self.messages if isinstance(m, Tagging) and m.source == source]


def slow(batch: Samples) -> Samples:
    time.sleep(0.25)
    return batch[:, :2]


def test_a_whole_session_balances_with_gaps_pauses_drops_failures_and_exchanges() -> None:
    memory, switches = Memory(), Switches()
    a, b = Troubled("a", 60.0), Troubled("b", 2.5, switches)
    failing, later = Troubled("c", 0.6, fails=True), Troubled("later", 60.0)
    session = live_session(
        [a, b, failing],
        slow,
        sinks=[memory],
        switches=switches,
        stay=True,
    )
    began = time.monotonic()
    exchanged = False
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        session.start(threads)
        while not (later.lost and failing.times_opened > 2 and b.has_ended):
            threads.wait(0.02)
            session._health_due._next = 0
            session.report_health()
            if a.lost and not exchanged:
                session.channels.exchange("a", later)
                exchanged = True
            assert time.monotonic() - began < PATIENCE_SECONDS
    reports = [message for message in memory.messages if isinstance(message, Health)]
    assert len(reports) > 20
    for report in reports:
        for health in report.sources:
            assert_balanced(health)
            assert health.cut_windows - health.windows - health.dropped_windows <= 8, "few wait"
    last = memory.messages[-1]
    assert isinstance(last, Health)
    for health in last.sources:
        assert_balanced(health)
        assert health.waiting_samples == 0
        assert health.cut_windows == health.windows + health.dropped_windows
        assert health.windows == len(memory.taggings(health.source))
        assert health.lost_samples > 0
        assert 0 < health.overruns <= health.gaps
        assert 0 < health.overrun_samples <= health.lost_samples
    assert last.windows == sum(health.windows for health in last.sources)
    assert last.dropped_windows == session.dropped_windows > 0
    paused = of(last, "b")
    assert paused.paused_samples > 0
    assert paused.windowed_samples + paused.paused_samples + paused.skipped_samples == b.delivered
    assert paused.lost_samples == b.lost
    again = of(last, "c")
    assert again.gaps > again.overruns, "the time until it was opened again is a gap, and nobody's overrun"
    assert again.lost_samples > again.overrun_samples


def test_a_limit_is_the_end_of_the_account() -> None:
    memory = Memory()
    source = Troubled("a", 60.0)
    session = live_session(
        [source],
        lambda batch: batch[:, :2],
        sinks=[memory],
        limit_samples=10_000,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger"):
            threads.wait(0.02)
    health = of(session.health())
    assert_balanced(health)
    assert (health.samples, health.lost_samples) == (10_000, 3_200)


def test_latencies_are_reported_as_percentiles() -> None:
    meter = meter_for()
    window = Tagging("a", 0, 1, 0.0, np.zeros(1, np.float32), 0.0, 0.0)
    meter.tagged([replace(window, latency_seconds=number / 100) for number in range(101)], 1.0)
    health = meter.report(broker="none")
    assert health.latency_p50_seconds == pytest.approx(0.50)
    assert health.latency_p95_seconds == pytest.approx(0.95)
    assert health.latency_p99_seconds == pytest.approx(0.99)


def test_memory_and_the_time_since_the_last_chunk_and_tagging_are_reported() -> None:
    now = 100.0
    meter = meter_for(lambda: now)
    assert meter.report(broker="none").seconds_since_tagging is None
    source = meter.source("a")
    source.add(silence(0, 10))
    meter.tagged([Tagging("a", 0, 1, 0.0, np.zeros(1, np.float32), 0.0, None)], 0.1)
    now = 107.0
    health = meter.report([source.report()])
    assert (health.seconds_since_tagging, of(health).seconds_since_sound) == (7.0, 7.0)
    assert health.resident_bytes is None or 10e6 < health.resident_bytes < 100e9


SIZES = st.lists(st.integers(0, 40_000), min_size=1, max_size=30)


def quality_after(*stretches: tuple[float, float], size: int = 800) -> SignalQuality:
    """Return the signal quality after stretches of (seconds, amplitude)."""
    quality = SignalQuality()
    for seconds, amplitude in stretches:
        amplitudes = Amplitudes.of(np.full(size, amplitude, np.float32))
        for _ in range(round(seconds * SAMPLE_RATE_HZ / size)):
            quality.update(amplitudes)
    return quality


def test_ten_seconds_of_zeros_are_a_dead_microphone_and_any_sound_ends_that() -> None:
    assert quality_after((60.0, 0.01), (9.9, 0.0)).state == "ok"
    assert quality_after((60.0, 0.01), (10.0, 0.0)).state == "silent"
    assert quality_after((60.0, 0.01), (10.0, 0.0), (0.05, 1e-4)).state == "ok"


def test_a_reopened_source_is_judged_from_the_start() -> None:
    quality = quality_after((5.0, 1.0), (20.0, 0.0))
    states = [quality.state]
    assert quality.clipped_share == pytest.approx(5 / 60)
    quality.reset()
    states.append(quality.state)
    assert states == ["silent", "ok"]
    assert quality.clipped_share == 0.0


def test_a_clap_does_not_clip_but_a_gain_that_is_too_high_does_until_it_is_lowered() -> None:
    assert quality_after((30.0, 0.1), (0.05, 1.0), (5.0, 0.1)).state == "ok"
    quality = quality_after((30.0, 0.1), (0.2, 1.0), (1.0, 0.1))
    assert quality.state == "clipping"
    assert quality.clipped_share == pytest.approx(0.2 / 60)
    assert quality_after((30.0, 0.1), (0.2, 1.0), (58.0, 0.1)).state == "clipping"
    assert quality_after((30.0, 0.1), (0.2, 1.0), (62.0, 0.1)).state == "ok"


def test_clipping_near_the_limit_does_not_flicker() -> None:
    quality, states = SignalQuality(), []
    for second in range(600):
        clipped = 24 if second < 60 else 12 if second % 2 else 14
        quality.update(Amplitudes(samples=16_000, energy=100.0, peak=1.0, clipped=clipped))
        states.append(quality.state)
    assert [state for state, before in zip(states[1:], states, strict=False) if state != before] == [
        "clipping"
    ]


@pytest.mark.slow
@given(sizes=SIZES)
def test_the_chunk_size_does_not_change_the_totals(sizes: list[int]) -> None:
    samples = np.random.default_rng(1).uniform(-1.0, 1.0, sum(sizes)).astype(np.float32)
    parts = np.split(samples, np.cumsum(sizes)[:-1])
    whole = Amplitudes.of(samples)
    total = sum((Amplitudes.of(part) for part in parts), Amplitudes())
    assert (total.samples, total.peak, total.clipped) == (whole.samples, whole.peak, whole.clipped)
    assert total.energy == pytest.approx(whole.energy)
    assert total.total == pytest.approx(whole.total, abs=1e-6)


def test_an_empty_chunk_has_amplitudes_too() -> None:
    nothing = Amplitudes.of(np.zeros(0, np.float32))
    assert nothing == Amplitudes()
    assert (nothing.level_dbfs, nothing.is_silent) == (-120.0, True)


def week_of_rooms(day_dbfs: float, night_dbfs: float, *, days: int = 2) -> NoiseFloor:
    """Return the noise floor of a room with a noisy day and a quiet night."""
    floor, noise = NoiseFloor(), np.random.default_rng(0)
    for second in range(days * DAY_SECONDS):
        night = second % DAY_SECONDS > 16 * 3600
        floor.update((night_dbfs if night else day_dbfs) + noise.exponential(1.0 if night else 8.0))
        assert not floor.is_faint
    return floor


def listen_to(floor: NoiseFloor, level_dbfs: float, minutes: int) -> None:
    for _ in range(60 * minutes):
        floor.update(level_dbfs)


def test_a_night_is_not_faint_however_quiet() -> None:
    floor = week_of_rooms(-35.0, -70.0)
    assert floor.level_dbfs == pytest.approx(-70.0, abs=1.0)


def test_a_source_far_below_its_usual_floor_is_faint_until_it_is_near_it_again() -> None:
    floor = week_of_rooms(-30.0, -45.0)
    listen_to(floor, -69.0, minutes=60)
    assert not floor.is_faint
    listen_to(floor, -72.0, minutes=5)
    assert floor.is_faint
    listen_to(floor, -65.0, minutes=10)
    assert floor.is_faint, "it would come and go"
    usual = floor.level_dbfs
    listen_to(floor, -50.0, minutes=5)
    assert not floor.is_faint
    assert floor.level_dbfs == pytest.approx(usual, abs=0.1)


def test_no_source_is_faint_before_a_day_of_sound() -> None:
    floor = NoiseFloor()
    assert floor.level_dbfs is None
    listen_to(floor, -30.0, minutes=23 * 60)
    listen_to(floor, -70.0, minutes=30)
    assert not floor.is_faint


def test_sound_below_any_rooms_floor_is_faint_at_once() -> None:
    floor = NoiseFloor()
    listen_to(floor, -90.0, minutes=5)
    assert floor.is_faint
    listen_to(floor, -78.0, minutes=5)
    assert floor.is_faint
    listen_to(floor, -74.0, minutes=5)
    assert not floor.is_faint


def test_sound_that_was_faint_for_a_day_becomes_the_usual_level() -> None:
    floor = week_of_rooms(-30.0, -45.0)
    listen_to(floor, -75.0, minutes=24 * 60 - 5)
    assert floor.is_faint
    listen_to(floor, -75.0, minutes=5)
    assert not floor.is_faint
    assert floor.level_dbfs == pytest.approx(-75.0)


def test_zeros_do_not_change_the_usual_level() -> None:
    quality = quality_after((3600.0, 0.0), size=16_000)
    assert quality.state == "silent"
    assert quality.noise_floor.level_dbfs is None


def drift_of(
    ppm: float, seconds: int, drift: ClockDrift | None = None, *, jitter_seconds: float = 0.03
) -> ClockDrift:
    """Measure a clock that runs so much too fast; each block of 100 ms comes late by a random time."""
    drift, late = drift or ClockDrift(), np.random.default_rng(0)
    for block in range(1, 10 * seconds):
        now = block / 10 / (1 + ppm / 1e6) + late.exponential(jitter_seconds)
        drift.update(1_600 * block, now)
    return drift


@pytest.mark.parametrize("ppm", [-150.0, 0.0, 40.0])
def test_the_drift_of_a_clock_is_found_within_a_few_millionths(ppm: float) -> None:
    assert drift_of(ppm, 3600).ppm == pytest.approx(ppm, abs=3.0)


def test_drift_needs_ten_minutes_of_sound() -> None:
    assert drift_of(40.0, 600).ppm is None


def test_the_longest_stretch_without_gaps_counts() -> None:
    drift = drift_of(40.0, 3600)
    drift.restart()
    drift_of(-200.0, 1200, drift)
    assert drift.ppm == pytest.approx(40.0, abs=3.0)
    drift.restart()
    drift_of(-200.0, 7200, drift)
    assert drift.ppm == pytest.approx(-200.0, abs=3.0)


@pytest.mark.slow
def test_a_source_without_a_clock_has_no_drift() -> None:
    drifts = {}
    for live in (False, True):
        now = 0.0
        meter = SourceMeter("a", clock=lambda: now)  # noqa: B023
        meter.open(live=live)
        for second in range(1200):
            now = second * 1.0001
            meter.add(silence(second * 16_000, 16_000))
        drifts[live] = meter.report().drift_ppm
    assert drifts == {False: None, True: pytest.approx(-100.0, abs=1.0)}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Log:
    """A health log, a minute of which passes at will."""

    def __init__(self, caplog: pytest.LogCaptureFixture, *, has_fast_window: bool = False) -> None:
        caplog.set_level(logging.INFO)
        self._caplog, self._clock = caplog, Clock()
        self._log = HealthLog(clock=self._clock, has_fast_window=lambda: has_fast_window)

    def after(self, seconds: float, dropped: int = 0, load: float = 0.5, **source: object) -> list[str]:
        """Say what is written where this is the health by then."""
        self._clock.now += seconds
        self._caplog.clear()
        health = SourceHealth(source="kitchen", **source)  # type: ignore[arg-type]
        self._log.accept(
            Health(1.0, 9, dropped, 0, 0.0, 0, None, None, load, "tiny", "cpu", "none", sources=(health,))
        )
        return [f"{record.levelname}: {record.message}" for record in self._caplog.records]


def test_a_problem_with_the_sound_and_its_end_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(caplog)
    assert log.after(0) == []
    (line,) = log.after(2, state="silent")
    assert line.startswith("WARNING: kitchen: audio is nothing but zeros; unmute it")
    assert log.after(100, state="silent") == []
    assert log.after(2, state="ok") == ["INFO: kitchen: audio is back to normal"]
    assert log.after(100, state="ok") == []


def test_a_recurring_problem_and_its_end_are_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(caplog)
    lines = [line for second in range(600) for line in log.after(1, state=("clipping", "ok")[second % 2])]
    assert 10 <= len(lines) <= 20, "of each at most ten"


def test_a_different_problem_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(caplog)
    assert "clips" in log.after(0, state="clipping")[0]
    assert "zeros" in log.after(10, state="silent")[0]


def test_a_problem_that_ends_before_it_is_due_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(caplog)
    assert len(log.after(0, state="silent")) == 1
    assert len(log.after(2, state="ok")) == 1
    assert log.after(10, state="silent") == []
    assert log.after(10, state="ok") == []
    assert log.after(100, state="ok") == []


def test_lost_sound_is_summed_up_over_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(caplog)
    assert log.after(0, overruns=1, gaps=1, overrun_samples=8_000) == [
        "WARNING: kitchen: 0.50 s of audio lost in 1 gap; check its sender, and what keeps this machine or its sound system busy"
    ]
    assert log.after(20, overruns=2, gaps=2, overrun_samples=16_000) == []
    assert log.after(20, overruns=3, gaps=3, overrun_samples=24_000) == []
    (line,) = log.after(20, overruns=3, gaps=3, overrun_samples=24_000)
    assert "1.00 s of audio lost in 2 gaps" in line
    assert log.after(100, overruns=3, gaps=4, overrun_samples=24_000, lost_samples=99_000) == [], (
        "it was away, which is told elsewhere"
    )
    (line,) = log.after(100, overruns=4, gaps=7, overrun_samples=25_600, lost_samples=999_000)
    assert "0.10 s of audio lost in 1 gap" in line, "it was away and back, and lost a little"


def test_a_fast_window_is_named_first_where_inference_is_late(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = Log(caplog, has_fast_window=True).after(0, dropped=3, load=1.3)
    assert "use no --fast-window, a longer --hop" in line


def test_dropped_windows_are_logged_with_a_remedy_and_again_when_they_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(caplog)
    (line,) = log.after(0, dropped=3, load=1.3)
    assert line.startswith(
        "WARNING: 3 windows dropped: inference takes 130 % of the available time; use a longer --hop"
    )
    assert log.after(30, dropped=9, load=1.3) == []
    (line,) = log.after(30, dropped=10, load=1.3)
    assert "7 windows" in line
    assert log.after(30, dropped=10) == []
    assert log.after(30, dropped=10) == ["INFO: inference keeps up again"]
    assert log.after(600, dropped=10) == []
    (line,) = log.after(600, dropped=11, load=0.4)
    assert line == "WARNING: 1 window dropped: this machine was busy; check what keeps it busy"


def test_a_name_does_not_rewrite_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    health = Health(1.0, 0, 0, 0, 0.0, 0, None, None, None, "m", "d", "none")
    HealthLog().accept(replace(health, sources=(SourceHealth(source="\x1b[2J", state="silent"),)))
    assert "\x1b" not in caplog.text
    assert "[2J" in caplog.text
