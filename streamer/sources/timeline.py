"""A microphone's blocks in, chunks of a stream out: gaps and clocks. It knows no device, no thread and no clock of its own."""

import logging
from collections.abc import Iterator

from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from .conversion import Converter, Frames
from .portaudio.wire import Stamp

_logger = logging.getLogger(__name__)

_CLOCK_SECONDS = 60.0
"""Over how long the time of the stream's beginning is averaged."""

_CLOCK_JUMP_SECONDS = 1.0
"""The wall clock has been set when it differs by more."""

_UNTOLD_SECONDS = 1.0
"""Sound that is missing for longer was lost, whether the driver says so or not: the machine has slept."""

_OLDEST_SECONDS = 5.0
"""A driver's clock that makes a block older than that is none."""


class Timeline:
    """Where a microphone's stream is, across its gaps and its reopenings.

    It keeps to the machine's clock that nobody sets and that goes on in its sleep. The device's crystal drifts away from that by
    seconds a day, as the wall clock does, and each block's time is a few milliseconds off. The time of index 0 is
    therefore the average over the last minute; only a wall clock that has been set is followed at once.

    Attributes
    ----------
    started : bool
        Whether anything has been heard.
    next_sample : int
        Index of what is heard next.
    zero : float
        When index 0 was captured, by that clock.
    delivered, heard_until : float
        When the newest block came, and when its last frame had been captured, by that clock.
    """

    def __init__(self) -> None:
        self.started = False
        self.next_sample = 0
        self.zero = 0.0
        self.delivered = 0.0
        self.heard_until = 0.0
        self._wall_ahead = 0.0
        self._averaged_seconds = 0.0

    def wall_time(self, sample: int) -> float:
        """Unix time at which a sample was captured."""
        return self.zero + self._wall_ahead + sample / SAMPLE_RATE_HZ

    def follow(self, zero: float, wall_ahead: float, seconds: float) -> None:
        """Take in what a block of so many seconds says about the time of index 0, and how far the wall clock is ahead."""
        difference = wall_ahead - self._wall_ahead
        was_set = abs(difference) > _CLOCK_JUMP_SECONDS
        if self.started and was_set:
            _logger.warning("the clock has been set, by %.1f s", difference)
        self._averaged_seconds = min(self._averaged_seconds + seconds, _CLOCK_SECONDS)
        weight = seconds / self._averaged_seconds
        self._wall_ahead += difference if was_set else difference * weight
        self.zero += (zero - self.zero) * weight
        self.started = True


class Assembler:
    """Blocks of one opening of the device in, chunks of the stream out.

    Parameters
    ----------
    converter : Converter
        For the device's frames; this opening's own.
    rate_hz : float
        Rate of the frames.
    latency_seconds : float
        How old a block is when it is delivered, where the driver has no clock.
    timeline : Timeline
        Goes on where the opening before it has ended.
    """

    def __init__(
        self, converter: Converter, rate_hz: float, latency_seconds: float, timeline: Timeline
    ) -> None:
        self._converter = converter
        self._rate_hz = rate_hz
        self._latency_seconds = latency_seconds
        self._timeline = timeline
        self._first_sample = timeline.next_sample
        self._frames = 0
        self._opened = False

    def accept(self, frames: Frames, stamp: Stamp) -> Iterator[AudioChunk]:
        """Convert a block; one that follows a gap is preceded by the rest of what came before the gap."""
        timeline = self._timeline
        seconds = len(frames) / self._rate_hz
        captured = stamp.elapsed - self._age(stamp, seconds)
        lost_frames = max(stamp.refused_frames, self._missing_frames(stamp, captured, seconds))
        begins_at = (self._first_sample / SAMPLE_RATE_HZ) + (self._frames + lost_frames) / self._rate_hz
        zero = captured - begins_at
        if stamp.overflowed and timeline.started:
            overflow_frames = max(0, round((zero - timeline.zero) * self._rate_hz))
            lost_frames += overflow_frames
            zero -= overflow_frames / self._rate_hz
        if lost_frames:
            yield from self._chunk(self._converter.flush())
            self._skip(lost_frames)
        timeline.follow(zero, stamp.wall - stamp.elapsed, seconds)
        timeline.delivered = stamp.elapsed
        timeline.heard_until = captured + seconds
        self._opened = True
        self._frames += len(frames)
        yield from self._chunk(self._converter.feed(frames))

    def end(self) -> Iterator[AudioChunk]:
        """Return what still waits in the converter when no more blocks come."""
        yield from self._chunk(self._converter.flush())

    def _age(self, stamp: Stamp, seconds: float) -> float:
        """How old the block's first frame was on delivery, by the driver's clock where it has one."""
        age = stamp.now - stamp.captured
        if stamp.captured <= 0 or not 0 <= age < _OLDEST_SECONDS:
            return seconds + self._latency_seconds
        return max(age, seconds)  # complete blocks are as old as they are long

    def _missing_frames(self, stamp: Stamp, captured: float, seconds: float) -> int:
        """How many frames did not come before this block, where nobody tells: while the device was away, or the machine asleep.

        What drivers say about the age of a block is half a second wrong right after they were opened: then, only the time of delivery
        counts. Later, a block that only comes late is not behind a gap, nor is one whose driver errs about its age.
        """
        if not self._timeline.started:
            return 0
        late = stamp.elapsed - seconds - self._timeline.delivered
        if not self._opened:
            return max(0, round(late * self._rate_hz))
        away = min(late, captured - self._timeline.heard_until)
        untold = away - stamp.refused_frames / self._rate_hz
        return round(away * self._rate_hz) if untold > _UNTOLD_SECONDS else 0

    def _skip(self, frames: int) -> None:
        """Jump over frames that never came. The resampler's rounding may make it a sample more or less."""
        self._frames += frames
        reached = self._first_sample + round(self._frames * SAMPLE_RATE_HZ / self._rate_hz)
        jump = max(0, reached - self._timeline.next_sample)
        self._timeline.next_sample += jump
        _logger.debug("%d samples lost", jump)

    def _chunk(self, samples: Samples) -> Iterator[AudioChunk]:
        if not len(samples):
            return
        start_sample = self._timeline.next_sample
        captured_at = self._timeline.wall_time(start_sample)
        yield AudioChunk(samples, start_sample, captured_at)
        self._timeline.next_sample += len(samples)
