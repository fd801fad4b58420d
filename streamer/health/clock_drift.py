"""Clock drift of a source against the machine's clock."""

from dataclasses import dataclass

from ..messages import SAMPLE_RATE_HZ

_BLOCK_SAMPLES = 60 * SAMPLE_RATE_HZ
_SHORTEST_SECONDS = 600.0
"""Shortest stretch that gives a result: chunks arrive a few milliseconds late or early."""


class ClockDrift:
    """Clock error of a source, measured over the longest stretch without gaps.

    A sample may arrive late, but never early: the earliest arrival of each minute counts. The first minute of a stretch
    is ignored, because buffers fill then.

    Attributes
    ----------
    ppm : float or None
        Clock error in parts per million (positive: fast); None before a stretch is long enough.
    """

    def __init__(self) -> None:
        self.ppm: float | None = None
        self._longest_seconds = _SHORTEST_SECONDS
        self._stretch = _Stretch()

    def update(self, position: int, now: float) -> None:
        """Add the arrival of a stream position, in seconds of a clock that is never set."""
        if not self._stretch.update(position, now):
            return
        first, newest = self._stretch.ends
        seconds = newest.arrived_at - first.arrived_at
        if seconds >= self._longest_seconds:
            self._longest_seconds = seconds
            self.ppm = 1e6 * (first.late_seconds - newest.late_seconds) / seconds

    def restart(self) -> None:
        """Begin a new stretch after a gap, or with another clock."""
        self._stretch = _Stretch()


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Arrival time of a sample, and its lateness against an exact clock that began at any time."""

    arrived_at: float
    late_seconds: float


class _Stretch:
    """Arrivals of audio without gaps."""

    def __init__(self) -> None:
        self._end_sample = 0
        self._earliest: _Arrival | None = None
        self._minutes: list[_Arrival] = []  # the first, the second and the newest

    def update(self, position: int, now: float) -> bool:
        """Add the arrival of a stream position; return True at the end of a minute."""
        arrival = _Arrival(now, now - position / SAMPLE_RATE_HZ)
        if self._earliest is None:
            self._earliest, self._end_sample = arrival, position + _BLOCK_SAMPLES
        if arrival.late_seconds < self._earliest.late_seconds:
            self._earliest = arrival
        if position < self._end_sample:
            return False
        self._minutes = [*self._minutes[:2], self._earliest]
        self._earliest = None
        return True

    @property
    def ends(self) -> tuple[_Arrival, _Arrival]:
        """Earliest arrivals of the first minute that counts, and of the newest one."""
        return self._minutes[:2][-1], self._minutes[-1]
