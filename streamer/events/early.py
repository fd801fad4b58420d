"""Starts that the fast window reports, and the long window confirms or takes back."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Event, Tagging
from .catalogue import WatchedSound
from .onsets import first_rise
from .quiet import parse_quiet

_ODDS = 2.0
"""Factor from the odds of a threshold to those that the fast window must reach: it knows less."""

_UNNOTICED_SAMPLES = SAMPLE_RATE_HZ // 2
"""Time between the onset of a sound and the beginning of the first fast window that notices it, at most."""

_PATIENCE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Time that the long window has to confirm a start, after the fast one has last heard the sound."""

_DISTRUST_SAMPLES = 30 * SAMPLE_RATE_HZ
"""Time after a start that was taken back in which the fast window is ignored for that sound."""

_SHORTEST_SAMPLES = 2 * LEVEL_FRAME_SAMPLES
"""Shortest part of a sound that the model notices."""


def new_start(watched: WatchedSound, identifier: str, tagging: Tagging, start_sample: int) -> Event:
    """Return the start of a sound, without a score; one in its quiet hours is not announced."""
    started_at = tagging.time_of(start_sample)
    return Event(
        id=identifier,
        kind="started",
        label=watched.sound.name,
        source=tagging.source,
        score=0.0,
        started_at=started_at,
        start_sample=start_sample,
        announced=not parse_quiet(watched.sound.quiet).cover(started_at),
    )


class EarlyStart:
    """Start of one sound that only the fast window has detected so far.

    The fast window reports a start where the level rises out of the background and the score is well above the threshold. The
    long window has some seconds to confirm it, by the rule of the sound. Otherwise, the start is taken back, and the fast
    window is ignored for this sound for a while.

    Parameters
    ----------
    watched : WatchedSound
        Sound to detect.
    new_id : callable
        Factory of event identifiers.

    Attributes
    ----------
    event : Event or None
        Start that waits to be confirmed.
    peak : float or None
        Highest score of the fast window since the sound was last off; None without fast windows.
    """

    def __init__(self, watched: WatchedSound, new_id: Callable[[], str]) -> None:
        self.event: Event | None = None
        self.peak: float | None = None
        self._new_id = new_id
        self._recent: deque[tuple[int, float]] = deque()  # fast windows within a long one: end, score
        self._is_hit = False
        self._long_windows = 0
        self._judged_from = 0
        self._last_on: Tagging | None = None
        self._distrusted_until = 0
        self._watched = watched

    def set_rule(self, watched: WatchedSound) -> None:
        """Replace the rule of the sound."""
        self._watched = watched

    def observe(self, tagging: Tagging, *, is_on: bool) -> None:
        """Add a tagging of the fast window; `is_on` if the sound is on anyway."""
        score = self._watched.score(tagging.scores)
        self._is_hit = self._watched.is_well_on(tagging.scores, _ODDS)
        if self._is_hit:
            self._last_on = tagging
        stays = is_on or self.event is not None or not self._watched.is_off(tagging.scores)
        self.peak = max(self.peak, score) if stays and self.peak is not None else score
        self._recent.append((tagging.end_sample, score))
        while self._recent[0][0] <= tagging.end_sample - WINDOW_SAMPLES:
            self._recent.popleft()

    def peak_since(self, start_sample: int) -> float | None:
        """Let the peak be that since a start which the long window alone detected, and return it; None without a fast window."""
        if not self._recent or self._recent[-1][0] <= start_sample - WINDOW_SAMPLES:
            self.peak = None  # it was switched off
        else:
            scores = [score for end_sample, score in self._recent if end_sample > start_sample]
            self.peak = max(scores, default=self.peak)
        return self.peak

    def start(self, tagging: Tagging, *, score: float, ended_sample: int) -> Event | None:
        """Return the start that the newest tagging of the fast window reports, if any.

        Parameters
        ----------
        tagging : Tagging
            The newest one.
        score : float
            Score of the long window.
        ended_sample : int
            End of the event before.
        """
        if self.event is not None or not self._is_hit or tagging.end_sample < self._distrusted_until:
            return None
        earliest = max(ended_sample, tagging.start_sample - _UNNOTICED_SAMPLES)
        rise = first_rise(tagging, earliest, tagging.end_sample - _SHORTEST_SAMPLES)
        if rise is None:
            return None
        self._long_windows, self._judged_from = 0, tagging.end_sample + WINDOW_SAMPLES
        start = new_start(self._watched, self._new_id(), tagging, rise)
        self.event = replace(start, score=score, confirmed=False, fast_score=self.peak)
        return self.event

    def confirm(self, score: float) -> Event | None:
        """Return the confirmation of the start that waits for it, if any; `score` is that of the long window."""
        told, self.event = self.event, None
        if told is None:
            return None
        return replace(told, kind="confirmed", confirmed=True, score=score, fast_score=self.peak)

    def judge(self, tagging: Tagging, *, is_on: bool, score: float) -> Event | None:
        """Add a tagging of the long window that does not confirm the start; return its end if it is taken back now."""
        if self.event is None:
            return None
        self._long_windows += 1
        heard_until = 0 if self._last_on is None else self._last_on.end_sample
        judged_from = min(self._judged_from, heard_until + _PATIENCE_SAMPLES)
        if is_on or self._long_windows < self._watched.sound.of or tagging.end_sample < judged_from:
            return None
        self._distrusted_until = tagging.end_sample + _DISTRUST_SAMPLES
        return self.take_back(score)

    def take_back(self, score: float) -> Event | None:
        """Return the end of the start that waits to be confirmed, if any; `score` is that of the long window."""
        told, self.event = self.event, None
        if told is None or self._last_on is None:
            return None
        return replace(
            told,
            kind="ended",
            score=score,
            fast_score=self.peak,
            ended_at=self._last_on.ended_at,
            end_sample=self._last_on.end_sample,
        )
