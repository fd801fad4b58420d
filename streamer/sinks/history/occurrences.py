"""Occurrences of sounds in the history, one per line, for people, spreadsheets and programs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ...messages import Event, Occurrence
from ...runtime.timing import format_duration, parse_duration
from ...text import printable
from ..payloads import occurrence_payload
from ..sqlite import storable
from ..terminal.output import LineWriter
from . import database
from .rows import write_csv_rows, write_json_rows

_COLUMNS = (
    "id",
    "source",
    "label",
    "score",
    "started_at",
    "ended_at",
    "length_seconds",
    "clip",
    "mark",
    "clip_kept",
    "confirmed",
    "fast_score",
)


def read_occurrences(
    path: Path, *, since: float = -math.inf, labels: Sequence[str] = (), sources: Sequence[str] = ()
) -> Iterator[Occurrence]:
    """Read a history in constant memory: one event for each occurrence, in order of start.

    Parameters
    ----------
    path : Path
        File of the history.
    since : float
        Unix time in seconds; earlier occurrences are left out.
    labels, sources : sequence of str
        Names to include, in any case; all if empty.

    Yields
    ------
    Occurrence
        End of the occurrence, or its start if it has not ended yet.

    Raises
    ------
    SinkError
        The history does not exist, or can't be read.
    """
    query, values = occurrences_query(since, labels, sources)
    with database.reading(path) as connection:
        database.add_fold(connection)
        for row in connection.execute(query, values):
            yield database.to_occurrence(row)


def occurrences_query(since: float, labels: Sequence[str], sources: Sequence[str]) -> tuple[str, list[Any]]:
    """Return the query of `read_occurrences`, which uses `database.fold`, and the values of its question marks."""
    conditions = ["started_at >= ?"]
    values: list[Any] = [since]
    for column, names in (("label", labels), ("source", sources)):
        if names:
            conditions.append(f"{database.FOLDED}({column}) IN ({', '.join('?' * len(names))})")
            values += [database.fold(storable(name)) for name in names]
    query = f"""
        {database.OCCURRENCES}
        WHERE {" AND ".join(conditions)} AND {database.NEWEST_STATE}
        ORDER BY started_at, seq
    """
    return query, values


def parse_since(text: str, now: datetime) -> float:
    """Parse ``90s``, ``30m``, ``12h``, ``7d``, ``2w`` before `now`, or a date or time, to a Unix time in seconds.

    A time without a time zone is local.

    Raises
    ------
    ValueError
        The text is neither.
    """
    if text.strip()[-1:] in set("smhdw"):
        with suppress(ValueError):
            return now.timestamp() - parse_duration(text)
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"'{text}' is not a time: write 90s, 30m, 12h, 7d or 2w, or a date such as 2026-03-01 or 2026-03-01T18:30"
        ) from None


def write_table(occurrences: Iterable[Event], stream: IO[str]) -> int:
    """Write lines for people, with local times; return the number of occurrences.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    lines = LineWriter(stream)
    count = 0
    for count, event in enumerate(occurrences, 1):
        if count == 1:
            lines.write(f"{'began':<19}  {'lasted':>10}  score  source · sound")
        began = datetime.fromtimestamp(event.started_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        lasted = "still on" if event.ended_at is None else format_duration(event.ended_at - event.started_at)
        mark = event.mark if isinstance(event, Occurrence) else None
        back = "taken back" if event.withdrawn else None
        parts = (event.source, event.label, back, mark, event.clip)
        said = " · ".join(printable(part) for part in parts if part)
        lines.write(f"{began}  {lasted:>10}  {event.score:5.2f}  {said}")
    return count


def write_csv(occurrences: Iterable[Event], stream: IO[str]) -> int:
    """Write a table for spreadsheets, with RFC 3339 times; return the number of occurrences.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    return write_csv_rows(map(occurrence_payload, occurrences), _COLUMNS, stream)


def write_json(occurrences: Iterable[Event], stream: IO[str]) -> int:
    """Write one JSON object per line, with RFC 3339 times; return the number of occurrences.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    return write_json_rows(map(occurrence_payload, occurrences), stream)
