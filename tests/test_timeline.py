"""Blocks to chunks: the arithmetic of gaps and clocks, without a microphone."""

import itertools

import numpy as np
import pytest
from support.gaps import end_of, lost_before

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk
from streamer.sources.conversion import Converter, Frames
from streamer.sources.portaudio.wire import Stamp
from streamer.sources.timeline import Assembler, Timeline


class Device:
    """A device that delivers blocks of what it hears; the driver's clock is the time of their first frame."""

    def __init__(self, rate_hz: int, *, speed: float = 1.0, latency_seconds: float = 0.02) -> None:
        self.rate_hz = rate_hz
        self.timeline = Timeline()
        self.wall_ahead = 1_000_000.0
        self.asleep_seconds = 0.0
        self.age_error_seconds = 0.0
        self.frames = 0
        self._speed = speed
        self._latency_seconds = latency_seconds
        self._open()

    def reopen(self) -> list[AudioChunk]:
        rest = list(self._assembler.end())
        self._open()
        return rest

    def _open(self) -> None:
        self._assembler = Assembler(Converter(self.rate_hz, 1), self.rate_hz, 0.1, self.timeline)

    def time(self, frame: int) -> float:
        return self.asleep_seconds + frame / self.rate_hz / self._speed

    def wall(self, frame: int) -> float:
        return self.wall_ahead + self.time(frame)

    def lose(self, frames: int) -> None:
        self.frames += frames

    def play(
        self,
        frames: Frames,
        *,
        overflowed: bool = False,
        refused_frames: int = 0,
        no_clock: bool = False,
        late_seconds: float = 0.0,
    ) -> list[AudioChunk]:
        captured = self.time(self.frames)
        self.frames += len(frames)
        now = self.time(self.frames) + self._latency_seconds + late_seconds
        stamp = Stamp(
            captured=0.0 if no_clock else captured + 100 - self.age_error_seconds,
            now=now + 100,
            elapsed=now + 5_000,
            wall=now + self.wall_ahead,
            overflowed=overflowed,
            refused_frames=refused_frames,
        )
        return list(self._assembler.accept(frames, stamp))


def quiet(seconds: float, rate_hz: int) -> Frames:
    return np.full((round(seconds * rate_hz), 1), 0.1, np.float32)


def assert_index_is_whole(chunks: list[AudioChunk]) -> None:
    """No chunk begins before the one before it ended."""
    assert all(lost >= 0 for lost in lost_before(chunks))


def test_refused_blocks_are_a_jump_of_exactly_as_many_samples() -> None:
    device = Device(48_000)
    chunks = device.play(quiet(0.5, 48_000))
    device.lose(4_800)
    chunks += device.play(quiet(0.5, 48_000), refused_frames=4_800)
    chunks += device.play(quiet(0.5, 48_000))
    assert_index_is_whole(chunks)
    assert sum(lost_before(chunks)) == 1_600
    after = next(chunk for chunk, lost in zip(chunks, lost_before(chunks), strict=True) if lost)
    assert after.start_sample == 9_600
    assert after.captured_at == pytest.approx(device.wall(28_800), abs=1e-6)


def test_an_overflow_has_the_length_of_the_drivers_clock() -> None:
    device = Device(44_100)
    chunks = list(itertools.chain.from_iterable(device.play(quiet(0.1, 44_100)) for _ in range(10)))
    device.lose(11_025)
    chunks += device.play(quiet(0.1, 44_100), overflowed=True)
    chunks += device.play(quiet(0.1, 44_100))
    assert_index_is_whole(chunks)
    assert sum(lost_before(chunks)) == pytest.approx(4_000, abs=2)
    assert chunks[-1].captured_at == pytest.approx(
        device.wall(0) + chunks[-1].start_sample / SAMPLE_RATE_HZ, abs=1e-3
    )


def test_an_overflow_without_a_gap_in_time_loses_nothing() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(0.1, SAMPLE_RATE_HZ)) + device.play(
        quiet(0.1, SAMPLE_RATE_HZ), overflowed=True
    )
    assert_index_is_whole(chunks)
    assert lost_before(chunks) == [0, 0]


def test_sound_after_a_gap_knows_nothing_of_the_sound_before() -> None:
    frames = np.random.default_rng(0).uniform(-0.5, 0.5, (48_000, 1)).astype(np.float32)
    device = Device(48_000)
    before = device.play(frames[::-1])
    device.lose(480)
    chunks = device.play(frames, refused_frames=480)
    gap = next(place for place, lost in enumerate(lost_before(chunks, end_of(before))) if lost)
    after = np.concatenate([chunk.samples for chunk in chunks[gap:]])
    assert np.array_equal(after, Converter(48_000, 1).feed(frames))


def test_capture_times_follow_a_crystal_that_is_fast() -> None:
    device = Device(SAMPLE_RATE_HZ, speed=1.0001)
    for _ in range(5_999):
        device.play(quiet(0.1, SAMPLE_RATE_HZ))
    chunk = device.play(quiet(0.1, SAMPLE_RATE_HZ))[-1]
    true_time = device.wall(chunk.start_sample)
    assert chunk.captured_at == pytest.approx(true_time, abs=0.01)
    uncorrected = device.wall(0) + chunk.start_sample / SAMPLE_RATE_HZ
    assert abs(uncorrected - true_time) > 0.05


def test_a_wall_clock_that_is_set_moves_the_times_but_not_the_index(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(0.1, SAMPLE_RATE_HZ))
    device.wall_ahead += 3_600
    chunks += device.play(quiet(0.1, SAMPLE_RATE_HZ))
    assert_index_is_whole(chunks)
    assert lost_before(chunks) == [0, 0]
    assert chunks[1].captured_at - chunks[0].captured_at == pytest.approx(3_600.1)
    assert "the system clock has been changed" in caplog.text


def test_a_driver_without_a_clock_is_timed_by_the_arrival_of_its_blocks() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunk = device.play(quiet(0.1, SAMPLE_RATE_HZ), no_clock=True)[0]
    arrived_at = device.wall(1_600) + 0.02
    assert chunk.captured_at == pytest.approx(arrived_at - 0.1 - 0.1)


def test_a_reopened_device_continues_after_a_gap_of_its_absence() -> None:
    device = Device(48_000)
    before = device.play(quiet(1.0, 48_000)) + device.reopen()
    device.lose(round(1.5 * 48_000))
    after = device.play(quiet(1.0, 48_000))
    assert_index_is_whole(before + after)
    assert sum(len(chunk.samples) for chunk in before) == SAMPLE_RATE_HZ
    assert sum(lost_before(after, end_of(before))) == pytest.approx(1.5 * SAMPLE_RATE_HZ, abs=2)
    assert after[-1].captured_at == pytest.approx(device.wall(after[-1].start_sample * 3), abs=1e-3)


def test_a_wrong_age_of_the_first_blocks_does_not_shorten_the_gap() -> None:
    device = Device(48_000)
    before = device.play(quiet(1.0, 48_000)) + device.reopen()
    device.lose(3 * 48_000)
    device.age_error_seconds = 0.6  # PulseAudio's monitors say so for a second
    after = device.play(quiet(0.1, 48_000))
    device.age_error_seconds = 0.0
    after += device.play(quiet(0.1, 48_000))
    assert_index_is_whole(before + after)
    assert sum(lost_before(after, end_of(before))) == pytest.approx(3 * SAMPLE_RATE_HZ, abs=2)


def test_a_device_that_is_reopened_at_once_has_lost_nothing() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(1.0, SAMPLE_RATE_HZ)) + device.reopen()
    chunks += device.play(quiet(1.0, SAMPLE_RATE_HZ))
    assert not any(lost_before(chunks))


@pytest.mark.parametrize("reopened", [False, True])
def test_the_machine_s_sleep_is_a_gap_whether_the_device_survives_it_or_not(reopened: bool) -> None:
    device = Device(48_000)
    chunks = [chunk for _ in range(10) for chunk in device.play(quiet(0.1, 48_000))]
    device.asleep_seconds += 3_600
    if reopened:
        chunks += device.reopen()
    chunks += [chunk for _ in range(10) for chunk in device.play(quiet(0.1, 48_000))]
    assert_index_is_whole(chunks)
    assert sum(lost_before(chunks)) == pytest.approx(3_600 * SAMPLE_RATE_HZ, abs=2)
    assert chunks[-1].captured_at == pytest.approx(
        device.wall(0) - 3_600 + chunks[-1].start_sample / SAMPLE_RATE_HZ, abs=1e-3
    )


def test_a_clock_that_is_set_while_the_device_is_away_does_not_move_the_index() -> None:
    device = Device(SAMPLE_RATE_HZ)
    before = device.play(quiet(1.0, SAMPLE_RATE_HZ))
    device.wall_ahead += 86_400
    device.lose(SAMPLE_RATE_HZ)
    before += device.reopen()
    after = device.play(quiet(1.0, SAMPLE_RATE_HZ))
    assert sum(lost_before(after, end_of(before))) == pytest.approx(SAMPLE_RATE_HZ, abs=2)
    assert after[0].captured_at == pytest.approx(device.wall(2 * SAMPLE_RATE_HZ))


def test_blocks_that_come_late_and_all_at_once_are_behind_no_gap() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(0.1, SAMPLE_RATE_HZ))
    for late_seconds in np.arange(1.5, 0.0, -0.1):
        chunks += device.play(quiet(0.1, SAMPLE_RATE_HZ), late_seconds=float(late_seconds))
    assert_index_is_whole(chunks)
    assert not any(lost_before(chunks))
