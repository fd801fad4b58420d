"""Figures of the whole program: latency, real-time factor, and sums over all sources."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

import numpy as np

from ..messages import SAMPLE_RATE_HZ, Health, SourceHealth, Tagging
from .memory import resident_bytes
from .source import SourceMeter

_NEWEST_TAGGINGS = 600
_NEWEST_BATCHES = 20
_SUMMED = (
    "windows",
    "dropped_windows",
    "unanswered_windows",
    "overruns",
    "overrun_samples",
    "lost_samples",
    "repaired_samples",
)
"""Figures that are summed over all sources, removed ones included."""


class HealthMeter:
    """Gathers figures of the whole program from all threads; `report` puts them together with those of the sources.

    Memory use does not grow.

    Parameters
    ----------
    model, device : str
        Model and device that tag, for people.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self, *, model: str = "", device: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model, self._device = model, device
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._windows_per_second = 0.0
        self._removed: Counter[str] = Counter()
        self._tagged_at: float | None = None
        self._latencies: deque[float] = deque(maxlen=_NEWEST_TAGGINGS)
        self._batches: deque[tuple[int, float]] = deque(maxlen=_NEWEST_BATCHES)

    def source(self, name: str) -> SourceMeter:
        """Return a new meter for one source, with the same clock."""
        return SourceMeter(name, clock=self._clock)

    def set_model(self, model: str, device: str) -> None:
        """Set the model that tags from now on, and the device it runs on; its speed is measured from here."""
        with self._lock:
            self._model, self._device = model, device
            self._batches.clear()

    def set_rate(self, windows_per_second: float) -> None:
        """Set the number of windows that all sources together deliver per second."""
        self._windows_per_second = windows_per_second

    def tagged(self, taggings: Sequence[Tagging], busy_seconds: float) -> None:
        """Count a batch of taggings that took `busy_seconds` of inference."""
        if not taggings:
            return
        with self._lock:
            self._tagged_at = self._clock()
            self._batches.append((len(taggings), busy_seconds))
            self._latencies.extend(
                tagging.latency_seconds for tagging in taggings if tagging.latency_seconds is not None
            )

    def add_removed(self, source: SourceHealth) -> None:
        """Keep the last figures of a source that was removed in the sums."""
        with self._lock:
            self._removed.update(_summed(source))

    def report(self, sources: Sequence[SourceHealth] = (), *, broker: str = "none") -> Health:
        """Return the health of the program.

        Parameters
        ----------
        sources : sequence of SourceHealth
            Figures of each source.
        broker : str
            State of the connection to the broker.
        """
        now = self._clock()
        with self._lock:
            total = self._removed.copy()
            latencies, batches, tagged_at = list(self._latencies), list(self._batches), self._tagged_at
        for source in sources:
            total.update(_summed(source))
        p50, p95, p99 = _percentiles(latencies)
        return Health(
            uptime_seconds=now - self._began,
            windows=total["windows"],
            dropped_windows=total["dropped_windows"],
            unanswered_windows=total["unanswered_windows"],
            overruns=total["overruns"],
            lost_seconds=total["lost_samples"] / SAMPLE_RATE_HZ,
            overrun_seconds=total["overrun_samples"] / SAMPLE_RATE_HZ,
            repaired_samples=total["repaired_samples"],
            latency_p50_seconds=p50,
            latency_p95_seconds=p95,
            latency_p99_seconds=p99,
            real_time_factor=self._real_time_factor(batches),
            model=self._model,
            device=self._device,
            broker=broker,
            seconds_since_tagging=None if tagged_at is None else now - tagged_at,
            resident_bytes=resident_bytes(),
            sources=tuple(sources),
        )

    def _real_time_factor(self, batches: Sequence[tuple[int, float]]) -> float | None:
        windows = sum(count for count, _ in batches)
        busy = sum(seconds for _, seconds in batches)
        return busy * self._windows_per_second / windows if windows else None


def _summed(source: SourceHealth) -> dict[str, int]:
    return {figure: getattr(source, figure) for figure in _SUMMED}


def _percentiles(seconds: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the 50th, 95th and 99th percentile."""
    if not seconds:
        return None, None, None
    p50, p95, p99 = map(float, np.percentile(seconds, (50, 95, 99)))
    return p50, p95, p99
