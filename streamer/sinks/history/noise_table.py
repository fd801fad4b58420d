"""Table of the history for the noise of each minute."""

import json
import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from ...messages import NoiseLevels
from ..sqlite import storable

SCHEMA = """
CREATE TABLE noise (
    source TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    seconds REAL NOT NULL,
    is_calibrated INTEGER NOT NULL,
    leq_db REAL NOT NULL,
    lmax_db REAL,
    l10_db REAL,
    l90_db REAL,
    bands_db TEXT NOT NULL,
    hour_leq_db REAL,
    hour_l10_db REAL,
    hour_l90_db REAL,
    hour_seconds REAL NOT NULL,
    PRIMARY KEY (source, started_at)
) WITHOUT ROWID;
CREATE INDEX noise_by_time ON noise (started_at);
"""
"""A row is a minute of a source; `bands_db` is a JSON list, and all levels are rounded to a hundredth of a dB."""

COLUMNS = (
    "source, started_at, ended_at, seconds, is_calibrated, leq_db, lmax_db, l10_db, l90_db, bands_db, "
    "hour_leq_db, hour_l10_db, hour_l90_db, hour_seconds"
)
"""Columns in the order of `to_levels`, which is that of the attributes of `NoiseLevels`."""

_MOST_PRUNED = 1000  # at once


def insert(connection: sqlite3.Connection, minutes: Iterable[NoiseLevels]) -> None:
    """Write minutes, in the place of those of the same source and time."""
    connection.executemany(
        f"INSERT OR REPLACE INTO noise ({COLUMNS}) VALUES ({', '.join('?' * 14)})",  # noqa: S608
        map(_to_row, minutes),
    )


def prune(connection: sqlite3.Connection, *, keep_seconds: float) -> bool:
    """Delete minutes that are older than `keep_seconds`, a limited number at once; return True if there may be more to delete."""
    deleted = connection.execute(
        "DELETE FROM noise WHERE (source, started_at) IN "
        "(SELECT source, started_at FROM noise WHERE started_at < ? ORDER BY started_at LIMIT ?)",
        (time.time() - keep_seconds, _MOST_PRUNED),
    )
    return deleted.rowcount == _MOST_PRUNED


def to_levels(row: tuple[Any, ...]) -> NoiseLevels | None:
    """Convert a row to the noise of a minute; None if it is not one. SQLite stores any value in any column."""
    source, started_at, ended_at, seconds, is_calibrated, leq, *statistics = row
    lmax, l10, l90, bands, hour_leq, hour_l10, hour_l90, hour_seconds = statistics
    numbers = (started_at, ended_at, seconds, leq, hour_seconds)
    levels = (lmax, l10, l90, hour_leq, hour_l10, hour_l90)
    if not (
        isinstance(source, str)
        and all(isinstance(number, (int, float)) for number in numbers)
        and all(level is None or isinstance(level, (int, float)) for level in levels)
    ):
        return None
    return NoiseLevels(
        source=source,
        started_at=started_at,
        ended_at=ended_at,
        seconds=seconds,
        is_calibrated=bool(is_calibrated),
        leq_db=leq,
        lmax_db=lmax,
        l10_db=l10,
        l90_db=l90,
        bands_db=_bands(bands),
        hour_leq_db=hour_leq,
        hour_l10_db=hour_l10,
        hour_l90_db=hour_l90,
        hour_seconds=hour_seconds,
    )


def _to_row(levels: NoiseLevels) -> tuple[Any, ...]:
    return (
        storable(levels.source),
        levels.started_at,
        levels.ended_at,
        levels.seconds,
        levels.is_calibrated,
        *map(_rounded, (levels.leq_db, levels.lmax_db, levels.l10_db, levels.l90_db)),
        json.dumps([_rounded(level) for level in levels.bands_db], separators=(",", ":")),
        *map(_rounded, (levels.hour_leq_db, levels.hour_l10_db, levels.hour_l90_db)),
        levels.hour_seconds,
    )


def _rounded(level: float | None) -> float | None:
    return None if level is None else round(level, 2)


def _bands(text: Any) -> tuple[float, ...]:
    try:
        return tuple(float(level) for level in json.loads(text))
    except (TypeError, ValueError, RecursionError):
        return ()
