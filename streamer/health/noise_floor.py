"""Noise floor of a source, and a judgement whether its audio has become too faint."""

from collections import deque

import numpy as np

from ..levels import FAINT_DBFS

_BLOCK_SECONDS = 300
_DAY_BLOCKS = 288
_WEEK_BLOCKS = 7 * _DAY_BLOCKS

_QUIET_SHARE = 0.05
"""Share of the blocks that are as quiet as the noise floor, or quieter."""

_FAINT_DB = 25.0
_NOT_FAINT_DB = 15.0
_RECOVERY_DB = 5.0


class NoiseFloor:
    """Noise floor of a source, learned from the level of each second.

    A block of five minutes has a floor: the level that nine tenths of its seconds reach. The noise floor is that of the
    quietest blocks of the last week. A block is faint if half of its seconds are more than 25 dB below the noise floor
    (judged only after a day of audio, so that nights are included), or below the noise of any room. The audio is good
    again from 15 dB below the noise floor. Faint blocks don't change the noise floor, unless there is nothing else for
    a whole day: then they become the new one.

    Attributes
    ----------
    is_faint : bool
        True if the newest block was faint.
    level_dbfs : float or None
        Noise floor; None before the first block.
    """

    def __init__(self) -> None:
        self.is_faint = False
        self.level_dbfs: float | None = None
        self._second_levels: list[float] = []
        self._floors: deque[float] = deque(maxlen=_WEEK_BLOCKS)
        self._faint_floors: list[float] = []

    def update(self, level_dbfs: float) -> None:
        """Add the level of a second of audio."""
        self._second_levels.append(level_dbfs)
        if len(self._second_levels) == _BLOCK_SECONDS:
            self._judge(*map(float, np.quantile(self._second_levels, (0.1, 0.5))))
            self._second_levels.clear()

    def _judge(self, floor_dbfs: float, median_dbfs: float) -> None:
        limit = FAINT_DBFS + (_RECOVERY_DB if self.is_faint else 0.0)
        if self.level_dbfs is not None and len(self._floors) >= _DAY_BLOCKS:
            limit = max(limit, self.level_dbfs - (_NOT_FAINT_DB if self.is_faint else _FAINT_DB))
        self.is_faint = median_dbfs < limit
        if not self.is_faint:
            self._faint_floors.clear()
            self._learn(floor_dbfs)
        elif median_dbfs >= FAINT_DBFS:
            self._faint_floors.append(floor_dbfs)
            if len(self._faint_floors) == _DAY_BLOCKS:
                self.is_faint = False
                self._floors.clear()
                self._learn(*self._faint_floors)
                self._faint_floors.clear()

    def _learn(self, *floors_dbfs: float) -> None:
        self._floors.extend(floors_dbfs)
        self.level_dbfs = float(np.quantile(self._floors, _QUIET_SHARE))
