"""Lengths of time, as people write them."""

import re

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


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
