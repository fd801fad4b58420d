"""Chunks of a stream from the blocks of a microphone: gaps and clocks, without devices or threads."""

import logging
from collections.abc import Iterator

from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from .conversion import Converter, Frames
from .portaudio.wire import Stamp

_logger = logging.getLogger(__name__)

_CLOCK_SECONDS = 60.0
"""Time over which the time of index 0 is averaged."""

_CLOCK_JUMP_SECONDS = 1.0
"""Difference from which the wall clock counts as set."""

_UNREPORTED_SECONDS = 1.0
"""Duration from which missing audio counts as lost even if the driver reports no loss: the machine was asleep."""

_OLDEST_SECONDS = 5.0
"""Age of a block from which the driver's clock counts as wrong."""


class Timeline:
    """Position of a microphone's stream, across gaps and reopenings.

    Times are of a clock that is never set and goes on while the machine sleeps. The device's clock drifts away from it by
    seconds a day, as does the wall clock, and the time of each block is a few milliseconds off. So the time of index 0 is
    an average over the last minute; only a change of the wall clock takes effect at once.

    Attributes
    ----------
    started : bool
        True after the first block.
    next_sample : int
        Index of the next sample.
    zero : float
        Capture time of index 0.
    delivered_at, captured_until : float
        Delivery time of the newest block, and capture time of its end.
    """

    def __init__(self) -> None:
        self.started = False
        self.next_sample = 0
        self.zero = 0.0
        self.delivered_at = 0.0
        self.captured_until = 0.0
        self._wall_ahead = 0.0
        self._averaged_seconds = 0.0

    def wall_time(self, sample: int) -> float:
        """Return the Unix time at which a sample was captured."""
        return self.zero + self._wall_ahead + sample / SAMPLE_RATE_HZ

    def update(self, zero: float, wall_ahead: float, seconds: float) -> None:
        """Update the averages with a block of this duration: the time of index 0, and the lead of the wall clock."""
        difference = wall_ahead - self._wall_ahead
        was_set = abs(difference) > _CLOCK_JUMP_SECONDS
        if self.started and was_set:
            _logger.warning("the system clock has been changed by %.1f s", difference)
        self._averaged_seconds = min(self._averaged_seconds + seconds, _CLOCK_SECONDS)
        weight = seconds / self._averaged_seconds
        self._wall_ahead += difference if was_set else difference * weight
        self.zero += (zero - self.zero) * weight
        self.started = True


class Assembler:
    """Converter of a device's blocks, from its opening on, to chunks of the stream.

    Parameters
    ----------
    converter : Converter
        Converter of the device's frames, unused so far.
    rate_hz : float
        Sample rate of the frames.
    latency_seconds : float
        Age of a block at its delivery, used if the driver has no clock.
    timeline : Timeline
        Timeline of the stream, continued from the previous opening.
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
        """Convert a block; before one that follows a gap, yield the rest of the audio before the gap."""
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
        timeline.update(zero, stamp.wall - stamp.elapsed, seconds)
        timeline.delivered_at = stamp.elapsed
        timeline.captured_until = captured + seconds
        self._opened = True
        self._frames += len(frames)
        yield from self._chunk(self._converter.feed(frames))

    def end(self) -> Iterator[AudioChunk]:
        """Yield the rest of the converted audio after the last block."""
        yield from self._chunk(self._converter.flush())

    def _age(self, stamp: Stamp, seconds: float) -> float:
        """Return the age of a block's first frame at its delivery, by the driver's clock if it has one."""
        age = stamp.now - stamp.captured
        if stamp.captured <= 0 or not 0 <= age < _OLDEST_SECONDS:
            return seconds + self._latency_seconds
        return max(age, seconds)  # a block is at least as old as it is long

    def _missing_frames(self, stamp: Stamp, captured: float, seconds: float) -> int:
        """Return the number of frames lost before a block without a report: the device was unplugged, or the machine asleep.

        Directly after opening, drivers report the age of a block wrong by up to half a second: then only the delivery time
        counts. Later, neither late delivery nor a wrong age alone makes a gap.
        """
        if not self._timeline.started:
            return 0
        late = stamp.elapsed - seconds - self._timeline.delivered_at
        if not self._opened:
            return max(0, round(late * self._rate_hz))
        away = min(late, captured - self._timeline.captured_until)
        unreported = away - stamp.refused_frames / self._rate_hz
        return round(away * self._rate_hz) if unreported > _UNREPORTED_SECONDS else 0

    def _skip(self, frames: int) -> None:
        """Move the index over lost frames. Rounding of the resampler may add or remove a sample."""
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
