"""A model on this machine that scores while workers do not answer."""

import logging
import time
from collections.abc import Callable

import numpy as np

from ..messages import Samples
from .scoring import Scorer, Traffic, traffic_of

_PAUSE_SECONDS = 5.0
"""Time between attempts while no worker answers: each may take as long as an answer may."""

_log = logging.getLogger(__name__)


class FallbackScorer:
    """Scorer on workers, with a model on this machine for windows without an answer: float32 (batch, n) -> float32 (batch, classes).

    Parameters
    ----------
    workers : callable
        Scorer on workers; a window without an answer has a row of NaN.
    local : callable
        Scorer on this machine, with the same classes.
    local_samples : int
        Longest window of `local`; of a longer one, it scores the end.
    name : str
        Name of the model of `local`.
    clock : callable
        Monotonic time in seconds.

    Attributes
    ----------
    largest_batch : int
        Most windows in one call.
    """

    def __init__(
        self,
        workers: Scorer,
        local: Scorer,
        *,
        local_samples: int,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers, self._local = workers, local
        self._local_samples = local_samples
        self._name = name
        self._clock = clock
        self._next_attempt = 0.0
        self._is_away = False
        self.largest_batch: int = getattr(workers, "largest_batch", 16)

    @property
    def traffic(self) -> Traffic | None:
        """Figures of the requests to the workers."""
        return traffic_of(self._workers)

    def __call__(self, batch: Samples, /) -> Samples:
        """Score windows on the workers, and here those without an answer."""
        if self._is_away and self._clock() < self._next_attempt:
            return self._here(batch)
        scores = self._workers(batch)
        missing = np.isnan(scores[:, 0])
        self._note(is_away=bool(missing.all()))
        if missing.any():
            scores = scores.copy()
            scores[missing] = self._here(batch[missing])
        return scores

    def _here(self, batch: Samples) -> Samples:
        return self._local(batch[:, -self._local_samples :])

    def _note(self, *, is_away: bool) -> None:
        self._next_attempt = self._clock() + _PAUSE_SECONDS
        if is_away != self._is_away:
            self._is_away = is_away
            if is_away:
                _log.warning("no worker answers; %s tags on this machine meanwhile", self._name)
            else:
                _log.info("the workers answer again")
