"""Schedule of a network stream: times at which audio is due, and gaps in it."""

import math

_JUMP_SECONDS = 0.1
"""Jump of the time stamps that is more than rounding."""

_MAX_LATE_SECONDS = 1.0
"""Delay up to which audio is late, and not behind a gap."""

_PERIOD_SECONDS = 30.0
"""Time after which late audio does not catch up any more. Live HLS arrives in segments of up to 10 s."""

_SPEEDUP = 0.001
"""Increase of the playing speed while audio waits, so that the buffer stays small if the sender's clock is fast."""


class Playout:
    """Even playback of audio that arrives in bursts, as in a player.

    Time begins when the first block arrives. A later block is due when the duration of all audio before it has passed,
    or slightly earlier while blocks wait. A late block is due at once. Audio is missing

    - where the time stamps jump forward and the clock agrees (some senders restart their time stamps);
    - where all audio has been late for a while, whatever its time stamps.

    All times are seconds of a clock that is never set.

    Attributes
    ----------
    zero : float
        Time of the start of the stream; moves when audio is played faster.
    """

    def __init__(self) -> None:
        self.zero = math.nan
        self._end = 0.0
        self._next_stamp: float | None = None
        self._least_late = math.inf
        self._period_end = _PERIOD_SECONDS

    @property
    def due(self) -> float:
        """Time at which the newest block is due."""
        return self.zero + self._end

    def schedule(self, seconds: float, stamp: float | None, now: float) -> float:
        """Schedule the next block.

        Parameters
        ----------
        seconds : float
            Duration.
        stamp : float or None
            Start by the sender's clock, in seconds.
        now : float
            Time of arrival.

        Returns
        -------
        lost_seconds : float
            Duration of the missing audio before it.
        """
        if math.isnan(self.zero):
            self.zero = now - seconds
        jump = 0.0 if stamp is None or self._next_stamp is None else stamp - self._next_stamp
        self._next_stamp = None if stamp is None else stamp + seconds
        lost = self._missing(jump, now - self.due - seconds)
        self._end += lost + seconds
        self.zero -= min(max(self.due - now, 0.0), _SPEEDUP * seconds)
        return lost

    def _missing(self, jump: float, late: float) -> float:
        self._least_late = min(self._least_late, late)
        lost = 0.0
        if _JUMP_SECONDS < jump <= late + _MAX_LATE_SECONDS:
            lost = jump
        elif self._end < self._period_end:
            return 0.0
        elif self._least_late > _MAX_LATE_SECONDS:
            lost = self._least_late
        else:
            self.zero += max(0.0, self._least_late)
        self._least_late, self._period_end = math.inf, self._end + lost + _PERIOD_SECONDS
        return lost
