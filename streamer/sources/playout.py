"""When the sound of a network stream is due, and where some of it is missing."""

import math

_JUMP_SECONDS = 0.1
"""Time stamps are rounded: what they jump by less is nothing."""

_BREATH_SECONDS = 1.0
"""How late sound may come, and is still sound of its time."""

_PERIOD_SECONDS = 30.0
"""Sound that is late for so long does not catch up any more. Live HLS comes in pieces of up to 10 s."""

_HASTE = 0.001
"""By how much sound that waits is played faster: a sender's clock may be fast, and nothing must pile up."""


class Playout:
    """Plays what arrives in bursts at an even pace, as a player does.

    Time begins when the first block arrives. A later block is due when as much time has passed as there is sound before it,
    or a little earlier, until none waits. One that comes late is due at once. Sound is missing

    - where the time stamps jump forward, and the clock agrees: some senders number their sound anew;
    - where everything has been late for a while, whatever the stamps say.

    All times are seconds of a clock that nobody sets.
    """

    def __init__(self) -> None:
        self.zero = math.nan
        self._end = 0.0
        self._next_stamp: float | None = None
        self._least_late = math.inf
        self._period_end = _PERIOD_SECONDS

    @property
    def due(self) -> float:
        """When the newest block is to be passed on."""
        return self.zero + self._end

    def take(self, seconds: float, stamp: float | None, now: float) -> float:
        """Take the next block.

        Parameters
        ----------
        seconds : float
            Its length.
        stamp : float or None
            Where it begins by the sender's clock, in seconds since any time.
        now : float
            When it arrives.

        Returns
        -------
        lost_seconds : float
            How much sound is missing before it.
        """
        if math.isnan(self.zero):
            self.zero = now - seconds
        jump = 0.0 if stamp is None or self._next_stamp is None else stamp - self._next_stamp
        self._next_stamp = None if stamp is None else stamp + seconds
        lost = self._missing(jump, now - self.due - seconds)
        self._end += lost + seconds
        self.zero -= min(max(self.due - now, 0.0), _HASTE * seconds)
        return lost

    def _missing(self, jump: float, late: float) -> float:
        self._least_late = min(self._least_late, late)
        lost = 0.0
        if _JUMP_SECONDS < jump <= late + _BREATH_SECONDS:
            lost = jump
        elif self._end < self._period_end:
            return 0.0
        elif self._least_late > _BREATH_SECONDS:
            lost = self._least_late
        else:
            self.zero += max(0.0, self._least_late)
        self._least_late, self._period_end = math.inf, self._end + lost + _PERIOD_SECONDS
        return lost
