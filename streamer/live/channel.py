"""A source's place in a session: who sits there, where its stream stands, and how long it has been away."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..runtime.timing import elapsed_seconds
from ..runtime.timing import format_duration as written
from ..sources import Source

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_STEADY_SECONDS = 10.0
"""A source that has delivered for as long is well again: if it fails, that is another story."""

_QUIET_SECONDS = 60.0
"""How often the same failure is logged."""


class Seat:
    """A source's place in the session, which others may take.

    Parameters
    ----------
    source : Source
        Who sits there first.

    Attributes
    ----------
    source : Source
        Who sits there.
    left : bool
        Whether nobody is to sit here any more.
    over : bool
        Whether nobody reads what comes from here any more.
    gone : Event
        Is set once nothing is left of what came from here.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.left = False
        self.over = False
        self.gone = threading.Event()
        self.backoff = Backoff(source.name)
        self._changed = threading.Condition()
        self._end_sample = 0
        self._heard_at: float | None = None

    def continued(self, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """Number the chunks of a stream on from where the one before it ended, behind a gap as long as it took, if it doesn't itself."""
        shift = None
        for chunk in chunks:
            if shift is None and self._heard_at is not None and chunk.start_sample < self._end_sample:
                away = round((elapsed_seconds() - self._heard_at) * SAMPLE_RATE_HZ)
                lost = max(0, away - len(chunk.samples))
                shift = self._end_sample + lost - chunk.start_sample
            shift = shift or 0
            placed = replace(chunk, start_sample=chunk.start_sample + shift) if shift else chunk
            self._end_sample = placed.start_sample + len(placed.samples)
            self._heard_at = elapsed_seconds()
            self.backoff.over(len(placed.samples) / SAMPLE_RATE_HZ)
            yield placed

    def exchange(self, source: Source) -> None:
        """Give the seat to another source."""
        with self._changed:
            before, self.source = self.source, source
            left = self.left
            self._changed.notify_all()
        before.close()
        if left:
            source.close()

    def leave(self) -> None:
        """Have nobody sit here any more."""
        with self._changed:
            self.left = True
            self._changed.notify_all()
        self.source.close()

    def wait(self, source: Source, seconds: float) -> None:
        """Sleep until this source no longer sits here, or the time is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.left or self.source is not source, None if seconds == math.inf else seconds
            )


class Backoff:
    """How often a source has failed lately, and what the log says of it: each reason at once, and then not for a minute.

    Parameters
    ----------
    name : str
        Of the source.
    clock : callable
        Seconds of a clock that nobody sets.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._since: float | None = None
        self._logged_at: dict[str, float] = {}
        self._told = False
        self._delivered_seconds = 0.0

    def begin(self, reason: str, longest_seconds: float) -> float:
        """Take a failure.

        Parameters
        ----------
        reason : str
            What has failed, as a sentence.
        longest_seconds : float
            What the pauses grow to.

        Returns
        -------
        pause_seconds : float
            After which to try again: twice as long as the last time.
        """
        now = self._clock()
        self._since = now if self._since is None else self._since
        self._delivered_seconds = 0.0
        if now - self._logged_at.get(reason, -math.inf) >= _QUIET_SECONDS:
            self._logged_at[reason] = now
            self._told = True
            _log.warning("%s is not heard: %s. It is waited for.", self._name, reason)
        pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 16), longest_seconds)
        self._failures += 1
        return pause

    def over(self, seconds: float) -> None:
        """Take that the source has delivered so much sound."""
        if self._since is not None:
            if self._told:
                _log.info("%s is heard again, after %s", self._name, written(self._clock() - self._since))
            self._since, self._told = None, False
        if self._failures:
            self._delivered_seconds += seconds
            if self._delivered_seconds >= _STEADY_SECONDS:
                self._failures = 0
                self._logged_at.clear()
