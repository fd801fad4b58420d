"""Pauses between attempts to open a source that failed, and the log of them."""

import logging
import math
import time
from collections.abc import Callable

from ..runtime.timing import format_duration

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_STEADY_SECONDS = 10.0
"""Sound after which a source works again: the pauses start over at its next failure."""

_QUIET_SECONDS = 60.0
"""Time between two log lines about the same failure."""


class Backoff:
    """Pauses that double with each failure of a source. The log has each reason at once, and then at most once a minute.

    Parameters
    ----------
    name : str
        Name of the source.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._since: float | None = None
        self._logged_at: dict[str, float] = {}
        self._is_logged = False
        self._delivered_seconds = 0.0

    def fail(self, reason: str, longest_seconds: float) -> float:
        """Note a failure.

        Parameters
        ----------
        reason : str
            Reason of the failure, as a sentence.
        longest_seconds : float
            Upper limit of the pauses.

        Returns
        -------
        pause_seconds : float
            Time until the next attempt: twice as long as the last time.
        """
        now = self._clock()
        self._since = now if self._since is None else self._since
        self._delivered_seconds = 0.0
        if now - self._logged_at.get(reason, -math.inf) >= _QUIET_SECONDS:
            self._logged_at[reason] = now
            self._is_logged = True
            _log.warning("no audio from %s (%s); retrying", self._name, reason)
        pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 16), longest_seconds)
        self._failures += 1
        return pause

    def deliver(self, seconds: float) -> None:
        """Note that the source has delivered sound."""
        if self._since is not None:
            if self._is_logged:
                _log.info(
                    "audio from %s is back after %s", self._name, format_duration(self._clock() - self._since)
                )
            self._since, self._is_logged = None, False
        if self._failures:
            self._delivered_seconds += seconds
            if self._delivered_seconds >= _STEADY_SECONDS:
                self._failures = 0
                self._logged_at.clear()
