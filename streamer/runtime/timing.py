"""A clock that includes sleep, periods, and durations as people write them. Standard library only."""

import re
import time

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Clock of the system that goes on while the machine sleeps; on Windows, `time.monotonic` does."""


def elapsed_seconds() -> float:
    """Return the seconds of a clock that is never set and goes on while the machine sleeps."""
    return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``90``, ``90s``, ``30m``, ``1.5h``, ``7d`` or ``2w``.

    Raises
    ------
    ValueError
        The text is no duration.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhdw]?)", text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a duration: write 90s, 30m, 12h, 7d or 2w")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Format a duration as 0.8 s, 12.0 s, 3:05 or 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Every:
    """Periodic timer for a loop.

    Parameters
    ----------
    seconds : float
        Period.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic()

    def due(self) -> bool:
        """Return True once a period."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
