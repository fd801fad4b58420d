"""Counts what happens to the stream, so that the program can say how it is doing."""

import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from .messages import SAMPLE_RATE_HZ, AudioChunk, Health, Tagging

_NEWEST_TAGGINGS = 600
_NEWEST_BATCHES = 20


class HealthMeter:
    """Gathers figures from all threads; `report` puts them together.

    Parameters
    ----------
    hop_samples : int
        From one window of a source to its next.
    sources : int
        How many sources are listened to.
    model, device : str
        What tags, and on what; for people.
    """

    def __init__(self, *, hop_samples: int, sources: int, model: str, device: str) -> None:
        self._hop_seconds = hop_samples / SAMPLE_RATE_HZ
        self.sources = sources
        self._model, self._device = model, device
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._windows = 0
        self._overruns = 0
        self._lost_samples = 0
        self._latencies: deque[float] = deque(maxlen=_NEWEST_TAGGINGS)
        self._batches: deque[tuple[int, float]] = deque(maxlen=_NEWEST_BATCHES)

    def heard(self, chunk: AudioChunk) -> None:
        """Count a chunk's gap, if it has one."""
        if chunk.lost_samples:
            with self._lock:
                self._overruns += 1
                self._lost_samples += chunk.lost_samples

    def tagged(self, taggings: Sequence[Tagging], busy_seconds: float) -> None:
        """Count a batch of taggings that took `busy_seconds` of inference."""
        with self._lock:
            self._windows += len(taggings)
            if taggings:
                self._batches.append((len(taggings), busy_seconds))
            self._latencies.extend(
                tagging.latency_seconds for tagging in taggings if tagging.latency_seconds is not None
            )

    def report(self, *, dropped_windows: int, repaired_samples: int, broker: str) -> Health:
        """Sum up, with the figures that others count."""
        with self._lock:
            p50, p95 = np.percentile(self._latencies, (50, 95)) if self._latencies else (None, None)
            windows = sum(count for count, _ in self._batches)
            busy = sum(seconds for _, seconds in self._batches)
            return Health(
                uptime_seconds=time.monotonic() - self._began,
                windows=self._windows,
                dropped_windows=dropped_windows,
                overruns=self._overruns,
                lost_seconds=self._lost_samples / SAMPLE_RATE_HZ,
                repaired_samples=repaired_samples,
                latency_p50_seconds=None if p50 is None else float(p50),
                latency_p95_seconds=None if p95 is None else float(p95),
                real_time_factor=busy * self.sources / (windows * self._hop_seconds) if windows else None,
                model=self._model,
                device=self._device,
                broker=broker,
            )


class Every:
    """True once in each period: for what is done now and then in a loop.

    Parameters
    ----------
    seconds : float
        The period.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic()

    def due(self) -> bool:
        """Whether the period is over; begins the next one if so."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
