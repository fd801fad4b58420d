"""State of one sound in one source: inactive, or active with an event."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, Event, Tagging
from .catalogue import WatchedSound
from .early import EarlyStart, new_start
from .onsets import first_fall, first_rise, last_fall, last_rise

_UNNOTICED_SAMPLES = 3 * SAMPLE_RATE_HZ // 2
"""Length of a sound at the edge of a window that the model does not notice."""

_RISE_SAMPLES = 3 * SAMPLE_RATE_HZ
"""Longest time that the score of a sound takes to rise from the lower threshold to the threshold."""

_TRACE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Longest time that it takes from the first trace of the sound."""

_SHORTEST_SAMPLES = 2 * LEVEL_FRAME_SAMPLES
"""Shortest part of a sound that the model notices."""


@dataclass(frozen=True, slots=True)
class _Hit:
    """Window with a score above the threshold, and the hop that it added to the window before."""

    previous_end: int
    end_sample: int


class SoundTracker:
    """Tracker of one sound: waits for its start, then for its end.

    Parameters
    ----------
    watched : WatchedSound
        The sound.
    new_id : callable
        Factory of event identifiers.
    blocked_until : int
        Position in the stream before which the sound does not start, because of its cooldown.

    Attributes
    ----------
    blocked_until : int
        The same, with the events since.
    """

    def __init__(self, watched: WatchedSound, new_id: Callable[[], str], *, blocked_until: int = 0) -> None:
        self._watched = watched
        self._new_id = new_id
        self._hits: deque[_Hit | None] = deque(maxlen=watched.sound.of)
        self._quiet_until = self._absent_until = -_RISE_SAMPLES
        self._peak = self._newest_score = 0.0
        self._early = EarlyStart(watched, new_id)
        self._ended_sample = 0
        self.blocked_until = blocked_until
        self._active: ActiveEvent | None = None

    @property
    def name(self) -> str:
        """Name of the sound."""
        return self._watched.sound.name

    def set_rule(self, watched: WatchedSound) -> None:
        """Replace the rule of the sound."""
        self._watched = watched
        self._early.set_rule(watched)
        self._hits = deque(self._hits, maxlen=watched.sound.of)
        if self._active is not None:
            self._active.set_rule(watched)

    def feed(self, tagging: Tagging, previous_end: int) -> Event | None:
        """Add a tagging, with the end of the one before; return the event that it causes, if any."""
        is_on = self._watched.is_on(tagging.scores)
        self._newest_score = self._watched.score(tagging.scores)
        self._hits.append(_Hit(previous_end, tagging.end_sample) if is_on else None)
        if self._active is not None:
            return self._update(self._active, tagging)
        if self._watched.is_off(tagging.scores) and not any(self._hits):
            self._quiet_until, self._peak = tagging.end_sample, 0.0
            if self._watched.is_absent(tagging.scores):
                self._absent_until = tagging.end_sample
        else:
            self._peak = max(self._peak, self._newest_score)
        started = self._start(tagging) if is_on and tagging.end_sample >= self.blocked_until else None
        return started or self._early.judge(tagging, is_on=is_on, score=self._score)

    def feed_fast(self, tagging: Tagging) -> Event | None:
        """Add a tagging of the fast window; return the start that it reports, if any."""
        self._early.observe(tagging, is_on=self._active is not None)
        if self._active is not None or tagging.end_sample < self.blocked_until:
            return None
        return self._early.start(tagging, score=self._score, ended_sample=self._ended_sample)

    def close(self) -> Event | None:
        """End the sound if it is on."""
        if self._active is None:
            return self._early.take_back(self._score)
        self._cool_down(self._active.end_sample())
        return replace(self._active.end(), fast_score=self._early.peak)

    def _cool_down(self, from_sample: int) -> None:
        self.blocked_until = from_sample + _samples(self._watched.sound.cooldown_seconds)

    @property
    def _score(self) -> float:
        """Score of the long window: the highest since the sound was last off, or the newest one."""
        return max(self._peak, self._newest_score)

    def _start(self, tagging: Tagging) -> Event | None:
        hits = [hit for hit in self._hits if hit is not None]
        if len(hits) < self._watched.sound.hits:
            return None
        started = self._early.confirm(self._peak) or self._new_event(tagging, hits[0])
        self._active = ActiveEvent(self._watched, started, tagging)
        return started

    def _new_event(self, tagging: Tagging, first: _Hit) -> Event:
        start_sample = self._start_sample(tagging, first)
        start = new_start(self._watched, self._new_id(), tagging, start_sample)
        return replace(start, score=self._peak, fast_score=self._early.peak_since(start_sample))

    def _start_sample(self, tagging: Tagging, first: _Hit) -> int:
        """Return the onset: soon before the score rose, else at the last rise of the level since the first trace of the sound."""
        free_from = max(tagging.start_sample, self._ended_sample)
        latest = max(free_from, first.end_sample - _SHORTEST_SAMPLES)
        quiet, absent = (
            max(free_from, max(until, first.previous_end - longest) - _UNNOTICED_SAMPLES)
            for until, longest in ((self._quiet_until, _RISE_SAMPLES), (self._absent_until, _TRACE_SAMPLES))
        )
        rise = first_rise(tagging, quiet, latest)
        if rise is None and absent < quiet:
            rise = last_rise(tagging, absent, quiet)
        return max(free_from, first.previous_end) if rise is None else rise

    def _update(self, active: "ActiveEvent", tagging: Tagging) -> Event | None:
        if not active.update(tagging):
            return None
        self._active = None
        self._hits.clear()
        self._quiet_until = self._absent_until = tagging.end_sample
        self._peak = 0.0
        self._ended_sample = active.end_sample()
        self._cool_down(tagging.end_sample)
        return replace(active.end(), fast_score=self._early.peak)


class ActiveEvent:
    """Event of a sound that is on."""

    def __init__(self, watched: WatchedSound, started: Event, tagging: Tagging) -> None:
        self._watched = watched
        self._started = started
        self._start_sample = started.start_sample or 0
        self._peak = started.score
        self._stays_until = tagging.end_sample + _samples(watched.sound.minimum_on_seconds)
        self._raised = tagging  # the newest window above the lower threshold
        self._fallen: Tagging | None = None  # the first window after it
        self._misses = 0  # number of windows after it

    def set_rule(self, watched: WatchedSound) -> None:
        """Replace the rule of the sound."""
        self._watched = watched

    def update(self, tagging: Tagging) -> bool:
        """Add a tagging; return True if the sound has ended."""
        self._peak = max(self._peak, self._watched.score(tagging.scores))
        if not self._watched.is_off(tagging.scores):
            self._raised, self._fallen, self._misses = tagging, None, 0
            return False
        self._fallen = self._fallen or tagging
        self._misses += 1
        if self._misses < self._watched.sound.hits or tagging.end_sample < self._stays_until:
            return False
        silent_samples = tagging.end_sample - self.end_sample()
        return silent_samples >= _samples(self._watched.sound.minimum_off_seconds)

    def end(self) -> Event:
        """Return the event for the end."""
        end_sample = self.end_sample()
        return replace(
            self._started,
            kind="ended",
            score=self._peak,
            ended_at=max(self._started.started_at, self._raised.time_of(end_sample)),
            end_sample=end_sample,
        )

    def end_sample(self) -> int:
        """Estimate the end of the sound, or of its latest part so far."""
        raised, fallen = self._raised, self._fallen
        earliest = max(self._start_sample, raised.start_sample)
        if fallen is not None and self._has_left(fallen):
            latest = max(earliest, min(fallen.start_sample + _UNNOTICED_SAMPLES, raised.end_sample))
            fall = last_fall(raised, earliest, latest)
            if fall is None and not self._watched.is_absent(fallen.scores):
                fall = first_fall(raised, latest, min(latest + _TRACE_SAMPLES, raised.end_sample))
            end = min(max(fallen.start_sample, earliest), latest) if fall is None else fall
            return end if end > self._start_sample else latest
        fall = last_fall(raised, earliest, raised.end_sample, final=True)
        return raised.end_sample if fall is None else fall

    def _has_left(self, fallen: Tagging) -> bool:
        """Return True if the score fell because the sound left the window, and not because the model changed its judgement."""
        slides = fallen.start_sample > self._raised.start_sample
        return slides and fallen.start_sample + _UNNOTICED_SAMPLES > self._start_sample


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
