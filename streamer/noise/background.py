"""Background noise of a room: the level that it rarely falls below."""

from collections import deque

import numpy as np

from ..levels import FAINT_DBFS
from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ
from .distribution import Distribution

_BLOCK_FRAMES = 10 * SAMPLE_RATE_HZ // LEVEL_FRAME_SAMPLES
_BLOCKS = 60
_QUIET_SHARE = 0.9
"""Share of the time in which a room is louder than its background."""


class Background:
    """Level that a source exceeds for 90 % of the last ten minutes; learned every 10 s of sound.

    Attributes
    ----------
    level_db : float or None
        A-weighted level relative to full scale, not below that of any room; None before the first 10 s.
    """

    def __init__(self) -> None:
        self.level_db: float | None = None
        self._blocks: deque[Distribution] = deque()
        self._all = Distribution()
        self._newest: list[float] = []

    def add(self, power: float) -> None:
        """Add the level of a frame, as power."""
        self._newest.append(power)
        if len(self._newest) < _BLOCK_FRAMES:
            return
        block = Distribution()
        block.add(np.asarray(self._newest))
        self._newest.clear()
        self._all += block
        self._blocks.append(block)
        if len(self._blocks) > _BLOCKS:
            self._all -= self._blocks.popleft()
        level = self._all.exceeded(_QUIET_SHARE)
        self.level_db = None if level is None else max(FAINT_DBFS, level)  # a noise gate delivers zeros
