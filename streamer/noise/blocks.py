"""Samples in any amounts in, overlapping blocks out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


class Blocks:
    """Blocks of one length, a hop apart.

    Parameters
    ----------
    length, hop : int
        Length of a block, and distance between the beginnings of two.
    """

    def __init__(self, length: int, hop: int) -> None:
        self._hop = hop
        self._block = np.zeros(length)
        self._filled = 0

    @property
    def rest(self) -> Values:
        """Samples of the block that is not complete."""
        return self._block[: self._filled]

    def feed(self, samples: ArrayLike) -> Iterator[Values]:
        """Add samples (n,), and yield each complete block, which is only valid until the next one."""
        given = np.asarray(samples)
        while len(given):
            part = given[: len(self._block) - self._filled]
            self._block[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            given = given[len(part) :]
            if self._filled == len(self._block):
                yield self._block
                self._filled -= self._hop
                self._block[: self._filled] = self._block[self._hop :].copy()

    def reset(self) -> None:
        """Forget the samples so far."""
        self._filled = 0
