"""Parts of the history that a page shows: the newest occurrences that fit a query, and a single one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...messages import EventQuery, Occurrence
from ..sqlite import storable
from . import database


def read_newest(path: Path, query: EventQuery) -> list[Occurrence]:
    """Read the newest occurrences that fit a query, the newest first: the end of each, or its start if it has not ended yet.

    Raises
    ------
    SinkError
        The history does not exist, or can't be read.
    """
    conditions = [database.NEWEST_STATE]
    values: list[Any] = []
    for condition, value in (
        ("started_at >= ?", query.since),
        ("started_at < ?", query.until),
        ("score >= ?", query.least_score or None),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    for column, names in (("label", query.labels), ("source", query.sources)):
        if names:
            conditions.append(f"{column} IN ({', '.join('?' * len(names))})")
            values += [storable(name) for name in names]
    return _read(path, conditions, values, query.limit)


def read_one(path: Path, identifier: str) -> Occurrence | None:
    """Read the occurrence with an id; None if the history does not have it.

    Raises
    ------
    SinkError
        The history does not exist, or can't be read.
    """
    found = _read(path, [database.NEWEST_STATE, "id = ?"], [storable(identifier)], 1)
    return found[0] if found else None


def _read(path: Path, conditions: Sequence[str], values: Sequence[Any], limit: int) -> list[Occurrence]:
    query = (
        f"{database.OCCURRENCES} WHERE {' AND '.join(conditions)} ORDER BY started_at DESC, seq DESC LIMIT ?"
    )
    with database.reading(path) as connection:
        return [database.to_occurrence(row) for row in connection.execute(query, (*values, limit))]
