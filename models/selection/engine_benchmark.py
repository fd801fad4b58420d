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
from .json_cache import JsonCache, save_choice

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_DIFFERENCE = 0.05
"""Of a score from that in single precision, on the sounds that ship."""
MIN_AGREEMENT = 0.95
"""Of the five highest classes, on average."""

_LIFETIME_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class EngineResult:
    """Measurement of one engine at one precision.

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
        return self.difference <= MAX_DIFFERENCE and self.agreement >= MIN_AGREEMENT


UNAVAILABLE = EngineResult(seconds=0.0, difference=1.0, agreement=0.0)
"""Result of an engine that can't run a network."""


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


class EngineBenchmark:
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
        """Remember, under the model's name, what runs it now."""
        save_choice(self._name, spec, self._results[spec].seconds)
        return spec


def _read(content: object) -> dict[str, EngineResult]:
    try:
        return (
            {str(spec): EngineResult(**result) for spec, result in content.items()}
            if isinstance(content, Mapping)
            else {}
        )
    except TypeError:  # of another version
        return {}
