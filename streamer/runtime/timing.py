"""The clock that nobody sets and that goes on while the machine sleeps. Standard library only, and little of it."""

import re
import time

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux has a clock of its own for that; on Windows `time.monotonic` does so."""


def elapsed_seconds() -> float:
    """Seconds since any time."""
    return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)


def parse_duration(text: str) -> float:
    """Read ``90``, ``90s``, ``30m``, ``1.5h``, ``7d`` or ``2w``: seconds.

    Raises
    ------
    ValueError
        It is none of these.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhdw]?)", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no length of time: write 90s, 30m, 12h, 7d or 2w")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def clock(seconds: float) -> str:
    """Write a length as 0.8 s, 12.0 s, 3:05 or 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Every:
    """True once in each period: for what is done now and then in a loop.

    Parameters
    ----------
    seconds : float
        The period.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic()

    def due(self) -> bool:
        """Whether the period is over; begins the next one if so."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
