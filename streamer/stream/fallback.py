"""A model on this machine that scores while workers do not answer."""

import logging
import time
from collections.abc import Callable

import numpy as np

from ..messages import Samples, with_classes
from .scoring import LONGEST_ANSWER_SECONDS, RemoteScorer, Scorer, Traffic

_PAUSE_SECONDS = 5.0
"""Time between attempts while no worker answers: each may take as long as an answer may."""

_log = logging.getLogger(__name__)


class FallbackScorer:
    """Scorer on workers, with a model on this machine for windows without an answer: float32 (batch, n) -> float32 (batch, classes).

    Parameters
    ----------
    workers : RemoteScorer
        Scorer on workers.
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
        workers: RemoteScorer,
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
    def traffic(self) -> Traffic:
        """Figures of the requests to the workers."""
        return self._workers.traffic

    def __call__(self, samples: Samples, /) -> Samples:
        """Score windows on the workers, and here those without an answer within 2 s."""
        return self.in_time(samples, LONGEST_ANSWER_SECONDS)

    def in_time(self, samples: Samples, seconds: float, /) -> Samples:
        """Score windows on the workers, and here those without an answer in time."""
        if self._is_away and self._clock() < self._next_attempt:
            return self._here(samples)
        scores = self._workers.in_time(samples, seconds)
        missing = np.isnan(scores[:, 0])
        self._note(is_away=bool(missing.all()))
        if missing.any():
            here = self._here(samples[missing])
            scores = with_classes(scores, here.shape[1]).copy()
            scores[missing] = with_classes(here, scores.shape[1])
        return scores

    def _here(self, samples: Samples) -> Samples:
        return self._local(samples[:, -self._local_samples :])

    def _note(self, *, is_away: bool) -> None:
        self._next_attempt = self._clock() + _PAUSE_SECONDS
        if is_away != self._is_away:
            self._is_away = is_away
            if is_away:
                _log.warning("no worker answers; %s tags on this machine meanwhile", self._name)
            else:
                _log.info("the workers answer again")
