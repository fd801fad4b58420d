"""What is counted of one source."""

from ..levels import Amplitudes
from ..messages import AudioChunk, SourceHealth, Window
from .clock_drift import ClockDrift
from .sample_accounting import SampleAccounting
from .signal_quality import SignalQuality


class SourceMeter:
    """Gathers the figures of one source. It knows no thread: `HealthMeter` locks.

    Parameters
    ----------
    source : str
        Its name.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._accounting = SampleAccounting()
        self._quality = SignalQuality()
        self._drift = ClockDrift()
        self._paced = False
        self._was_away = False
        self._gaps = 0
        self._overruns = 0
        self._cut = 0
        self._refused = 0
        self._heard_at: float | None = None
        self.tagged = 0

    def opened(self, *, live: bool) -> None:
        """Take that the source, or another one in its place, begins to deliver."""
        self._paced, self._was_away = live, True
        self._quality.reset()
        self._drift.restart()

    def heard(self, chunk: AudioChunk, amplitudes: Amplitudes, now: float) -> None:
        """Take a chunk, and what it adds up to."""
        self._follow(self._accounting.add(chunk), now)
        self._quality.update(amplitudes)

    def paused(self, chunk: AudioChunk, now: float) -> None:
        """Take a chunk that is thrown away."""
        self._follow(self._accounting.add_paused(chunk), now)

    def cut(self, window: Window) -> None:
        """Take a window that has become due."""
        self._cut += 1
        self._accounting.add_window(window)

    def refused(self) -> None:
        """Take that a window can't be tagged any more."""
        self._refused += 1

    def flushed(self) -> None:
        """Take that what was heard is in the windows so far, or in none."""
        self._accounting.finish()

    def report(self, *, replaced: int, repaired: int, now: float) -> SourceHealth:
        """Sum up, with the windows that were replaced by a newer one, and the samples that were repaired."""
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
            repaired_samples=repaired,
            cut_windows=self._cut,
            windows=self.tagged,
            dropped_windows=replaced + self._refused,
            clipped_share=quality.clipped_share,
            floor_dbfs=quality.noise_floor.level_dbfs,
            drift_ppm=self._drift.ppm,
            seconds_since_sound=None if self._heard_at is None else now - self._heard_at,
        )

    def _follow(self, lost_samples: int, now: float) -> None:
        """Count a gap, if there is one, and see when the stream has come how far."""
        if lost_samples:
            self._gaps += 1
            self._overruns += not self._was_away
            self._drift.restart()
        self._was_away = False
        self._heard_at = now
        if self._paced:
            self._drift.update(self._accounting.position, now)
