"""Measured speeds of networks on this machine, kept in the user's cache."""

from ..catalogue import Published
from .json_cache import JsonCache

_LIFETIME_SECONDS = 7 * 24 * 3600.0
"""Lifetime of a measurement, which may have been disturbed."""


def speed_cache() -> JsonCache:
    """Return the cache of the speeds of networks, which were measured without weights."""
    return JsonCache.in_user_cache("speed.json", _LIFETIME_SECONDS)


def shape_key(entry: Published, rows: int, batch: int) -> str:
    """Return the beginning of the keys of a network in the cache."""
    strides = f"{entry.fstride}-{entry.tstride}"
    return f"{entry.family} {entry.width} {strides} | {rows} rows | batch {batch} | "


def cached_seconds(entry: Published) -> float | None:
    """Return the seconds for a window of a network of this shape; None if it was not measured."""
    values = speed_cache().values(shape_key(entry, entry.rows, 1))
    return min((value for value in values if isinstance(value, float) and value < float("inf")), default=None)
