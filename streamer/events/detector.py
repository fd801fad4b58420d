"""From scores over time to sounds that begin and end: tags flicker, and people automate on events."""

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..messages import (
    SAMPLE_RATE_HZ,
    WINDOW_SAMPLES,
    Event,
    Tagging,
)
from .catalogue import WatchedSound
from .onsets import first_rise, last_fall

_UNNOTICED_SAMPLES = 3 * SAMPLE_RATE_HZ // 2
"""How much of a sound a window may hold at its edge without the model taking notice."""

_RISE_SAMPLES = 3 * SAMPLE_RATE_HZ
"""How long the score of a sound may take to rise to its threshold."""


class EventDetector:
    """Decides, for one source, when sounds begin and end. Its clock is the stream's: the samples that windows end at.

    A sound begins when its score has reached the threshold in enough of the newest windows. It ends when its score has stayed
    below the lower threshold in as many, and it has been silent for long enough; `Sound` has the rule. An event is dated better
    than by the window that decided it:

    - A sound began where the level first rose out of the background, not long before the score rose; without such a step, in
      the newest hop of the first window that heard it.
    - A window of 10 s remembers a bang for 10 s. The score falls once the sound has left the window at its old end, so it
      ended where that old end was, more or less: where the level last fell around there; without such a step, at the beginning
      of the first window that no longer heard it.

    So pauses shorter than the window are not seen: one event lasts from the first bark to the last. After a stretch that
    nobody heard, longer than the longest window, what was on has ended before it.

    Parameters
    ----------
    sounds : sequence of WatchedSound
        What to decide on; events that fall together come in this order.
    new_id : callable
        A new identifier for each occurrence.
    """

    def __init__(
        self, sounds: Sequence[WatchedSound], *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self._sounds = tuple(sounds)
        self._new_id = new_id
        self._ears = self._new_ears()
        self._heard_until: int | None = None

    def feed(self, tagging: Tagging) -> list[Event]:
        """Take the source's next tagging and return what it decides."""
        missed = 0 if self._heard_until is None else tagging.start_sample - self._heard_until
        events = self.close() if missed > WINDOW_SAMPLES else []
        heard_until = tagging.start_sample if self._heard_until is None else self._heard_until
        self._heard_until = tagging.end_sample
        decided = [ear.feed(tagging, heard_until) for ear in self._ears]
        return events + [event for event in decided if event is not None]

    def watch(self, sounds: Sequence[WatchedSound]) -> list[Event]:
        """Decide on these sounds from now on; returns the ends of those that are on and not among them.

        A sound that stays keeps what was heard of it, and follows its new rule.
        """
        if tuple(sounds) == self._sounds:
            return []
        self._sounds = tuple(sounds)
        before = {ear.name: ear for ear in self._ears}
        self._ears = []
        for sound in sounds:
            ear = before.pop(sound.sound.name, None) or SoundTracker(sound, self._new_id)
            ear.follow(sound)
            self._ears.append(ear)
        return [event for ear in before.values() if (event := ear.close()) is not None]

    def close(self) -> list[Event]:
        """End what is on, at the end of the stream."""
        ended = [event for ear in self._ears if (event := ear.close()) is not None]
        self._ears = self._new_ears()
        self._heard_until = None
        return ended

    def _new_ears(self) -> "list[SoundTracker]":
        return [SoundTracker(sound, self._new_id) for sound in self._sounds]


def what_would_be_told(sound: WatchedSound, taggings: Iterable[Tagging]) -> list[Event]:
    """Return each occurrence of a sound in one source's taggings, as it stands after the last of them."""
    detector = EventDetector([sound])
    events = (event for tagging in taggings for event in detector.feed(tagging))
    return list({event.id: event for event in events}.values())


@dataclass(frozen=True, slots=True)
class _Hit:
    """A window that heard the sound, and the hop that it added to the one before it."""

    after_sample: int
    end_sample: int


class SoundTracker:
    """Listens for one sound: waits until it begins, then follows it."""

    def __init__(self, watched: WatchedSound, new_id: Callable[[], str]) -> None:
        self._watched = watched
        self._new_id = new_id
        self._newest: deque[_Hit | None] = deque(maxlen=watched.sound.of)
        self._quiet_until = -_RISE_SAMPLES
        self._peak = 0.0
        self._ended_sample = 0
        self._may_begin_at = 0
        self._occurrence: ActiveEvent | None = None

    @property
    def name(self) -> str:
        """Of the sound."""
        return self._watched.sound.name

    def follow(self, watched: WatchedSound) -> None:
        """Take another rule for the same sound from now on."""
        self._watched = watched
        self._newest = deque(self._newest, maxlen=watched.sound.of)
        if self._occurrence is not None:
            self._occurrence.follow(watched)

    def feed(self, tagging: Tagging, after_sample: int) -> Event | None:
        """Take a tagging, and where the one before it ended; return the event that it decides, if any."""
        is_on = self._watched.is_on(tagging.scores)
        self._newest.append(_Hit(after_sample, tagging.end_sample) if is_on else None)
        if self._occurrence is not None:
            return self._follow(self._occurrence, tagging)
        if self._watched.is_off(tagging.scores) and not any(self._newest):
            self._quiet_until, self._peak = tagging.end_sample, 0.0
        else:
            self._peak = max(self._peak, self._watched.score(tagging.scores))
        return self._begin(tagging) if is_on and tagging.end_sample >= self._may_begin_at else None

    def close(self) -> Event | None:
        """End the sound if it is on."""
        return None if self._occurrence is None else self._occurrence.end()

    def _begin(self, tagging: Tagging) -> Event | None:
        hits = [hit for hit in self._newest if hit is not None]
        if len(hits) < self._watched.sound.hits:
            return None
        start_sample = self._start(tagging, hits[0])
        started = Event(
            id=self._new_id(),
            kind="started",
            label=self._watched.sound.name,
            source=tagging.source,
            score=self._peak,
            started_at=_time_of(start_sample, tagging),
            start_sample=start_sample,
        )
        self._occurrence = ActiveEvent(self._watched, started, start_sample, tagging)
        return started

    def _start(self, tagging: Tagging, first: _Hit) -> int:
        rising_since = max(self._quiet_until, first.after_sample - _RISE_SAMPLES)
        free_from = max(tagging.start_sample, self._ended_sample)
        earliest = max(free_from, rising_since - _UNNOTICED_SAMPLES)
        rise = first_rise(tagging, earliest, first.end_sample)
        return max(free_from, first.after_sample) if rise is None else rise

    def _follow(self, occurrence: "ActiveEvent", tagging: Tagging) -> Event | None:
        if not occurrence.is_over(tagging):
            return None
        self._occurrence = None
        self._newest.clear()
        self._quiet_until, self._peak = tagging.end_sample, 0.0
        self._ended_sample = occurrence.end_sample()
        self._may_begin_at = tagging.end_sample + _samples(self._watched.sound.cooldown_seconds)
        return occurrence.end()


class ActiveEvent:
    """A sound that is on."""

    def __init__(self, watched: WatchedSound, started: Event, start_sample: int, tagging: Tagging) -> None:
        self._watched = watched
        self._started = started
        self._start_sample = start_sample
        self._peak = started.score
        self._stays_until = tagging.end_sample + _samples(watched.sound.minimum_on_seconds)
        self._raised = tagging  # the newest window that heard it
        self._fallen: Tagging | None = None  # the first one after that
        self._misses = 0  # windows after that

    def follow(self, watched: WatchedSound) -> None:
        """Take another rule for the same sound from now on."""
        self._watched = watched

    def is_over(self, tagging: Tagging) -> bool:
        """Take a tagging; whether the sound has ended."""
        self._peak = max(self._peak, self._watched.score(tagging.scores))
        if not self._watched.is_off(tagging.scores):
            self._raised, self._fallen, self._misses = tagging, None, 0
            return False
        self._fallen = self._fallen or tagging
        self._misses += 1
        if self._misses < self._watched.sound.hits or tagging.end_sample < self._stays_until:
            return False
        silent_for = tagging.end_sample - self.end_sample()
        return silent_for >= _samples(self._watched.sound.minimum_off_seconds)

    def end(self) -> Event:
        """Make the event that ends it."""
        end_sample = self.end_sample()
        return replace(
            self._started,
            kind="ended",
            score=self._peak,
            ended_at=max(self._started.started_at, _time_of(end_sample, self._raised)),
            end_sample=end_sample,
        )

    def end_sample(self) -> int:
        """Estimate where it ended, or where it was last heard."""
        raised, fallen = self._raised, self._fallen
        earliest = max(self._start_sample, raised.start_sample)
        if fallen is not None and self._has_left(fallen):
            latest = max(earliest, min(fallen.start_sample + _UNNOTICED_SAMPLES, raised.end_sample))
            fall = last_fall(raised, earliest, latest)
            end = min(max(fallen.start_sample, earliest), latest) if fall is None else fall
            return end if end > self._start_sample else latest
        fall = last_fall(raised, earliest, raised.end_sample, for_good=True)
        return raised.end_sample if fall is None else fall

    def _has_left(self, fallen: Tagging) -> bool:
        """Whether the score fell because the sound left the window, not because the model thought better of it."""
        slides = fallen.start_sample > self._raised.start_sample
        return slides and fallen.start_sample + _UNNOTICED_SAMPLES > self._start_sample


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _time_of(sample: int, tagging: Tagging) -> float:
    """Unix time in seconds of a sample, by the clock of a tagging."""
    return tagging.ended_at - (tagging.end_sample - sample) / SAMPLE_RATE_HZ
