"""What became of each sample of a source."""

from collections import deque

from ..messages import WINDOW_SAMPLES, AudioChunk, Window


class SampleAccounting:
    """Accounts for every sample of a stream, exactly and at any time.

    ``position == windowed + lost + paused + skipped + waiting``

    Attributes
    ----------
    position : int
        The stream's index: all samples that were delivered, or should have been.
    windowed : int
        Delivered, and in one window at least. A sample that several windows share counts once.
    lost : int
        Never delivered: the index has jumped over them.
    paused : int
        Delivered while listening was switched off, and thrown away.
    skipped : int
        Delivered, and in no window: between the windows where the hop is longer than they are, right before a gap that is
        too long for the next window to reach back over, or too few to make a last one.
    """

    def __init__(self) -> None:
        self.position = 0
        self.windowed = 0
        self.lost = 0
        self.paused = 0
        self.skipped = 0
        self._fresh: deque[tuple[int, int]] = deque()  # half-open spans that no window holds yet

    @property
    def waiting(self) -> int:
        """Delivered, and in no window yet."""
        return sum(end - start for start, end in self._fresh)

    def hear(self, chunk: AudioChunk) -> int:
        """Take a chunk that is listened to; how many samples were lost before it."""
        jump = self._reach(chunk.start_sample)
        self.position += len(chunk.samples)
        if self._fresh and not jump and self._fresh[-1][1] == chunk.start_sample:
            self._fresh[-1] = self._fresh[-1][0], self.position
        else:
            self._fresh.append((chunk.start_sample, self.position))
        # No window reaches back further, so that no more spans than chunks of one window are kept.
        self._settle(self.position - WINDOW_SAMPLES, self.position - WINDOW_SAMPLES)
        return jump

    def pause(self, chunk: AudioChunk) -> int:
        """Take a chunk that is thrown away; how many samples were lost before it."""
        jump = self._reach(chunk.start_sample)
        self.position += len(chunk.samples)
        self.paused += len(chunk.samples)
        return jump

    def cut(self, window: Window) -> None:
        """Take a window, none of which ends before the one that was taken before it."""
        self._settle(window.start_sample, window.end_sample)

    def finish(self) -> None:
        """Take that no further window holds what waits."""
        self._settle(self.position, self.position)

    def _reach(self, start_sample: int) -> int:
        jump = start_sample - self.position
        self.lost += jump
        self.position = start_sample
        return jump

    def _settle(self, start_sample: int, end_sample: int) -> None:
        """Decide on what waits before the end of a window: what lies before its start is skipped."""
        while self._fresh and self._fresh[0][0] < end_sample:
            first, last = self._fresh.popleft()
            if last > end_sample:
                self._fresh.appendleft((end_sample, last))
                last = end_sample
            inside = max(0, last - max(first, start_sample))
            self.windowed += inside
            self.skipped += last - first - inside
