"""The last seconds of a source."""

import numpy as np

from ..messages import Samples


class RingBuffer:
    """Keeps the newest samples of a stream, at most `capacity` of them, in constant memory.

    The buffer is twice as long as what it keeps, so that a write copies each sample once and only every
    `capacity` samples moves the rest to the front.

    Parameters
    ----------
    capacity : int
        Samples to keep.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._buffer = np.zeros(2 * capacity, np.float32)
        self._end = 0

    def __len__(self) -> int:
        return min(self._end, self._capacity)

    def write(self, samples: Samples) -> None:
        """Append samples float32 (n,)."""
        samples = samples[-self._capacity :]
        if self._end + len(samples) > len(self._buffer):
            kept = self.last(self._capacity - len(samples))
            self._buffer[: len(kept)] = kept
            self._end = len(kept)
        self._buffer[self._end : self._end + len(samples)] = samples
        self._end += len(samples)

    def last(self, count: int) -> Samples:
        """Copy the newest `count` samples, or as many as there are: float32 (n,), oldest first."""
        count = min(count, len(self))
        return self._buffer[self._end - count : self._end].copy()

    def clear(self) -> None:
        """Remove all samples."""
        self._end = 0
