"""Parts of the history that a page shows: the newest occurrences that fit a query, and a single one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...messages import EventQuery, Occurrence
from ..sqlite import storable
from . import database


def read_newest(path: Path, query: EventQuery, after: tuple[float, str] | None = None) -> list[Occurrence]:
    """Read the newest occurrences that fit a query, the newest first: the end of each, or its start if it has not ended yet.

    Parameters
    ----------
    path : Path
        File of the history.
    query : EventQuery
        Occurrences to read.
    after : (float, str), optional
        Start, as Unix time in seconds, and id of the last occurrence that was read before: those behind it are read. Its
        place stays the same when it ends or is deleted.

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
    if after is not None:
        conditions.append("(started_at, id) < (?, ?)")
        values += [after[0], storable(after[1])]
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
        f"{database.OCCURRENCES} WHERE {' AND '.join(conditions)} ORDER BY started_at DESC, id DESC LIMIT ?"
    )
    with database.reading(path) as connection:
        return [database.to_occurrence(row) for row in connection.execute(query, (*values, limit))]
