"""Accounting of every sample of a source."""

from collections import deque

from ..messages import WINDOW_SAMPLES, AudioChunk, Window


class SampleAccounting:
    """Exact counts of the fates of a stream's samples, at any time.

    ``position == windowed + lost + paused + skipped + waiting``

    Attributes
    ----------
    position : int
        Position of the stream: samples delivered or lost.
    windowed : int
        Samples in at least one window. A sample that several windows share counts once.
    lost : int
        Samples that were never delivered: the index jumped over them.
    paused : int
        Samples discarded while the source was paused.
    skipped : int
        Samples in no window: between windows if the hop is longer than they are, directly before a gap that is too
        long for the next window to reach back over, or too few at the end for a last window.
    """

    def __init__(self) -> None:
        self.position = 0
        self.windowed = 0
        self.lost = 0
        self.paused = 0
        self.skipped = 0
        self._waiting: deque[tuple[int, int]] = deque()  # half-open spans in no window yet

    @property
    def waiting(self) -> int:
        """Samples delivered, and in no window yet."""
        return sum(end - start for start, end in self._waiting)

    def add(self, chunk: AudioChunk) -> int:
        """Count a chunk; return the number of samples lost before it."""
        lost = self._move_to(chunk.start_sample)
        self.position += len(chunk.samples)
        if self._waiting and not lost and self._waiting[-1][1] == chunk.start_sample:
            self._waiting[-1] = self._waiting[-1][0], self.position
        else:
            self._waiting.append((chunk.start_sample, self.position))
        # No window reaches back further, so there are never more spans than chunks in a window.
        self._settle(self.position - WINDOW_SAMPLES, self.position - WINDOW_SAMPLES)
        return lost

    def add_paused(self, chunk: AudioChunk) -> int:
        """Count a chunk that is discarded; return the number of samples lost before it."""
        lost = self._move_to(chunk.start_sample)
        self.position += len(chunk.samples)
        self.paused += len(chunk.samples)
        return lost

    def add_window(self, window: Window) -> None:
        """Count the samples of a window; windows come in the order of their ends."""
        self._settle(window.start_sample, window.end_sample)

    def finish(self) -> None:
        """Count the waiting samples as skipped, because no further window follows."""
        self._settle(self.position, self.position)

    def _move_to(self, start_sample: int) -> int:
        lost = start_sample - self.position
        self.lost += lost
        self.position = start_sample
        return lost

    def _settle(self, start_sample: int, end_sample: int) -> None:
        """Count the waiting samples before the end of a window; those before its start are skipped."""
        while self._waiting and self._waiting[0][0] < end_sample:
            first, last = self._waiting.popleft()
            if last > end_sample:
                self._waiting.appendleft((end_sample, last))
                last = end_sample
            inside = max(0, last - max(first, start_sample))
            self.windowed += inside
            self.skipped += last - first - inside
