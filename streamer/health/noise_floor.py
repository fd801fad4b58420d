"""How quiet a source usually gets, and whether it has become far fainter than that."""

from collections import deque

import numpy as np

from ..levels import FAINT_DBFS

_BLOCK_SECONDS = 300
"""How much sound is judged at once."""

_DAY_BLOCKS = 288
_WEEK_BLOCKS = 7 * _DAY_BLOCKS
_QUIET = 0.05
"""Of the blocks kept, those that are as quiet as the usual floor, or quieter."""

_FAR_DB = 25.0
_NEAR_DB = 15.0
_RECOVERY_DB = 5.0


class NoiseFloor:
    """Learns from the levels of seconds how quiet a source usually gets.

    A block of five minutes has a floor, the level that nine tenths of its seconds reach; the usual floor is that of the
    quietest blocks of the last week. A block is faint if half of its seconds lie 25 dB below the usual floor, which is not
    judged before a day of sound has been heard, nights included; or below what any room sounds like. It is well again
    from 15 dB below on. Faint blocks are not learned from, but for a whole day of nothing else: then that is how it is now.
    """

    def __init__(self) -> None:
        self.is_faint = False
        self._levels: list[float] = []
        self._floors: deque[float] = deque(maxlen=_WEEK_BLOCKS)
        self._faint_floors: list[float] = []
        self._usual_dbfs: float | None = None

    @property
    def usual_dbfs(self) -> float | None:
        """The usual floor as far as it is known; None before five minutes of sound."""
        return self._usual_dbfs

    def take(self, level_dbfs: float) -> None:
        """Take the level of a second of sound."""
        self._levels.append(level_dbfs)
        if len(self._levels) == _BLOCK_SECONDS:
            self._judge(*map(float, np.quantile(self._levels, (0.1, 0.5))))
            self._levels.clear()

    def _judge(self, floor_dbfs: float, middle_dbfs: float) -> None:
        bound = FAINT_DBFS + (_RECOVERY_DB if self.is_faint else 0.0)
        if self._usual_dbfs is not None and len(self._floors) >= _DAY_BLOCKS:
            bound = max(bound, self._usual_dbfs - (_NEAR_DB if self.is_faint else _FAR_DB))
        self.is_faint = middle_dbfs < bound
        if not self.is_faint:
            self._faint_floors.clear()
            self._learn(floor_dbfs)
        elif middle_dbfs >= FAINT_DBFS:
            self._faint_floors.append(floor_dbfs)
            if len(self._faint_floors) == _DAY_BLOCKS:
                self.is_faint = False
                self._floors.clear()
                self._learn(*self._faint_floors)
                self._faint_floors.clear()

    def _learn(self, *floors_dbfs: float) -> None:
        self._floors.extend(floors_dbfs)
        self._usual_dbfs = float(np.quantile(self._floors, _QUIET))
