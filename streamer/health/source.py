"""Figures of one source."""

import threading
import time
from collections.abc import Callable

from ..levels import Amplitudes
from ..messages import AudioChunk, NoiseLevels, SourceHealth, Window
from .clock_drift import ClockDrift
from .sample_accounting import SampleAccounting
from .signal_quality import SignalQuality


class SourceMeter:
    """Gathers the figures of one source; any thread may call it.

    A chunk costs some microseconds, and memory use does not grow. The reader's calls must come in the order of the stream.

    Parameters
    ----------
    source : str
        Name of the source.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(self, source: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._accounting = SampleAccounting()
        self._quality = SignalQuality()
        self._drift = ClockDrift()
        self._paced = False
        self._was_away = False
        self._gaps = 0
        self._overruns = 0
        self._overrun_samples = 0
        self._cut = 0
        self._tagged = 0
        self._dropped = 0
        self._unanswered = 0
        self._fast_tagged = 0
        self._fast_dropped = 0
        self._heard_at: float | None = None

    def open(self, *, live: bool) -> None:
        """Start counting another opening of the source, or of another source in its place; `live` if a clock paces it."""
        with self._lock:
            self._paced, self._was_away = live, True
            self._quality.reset()
            self._drift.restart()

    def add(self, chunk: AudioChunk) -> None:
        """Count a chunk, before the windows that it completes."""
        amplitudes, now = Amplitudes.of(chunk.samples), self._clock()
        with self._lock:
            self._move(self._accounting.add(chunk), now)
            self._quality.update(amplitudes)

    def add_paused(self, chunk: AudioChunk) -> None:
        """Count a chunk that is discarded because the source is switched off."""
        now = self._clock()
        with self._lock:
            self._move(self._accounting.add_paused(chunk), now)

    def add_window(self, window: Window) -> None:
        """Count a window that is due; a fast one counts with its fate."""
        if window.is_fast:
            return
        with self._lock:
            self._cut += 1
            self._accounting.add_window(window)

    def finish(self) -> None:
        """Count the samples that still wait as skipped: no further window holds them."""
        with self._lock:
            self._accounting.finish()

    def add_tagged(self, *, is_fast: bool = False) -> None:
        """Count a window that was tagged."""
        with self._lock:
            self._tagged += not is_fast
            self._fast_tagged += is_fast

    def add_unheard(self) -> None:
        """Take a window back that a newer one replaces before there is a model."""
        with self._lock:
            self._cut -= 1

    def add_dropped(self, *, is_fast: bool = False) -> None:
        """Count a window that is never tagged."""
        with self._lock:
            self._dropped += not is_fast
            self._fast_dropped += is_fast

    def add_unanswered(self, *, is_fast: bool = False) -> None:
        """Count a window that is never tagged because no worker answered in time."""
        self.add_dropped(is_fast=is_fast)
        with self._lock:
            self._unanswered += not is_fast

    def report(self, *, repaired_samples: int = 0, noise: NoiseLevels | None = None) -> SourceHealth:
        """Return the health of the source; `repaired_samples` is the source's own count, `noise` that of its last minute."""
        now = self._clock()
        with self._lock:
            accounting, quality = self._accounting, self._quality
            return SourceHealth(
                source=self._source,
                state=quality.state,
                samples=accounting.position,
                windowed_samples=accounting.windowed,
                lost_samples=accounting.lost,
                paused_samples=accounting.paused,
                skipped_samples=accounting.skipped,
                waiting_samples=accounting.waiting,
                gaps=self._gaps,
                overruns=self._overruns,
                overrun_samples=self._overrun_samples,
                repaired_samples=repaired_samples,
                cut_windows=self._cut,
                windows=self._tagged,
                dropped_windows=self._dropped,
                unanswered_windows=self._unanswered,
                fast_windows=self._fast_tagged,
                dropped_fast_windows=self._fast_dropped,
                clipped_share=quality.clipped_share,
                floor_dbfs=quality.noise_floor.level_dbfs,
                drift_ppm=self._drift.ppm,
                seconds_since_sound=None if self._heard_at is None else now - self._heard_at,
                noise=noise,
            )

    def _move(self, lost_samples: int, now: float) -> None:
        """Count the gap before a chunk, if there is one, and note when the stream came to its position."""
        if lost_samples:
            self._gaps += 1
            if not self._was_away:
                self._overruns += 1
                self._overrun_samples += lost_samples
            self._drift.restart()
        self._was_away = False
        self._heard_at = now
        if self._paced:
            self._drift.update(self._accounting.position, now)
