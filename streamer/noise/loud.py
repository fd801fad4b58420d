"""Detection of loud noise: a sound by its level alone, without a model."""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..events.catalogue import WatchedSound
from ..events.quiet import NEVER, parse_quiet
from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, Event
from .background import Background
from .distribution import decibels_of
from .frames import Frames

_HYSTERESIS_DB = 3.0
_ONSET_FRAMES = 10
"""Frames in which the time weighting follows a sound: 0.5 s."""

_SCORE_RANGE_DB = 40.0


class LoudNoise:
    """Detector of noise that is louder than a limit, in one source.

    The noise starts when its level with the time weighting F reaches the limit, and ends when it has stayed 3 dB below it for
    long enough. The limit is a level in dB(A), or lies above the room's background. Its times come from the level of each
    50 ms. The score is 0.5 at the limit, and 1 from 20 dB above it.

    Parameters
    ----------
    source : str
        Name of the source.
    new_id : callable
        Factory of event identifiers.
    """

    def __init__(self, source: str, *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self._source, self._new_id = source, new_id
        self._background = Background()
        self._watched: WatchedSound | None = None
        self._offset_db: float | None = None
        self._active: Event | None = None
        self._anchor = 0.0
        self._last_loud = 0  # end of the last frame that was
        self._quiet_from = 0  # end of the last frame above the limit, as the time weighting has it
        self._blocked_until = 0
        self._recent: deque[float] = deque(maxlen=_ONSET_FRAMES)  # levels without time weighting
        self._next = 0

    @property
    def limit_db(self) -> float | None:
        """Limit relative to full scale; None while it is unknown."""
        if self._watched is None:
            return None
        sound = self._watched.sound
        if sound.level_db is not None:
            return None if self._offset_db is None else sound.level_db - self._offset_db
        if sound.above_db is None or self._background.level_db is None:
            return None
        return self._background.level_db + sound.above_db

    def watch(self, watched: WatchedSound | None, offset_db: float | None) -> list[Event]:
        """Set the rule, or None to detect nothing, and the level in dB(A) at 0 dBFS; return the end of an active event."""
        ended = [] if watched is not None else self.close()
        self._watched, self._offset_db = watched, offset_db
        return ended

    def feed(self, frames: Frames, anchor: float) -> list[Event]:
        """Add frames, with the Unix time in seconds of the sample 0; return the events that they cause."""
        self._anchor = anchor
        events = []
        if frames.first != self._next:
            self._recent.clear()
            events += self._end_if_quiet(frames.first)
        levels, peaks = decibels_of(frames.power), decibels_of(frames.peak)
        for index in np.flatnonzero(frames.settled).tolist():
            self._recent.append(float(levels[index]))
            if (limit := self.limit_db) is not None:
                events += self._judge(frames.first + index, float(levels[index]), float(peaks[index]), limit)
            self._background.add(float(frames.fast[index]))
        self._next = frames.first + len(levels)
        return events

    def close(self) -> list[Event]:
        """End an active event, and return its end."""
        if self._active is None:
            return []
        active, self._active = self._active, None
        end = max(self._last_loud, active.start_sample or 0)
        self._blocked_until = end
        if self._watched is not None:
            self._blocked_until += _samples(self._watched.sound.cooldown_seconds)
        return [
            replace(active, kind="ended", end_sample=end, ended_at=max(active.started_at, self._time_of(end)))
        ]

    def _judge(self, number: int, level: float, peak: float, limit: float) -> list[Event]:
        """Take one frame into account."""
        end = (number + 1) * LEVEL_FRAME_SAMPLES
        if level >= limit - _HYSTERESIS_DB:
            self._last_loud = end
        if self._active is None:
            if peak < limit or end <= self._blocked_until:
                return []
            self._last_loud = self._quiet_from = end
            return [self._start(number, limit, peak)]
        if peak >= limit - _HYSTERESIS_DB:
            self._quiet_from = end
            self._active = replace(self._active, score=max(self._active.score, _score(peak - limit)))
            return []
        return self._end_if_quiet(number + 1)

    def _start(self, number: int, limit: float, peak: float) -> Event:
        """Start an event at the first of the frames before that are all loud."""
        first = number
        for level in list(self._recent)[-2::-1]:
            if level < limit - _HYSTERESIS_DB:
                break
            first -= 1
        first = max(first, -(-self._blocked_until // LEVEL_FRAME_SAMPLES))
        start = first * LEVEL_FRAME_SAMPLES
        started_at = self._time_of(start)
        quiet = NEVER if self._watched is None else self._watched.sound.quiet
        self._active = Event(
            id=self._new_id(),
            kind="started",
            label="" if self._watched is None else self._watched.sound.name,
            source=self._source,
            score=_score(peak - limit),
            started_at=started_at,
            start_sample=start,
            announced=not parse_quiet(quiet).cover(started_at),
        )
        return self._active

    def _end_if_quiet(self, frame: int) -> list[Event]:
        """End an active event if nothing was loud for long enough before a frame."""
        if self._active is None or self._watched is None:
            return []
        sound, now = self._watched.sound, frame * LEVEL_FRAME_SAMPLES
        on_until = (self._active.start_sample or 0) + _samples(sound.minimum_on_seconds)
        if now < max(self._quiet_from + _samples(sound.minimum_off_seconds), on_until):
            return []
        return self.close()

    def _time_of(self, sample: int) -> float:
        return self._anchor + sample / SAMPLE_RATE_HZ


def _score(excess_db: float) -> float:
    return min(1.0, max(0.0, 0.5 + excess_db / _SCORE_RANGE_DB))


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
