"""Counts what happens to the stream, so that the program can say how it is doing."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..levels import Amplitudes
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Health, SourceHealth, Tagging, Window
from .memory import resident_bytes
from .source import SourceMeter

_NEWEST_TAGGINGS = 600
_NEWEST_BATCHES = 20
_SUMMED = ("windows", "dropped_windows", "overruns", "lost_samples", "repaired_samples")
"""What is told of all sources together, removed ones included."""

_NONE_REPAIRED: Mapping[str, int] = MappingProxyType({})


class HealthMeter:
    """Gathers figures from all threads; `report` puts them together.

    Of a source it must be told everything in the order in which it happens. What a chunk costs is some microseconds; what is
    kept does not grow.

    Parameters
    ----------
    hop_samples : int
        From one window of a source to its next.
    sources : int
        How many sources are listened to.
    model, device : str
        What tags, and on what; for people.
    clock : callable
        Seconds, of a clock that is never set.
    """

    def __init__(
        self,
        *,
        hop_samples: int,
        sources: int,
        model: str,
        device: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reckon(sources=sources, hop_samples=hop_samples)
        self._model, self._device = model, device
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._sources: dict[str, SourceMeter] = {}
        self._removed: Counter[str] = Counter()
        self._tagged_at: float | None = None
        self._latencies: deque[float] = deque(maxlen=_NEWEST_TAGGINGS)
        self._batches: deque[tuple[int, float]] = deque(maxlen=_NEWEST_BATCHES)

    def reckon(self, *, sources: int, hop_samples: int) -> None:
        """Reckon from now on with so many sources, and this hop: when one comes or goes."""
        self._windows_a_second = sources * SAMPLE_RATE_HZ / hop_samples

    def opened(self, source: str, *, live: bool) -> None:
        """Take that a source begins to deliver, for the first time or once more, and whether a clock paces it."""
        with self._lock:
            self._of(source).opened(live=live)

    def heard(self, source: str, chunk: AudioChunk) -> None:
        """Take a chunk that is listened to, before the windows that it makes due."""
        amplitudes, now = Amplitudes.of(chunk.samples), self._clock()
        with self._lock:
            self._of(source).heard(chunk, amplitudes, now)

    def paused(self, source: str, chunk: AudioChunk) -> None:
        """Take a chunk that is thrown away, for listening is switched off."""
        now = self._clock()
        with self._lock:
            self._of(source).paused(chunk, now)

    def cut(self, window: Window) -> None:
        """Take a window that has become due."""
        with self._lock:
            self._of(window.source).cut(window)

    def refused(self, window: Window) -> None:
        """Take that nobody takes a window that was cut."""
        with self._lock:
            self._of(window.source).refused()

    def flushed(self, source: str) -> None:
        """Take that all windows of what was heard so far have been cut."""
        with self._lock:
            self._of(source).flushed()

    def tagged(self, taggings: Sequence[Tagging], busy_seconds: float) -> None:
        """Count a batch of taggings that took `busy_seconds` of inference."""
        if not taggings:
            return
        with self._lock:
            self._tagged_at = self._clock()
            self._batches.append((len(taggings), busy_seconds))
            for tagging in taggings:
                self._of(tagging.source).tagged += 1
                if tagging.latency_seconds is not None:
                    self._latencies.append(tagging.latency_seconds)

    def forget(self, source: str, *, replaced_windows: int, repaired_samples: int) -> None:
        """Tell no more of a source that was removed; what it adds to the sums stays in them.

        Parameters
        ----------
        source : str
            Its name. One that comes later under the same name begins at zero.
        replaced_windows, repaired_samples : int
            As for `report`.
        """
        with self._lock:
            meter = self._sources.pop(source, None)
            if meter is not None:
                last = meter.report(replaced=replaced_windows, repaired=repaired_samples, now=self._clock())
                self._removed.update(_summed(last))

    def report(
        self,
        *,
        broker: str,
        replaced_windows: Callable[[str], int] = lambda _source: 0,
        repaired_samples: Mapping[str, int] = _NONE_REPAIRED,
    ) -> Health:
        """Sum up, with the figures that others count.

        Parameters
        ----------
        broker : str
            How the connection to it stands.
        replaced_windows : callable
            Says how many windows of a source made room for a newer one.
        repaired_samples : mapping of str to int
            By source, samples that were not numbers.
        """
        now = self._clock()
        with self._lock:
            sources = tuple(
                meter.report(replaced=replaced_windows(name), repaired=repaired_samples.get(name, 0), now=now)
                for name, meter in self._sources.items()
            )
            total = self._removed.copy()
            latencies, batches, tagged_at = list(self._latencies), list(self._batches), self._tagged_at
        for source in sources:
            total.update(_summed(source))
        p50, p95, p99 = _percentiles(latencies)
        return Health(
            uptime_seconds=now - self._began,
            windows=total["windows"],
            dropped_windows=total["dropped_windows"],
            overruns=total["overruns"],
            lost_seconds=total["lost_samples"] / SAMPLE_RATE_HZ,
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
            sources=sources,
        )

    def _of(self, source: str) -> SourceMeter:
        meter = self._sources.get(source)
        if meter is None:
            meter = self._sources[source] = SourceMeter(source)
        return meter

    def _real_time_factor(self, batches: Sequence[tuple[int, float]]) -> float | None:
        windows = sum(count for count, _ in batches)
        busy = sum(seconds for _, seconds in batches)
        return busy * self._windows_a_second / windows if windows else None


def _summed(source: SourceHealth) -> dict[str, int]:
    return {figure: getattr(source, figure) for figure in _SUMMED}


def _percentiles(seconds: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the 50th, 95th and 99th percentile."""
    if not seconds:
        return None, None, None
    p50, p95, p99 = map(float, np.percentile(seconds, (50, 95, 99)))
    return p50, p95, p99
