"""Check that inference keeps up with the hop."""

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from ..messages import SAMPLE_RATE_HZ, Window
from ..stream.scoring import Scorer, score
from .result import CheckResult, State

_RUNS = 5
_BUDGET_SECONDS = 3.0
"""Time after which no further run begins; there are always two, of which the first is a warm-up."""
_COMFORTABLE_LOAD = 0.8
"""Share of the hop for inference; the rest is for reading audio, drawing, and other programs."""


def check_speed(
    scorer: Scorer,
    *,
    window_samples: int,
    hop_seconds: float,
    sources: int,
    remedies: Sequence[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> CheckResult:
    """Measure the time for a batch with one window of each source.

    Parameters
    ----------
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    window_samples : int
        Length of a window.
    hop_seconds : float
        Hop.
    sources : int
        Number of sources.
    remedies : sequence of str
        Measures against a high load, besides a longer hop.
    clock : callable
        Clock in seconds.
    """
    noise = np.random.default_rng(0).normal(0.0, 0.1, (sources, window_samples)).astype(np.float32)
    windows = [
        Window(str(number), samples, 0, window_samples, 0.0, window_samples)
        for number, samples in enumerate(noise)
    ]
    seconds = _median_seconds(lambda: list(score(scorer, windows)), clock)
    factor = seconds / hop_seconds
    state: State = "ok" if factor < _COMFORTABLE_LOAD else "warning" if factor <= 1.0 else "failed"
    batch = "a window" if sources == 1 else f"{sources} windows"
    return CheckResult(
        "speed",
        state,
        f"{seconds:.3g} s for {batch} every {hop_seconds:g} s: a load of {factor:.0%}",
        "" if state == "ok" else _advice(seconds, sources, remedies),
        {
            "seconds": round(seconds, 4),
            "sources": sources,
            "window_seconds": round(window_samples / SAMPLE_RATE_HZ, 2),
            "hop_seconds": hop_seconds,
            "real_time_factor": round(factor, 4),
        },
    )


def _median_seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    run()  # warm-up
    begun, times = clock(), []
    for _ in range(_RUNS):
        before = clock()
        run()
        now = clock()
        times.append(now - before)
        if now - begun > _BUDGET_SECONDS:
            break
    return statistics.median(times)


def _advice(seconds: float, sources: int, remedies: Sequence[str]) -> str:
    hop = f"--hop {math.ceil(10 * seconds / _COMFORTABLE_LOAD) / 10:g}"
    measures = [hop, *remedies, *(["fewer sources"] if sources > 1 else [])]
    listed = " or ".join(filter(None, (", ".join(measures[:-1]), measures[-1])))
    return f"use {listed}: late windows are dropped"
