"""Which way of running a network is the fastest that keeps its scores, tried on this machine and remembered."""

import logging
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..engines import Engine
from .json_cache import Memory, remember_choice

_log = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_DIFFERENCE = 0.05
"""Of a score from that in single precision, on the sounds that ship."""
LEAST_AGREEMENT = 0.95
"""Of the five highest classes, on average."""

_REMEMBERED_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Trial:
    """How one way fared.

    Attributes
    ----------
    seconds : float
        Of one window, from samples to results: the median.
    difference : float
        The largest, of any score from that in single precision.
    agreement : float
        Which share of the five highest classes is the same, on average.
    """

    seconds: float
    difference: float = 0.0
    agreement: float = 1.0

    @property
    def keeps_scores(self) -> bool:
        """Whether anybody would notice."""
        return self.difference <= LARGEST_DIFFERENCE and self.agreement >= LEAST_AGREEMENT


IMPOSSIBLE = Trial(seconds=0.0, difference=1.0, agreement=0.0)
"""Of a way that there isn't for a network."""


def run(engine: Engine, windows: Tensor, budget_seconds: float) -> tuple[float, Tensor]:
    """Run windows (n, samples) one by one: the median of their seconds but the first's, and logits (n, classes).

    Once the budget is spent, no further window is begun but the second.
    """
    times, logits, begun = [], [], time.perf_counter()
    for window in windows:
        before = time.perf_counter()
        logits.append(engine(window[None])[0])
        times.append(time.perf_counter() - before)
        if len(times) > 1 and time.perf_counter() - begun > budget_seconds:
            break
    return statistics.median(times[1:] or times), torch.cat(logits)


def compare(logits: Tensor, expected: Tensor) -> tuple[float, float]:
    """Largest difference of a score, and agreement of the first five, of logits (n, classes)."""
    difference = float((logits.sigmoid() - expected.sigmoid()).abs().max())
    first = min(5, expected.shape[1])
    ours, theirs = (part.topk(first).indices.numpy() for part in (logits, expected))
    shared = [len(np.intersect1d(a, b)) / first for a, b in zip(ours, theirs, strict=True)]
    return difference, float(np.mean(shared))


class Trials:
    """What was tried of one network on this machine.

    Parameters
    ----------
    name : str
        What the model is called.
    conditions : str
        All that speed and scores depend on.
    """

    def __init__(self, name: str, conditions: str) -> None:
        self._name = name
        self._conditions = conditions
        self._memory = Memory.in_cache("engines.json", _REMEMBERED_SECONDS)
        self._trials: dict[str, Trial] = _read(self._memory.get(conditions))

    def of(self, way: str) -> Trial | None:
        """How a way fared, if it was tried."""
        return self._trials.get(way)

    def add(self, way: str, trial: Trial) -> Trial:
        """Remember how a way fared."""
        self._trials[way] = trial
        self._memory.put(self._conditions, {way: asdict(trial) for way, trial in self._trials.items()})
        _log.debug("%s: %s", way, trial)
        return trial

    def best(self, ways: Mapping[str, T]) -> T:
        """The fastest of these ways, by name, that was tried and keeps the scores."""
        tried = {way: trial for way in ways if (trial := self.of(way)) and trial.keeps_scores}
        return ways[self.choose(min(tried, key=lambda way: tried[way].seconds))]

    def choose(self, way: str) -> str:
        """Remember, under the model's name, what runs it now."""
        remember_choice(self._name, way, self._trials[way].seconds)
        return way


def _read(content: object) -> dict[str, Trial]:
    try:
        return (
            {str(way): Trial(**trial) for way, trial in content.items()}
            if isinstance(content, Mapping)
            else {}
        )
    except TypeError:  # of another version
        return {}
