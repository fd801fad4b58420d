"""Rows of the history for spreadsheets (CSV) and programs (a JSON object per line)."""

import csv
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from ..payloads import Payload, to_json
from ..terminal.output import LineWriter


def write_csv_rows(rows: Iterable[Payload], columns: Sequence[str], stream: IO[str]) -> int:
    """Write a table with these columns, each row at once; return the number of rows.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    writer = csv.DictWriter(_Rows(LineWriter(stream).write), columns, lineterminator="")
    writer.writeheader()
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def write_json_rows(rows: Iterable[Payload], stream: IO[str]) -> int:
    """Write one JSON object per line; return their number.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    lines = LineWriter(stream)
    count = 0
    for row in rows:
        lines.write(to_json(row))
        count += 1
    return count


class _Rows:
    """File-like object for `csv`, which writes one row at a time."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
