"""Detection of events: from scores over time to sounds that start and end."""

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..messages import WINDOW_SAMPLES, Event, Tagging
from .catalogue import WatchedSound
from .tracker import SoundTracker

_NEWEST_PAUSES = 4


class EventDetector:
    """Detector of the starts and ends of sounds in one source. Its clock is the stream's: the ends of windows in samples.

    A sound starts when its score has reached the threshold in enough of the newest windows. It ends when its score has
    stayed below the lower threshold in as many windows, and the sound has been silent for long enough; `Sound` has the
    rule. The times of an event are more precise than a window:

    - A sound starts where the level first rises out of the background, not long before the score rose; without such a
      rise, in the newest hop of the first window that contains it.
    - A window of 10 s contains a bang for 10 s. The score falls when the sound leaves the window at its start, so the
      sound ends near that point: where the level last fell around there; without such a fall, at the start of the first
      window that no longer contains it.

    So pauses shorter than the window are invisible: one event lasts from the first bark to the last. After a gap longer
    than the longest window, all sounds that were on have ended before it; the time that a long hop leaves unheard
    between two windows, or a slow model, is no gap. Cooldowns last over gaps, unless another stream
    begins: one whose first window ends before the last one.

    Taggings of fast windows report starts sooner; see `EarlyStart`. The others then confirm such a start, or take it back.

    Parameters
    ----------
    sounds : sequence of WatchedSound
        Sounds to detect; simultaneous events come in this order.
    new_id : callable
        Factory of event identifiers.
    """

    def __init__(
        self, sounds: Sequence[WatchedSound], *, new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self._sounds = tuple(sounds)
        self._new_id = new_id
        self._trackers = [SoundTracker(sound, new_id) for sound in self._sounds]
        self._end_sample: int | None = None  # end of the newest window
        self._heard_until: int | None = None  # the same, with the fast windows
        self._closed_at = 0  # where the stream ended before
        self._pauses: deque[int] = deque(
            maxlen=_NEWEST_PAUSES
        )  # samples between two windows that are in neither

    def feed(self, tagging: Tagging) -> list[Event]:
        """Add the next tagging of the source, and return the events that it causes."""
        if self._heard_until is None and tagging.end_sample < self._closed_at:
            self._renew_trackers(cool=True)
        heard_until = self._heard_until if tagging.is_fast else self._end_sample
        pause = 0 if heard_until is None else max(0, tagging.start_sample - heard_until)
        usual = 0 if tagging.is_fast else min(self._pauses, default=0)
        events = self.close() if pause - usual > WINDOW_SAMPLES else []
        self._heard_until = tagging.end_sample
        if tagging.is_fast:
            changes = [tracker.feed_fast(tagging) for tracker in self._trackers]
        else:
            if heard_until is not None:
                self._pauses.append(pause)
            previous_end = tagging.start_sample if self._end_sample is None else self._end_sample
            self._end_sample = tagging.end_sample
            changes = [tracker.feed(tagging, previous_end) for tracker in self._trackers]
        return events + [event for event in changes if event is not None]

    def watch(self, sounds: Sequence[WatchedSound]) -> list[Event]:
        """Replace the sounds, and return the ends of active sounds that are no longer among them.

        A sound that stays keeps its state, with its new rule.
        """
        if tuple(sounds) == self._sounds:
            return []
        self._sounds = tuple(sounds)
        before = {tracker.name: tracker for tracker in self._trackers}
        self._trackers = []
        for sound in sounds:
            tracker = before.pop(sound.sound.name, None) or SoundTracker(sound, self._new_id)
            tracker.set_rule(sound)
            self._trackers.append(tracker)
        return [event for tracker in before.values() if (event := tracker.close()) is not None]

    def close(self) -> list[Event]:
        """End all active sounds at the end of the stream, and return their events."""
        ended = [event for tracker in self._trackers if (event := tracker.close()) is not None]
        self._renew_trackers()
        if self._heard_until is not None:
            self._closed_at = self._heard_until
        self._end_sample = self._heard_until = None
        return ended

    def _renew_trackers(self, *, cool: bool = False) -> None:
        """Replace the trackers by new ones, which keep the cooldowns of the former ones unless `cool`."""
        self._trackers = [
            SoundTracker(sound, self._new_id, blocked_until=0 if cool else tracker.blocked_until)
            for sound, tracker in zip(self._sounds, self._trackers, strict=True)
        ]


def detect_events(sound: WatchedSound, taggings: Iterable[Tagging]) -> list[Event]:
    """Return the events of a sound in the taggings of one source, each in its latest state."""
    detector = EventDetector([sound])
    events = (event for tagging in taggings for event in detector.feed(tagging))
    return list({event.id: event for event in events}.values())
