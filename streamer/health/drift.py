"""How fast a source's clock runs."""

from dataclasses import dataclass

from ..messages import SAMPLE_RATE_HZ

_BLOCK_SAMPLES = 60 * SAMPLE_RATE_HZ
_SHORTEST_SECONDS = 600.0
"""A shorter stretch says nothing: blocks come a few milliseconds late or early."""


class Drift:
    """Compares a source's index with the clock over the longest stretch without gaps.

    A sample comes late if anything is busy, and never early: of each minute, the one counts that came earliest. The first
    minute of a stretch does not count, for buffers fill then.

    Attributes
    ----------
    ppm : float or None
        How much more samples come than should, in millionths; None while no stretch has been long enough.
    """

    def __init__(self) -> None:
        self.ppm: float | None = None
        self._longest_seconds = _SHORTEST_SECONDS
        self._stretch = _Stretch()

    def take(self, position: int, now: float) -> None:
        """Take that the stream has come to a position, at a time in seconds of a clock that is never set."""
        if not self._stretch.take(position, now):
            return
        first, newest = self._stretch.ends
        seconds = newest.at - first.at
        if seconds >= self._longest_seconds:
            self._longest_seconds = seconds
            self.ppm = 1e6 * (first.late_seconds - newest.late_seconds) / seconds

    def end_stretch(self) -> None:
        """Take that there is a gap, or another clock."""
        self._stretch = _Stretch()


@dataclass(frozen=True, slots=True)
class _Mark:
    """When a sample came, and how late that was by a right clock that began at any time."""

    at: float
    late_seconds: float


class _Stretch:
    """Sound without gaps."""

    def __init__(self) -> None:
        self._end_sample = 0
        self._earliest: _Mark | None = None
        self._marks: list[_Mark] = []

    def take(self, position: int, now: float) -> bool:
        """Take that the stream has come to a position; whether another minute is over."""
        mark = _Mark(now, now - position / SAMPLE_RATE_HZ)
        if self._earliest is None:
            self._earliest, self._end_sample = mark, position + _BLOCK_SAMPLES
        if mark.late_seconds < self._earliest.late_seconds:
            self._earliest = mark
        if position < self._end_sample:
            return False
        self._marks = [*self._marks[:2], self._earliest]  # the first minute, the second, and the newest
        self._earliest = None
        return True

    @property
    def ends(self) -> tuple[_Mark, _Mark]:
        """The earliest marks of the first minute that counts, and of the newest one."""
        return self._marks[:2][-1], self._marks[-1]
