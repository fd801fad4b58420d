"""The clock that nobody sets and that goes on while the machine sleeps. Standard library only, and little of it."""

import time

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux has a clock of its own for that; on Windows `time.monotonic` does so."""


def elapsed_seconds() -> float:
    """Seconds since any time."""
    return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)
