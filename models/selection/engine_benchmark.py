"""Measurements of engines on this machine, kept in the user's cache."""

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
from ..tagger import Activation
from .json_cache import JsonCache, save_choice

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_DIFFERENCE = 0.05
"""Largest accepted difference of a score from single precision, on the bundled sounds."""
MIN_AGREEMENT = 0.95
"""Smallest accepted share of the highest classes that stay the same, on average; see `compare`."""

_LIFETIME_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class EngineResult:
    """Measurement of one engine at one precision.

    Attributes
    ----------
    seconds : float
        Median time for one window, from samples to results.
    difference : float
        Largest difference of a score from single precision.
    agreement : float
        Share of the highest classes that stay the same, on average; see `compare`.
    """

    seconds: float
    difference: float = 0.0
    agreement: float = 1.0

    @property
    def keeps_scores(self) -> bool:
        """True if the scores are close enough to single precision."""
        return self.difference <= MAX_DIFFERENCE and self.agreement >= MIN_AGREEMENT


UNAVAILABLE = EngineResult(seconds=0.0, difference=1.0, agreement=0.0)
"""Result of an engine that can't run a network."""


def run(engine: Engine, windows: Tensor, budget_seconds: float) -> tuple[float, Tensor]:
    """Run windows (n, samples) one by one; return the median seconds, without the first window, and the logits (n, classes).

    At least two windows are run; no further one begins after the budget.
    """
    times, logits, begun = [], [], time.perf_counter()
    for window in windows:
        before = time.perf_counter()
        logits.append(engine(window[None])[0])
        times.append(time.perf_counter() - before)
        if len(times) > 1 and time.perf_counter() - begun > budget_seconds:
            break
    return statistics.median(times[1:] or times), torch.cat(logits)


def compare(logits: Tensor, expected: Tensor, activation: Activation = "sigmoid") -> tuple[float, float]:
    """Return the largest difference of a score, and the agreement of the highest classes, of logits (n, classes).

    These are the five highest of six classes or more, and all but one of fewer.
    """
    scores, right = (
        part.sigmoid() if activation == "sigmoid" else part.softmax(1) for part in (logits, expected)
    )
    difference = float((scores - right).abs().max())
    first = max(1, min(5, expected.shape[1] - 1))
    ours, theirs = (part.topk(first).indices.numpy() for part in (logits, expected))
    shared = [len(np.intersect1d(a, b)) / first for a, b in zip(ours, theirs, strict=True)]
    return difference, float(np.mean(shared))


class EngineBenchmark:
    """Cached measurements of one network on this machine.

    Parameters
    ----------
    name : str
        Name under which the choice is listed; empty to list none.
    conditions : str
        Cache key of everything that speed and scores depend on.
    """

    def __init__(self, name: str, conditions: str) -> None:
        self._name = name
        self._conditions = conditions
        self._cache = JsonCache.in_user_cache("engines.json", _LIFETIME_SECONDS)
        self._results: dict[str, EngineResult] = _read(self._cache.get(conditions))

    def get(self, spec: str) -> EngineResult | None:
        """Return the result of an engine, if it was measured."""
        return self._results.get(spec)

    def add(self, spec: str, result: EngineResult) -> EngineResult:
        """Save the result of an engine."""
        self._results[spec] = result
        self._cache.put(self._conditions, {spec: asdict(result) for spec, result in self._results.items()})
        _log.debug("%s: %s", spec, result)
        return result

    def fastest(self, specs: Mapping[str, T]) -> T:
        """Return the fastest of these engines, by name, that keeps the scores."""
        tried = {spec: result for spec in specs if (result := self.get(spec)) and result.keeps_scores}
        return specs[self.choose(min(tried, key=lambda spec: tried[spec].seconds))]

    def choose(self, spec: str) -> str:
        """Save an engine as the one that runs the model, and return it."""
        if self._name:
            save_choice(self._name, spec, self._results[spec].seconds)
        return spec


def _read(content: object) -> dict[str, EngineResult]:
    try:
        return (
            {str(spec): EngineResult(**result) for spec, result in content.items()}
            if isinstance(content, Mapping)
            else {}
        )
    except TypeError:  # written by another version
        return {}
