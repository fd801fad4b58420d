"""Noise in the history, by the minute or by the hour, for people, spreadsheets and programs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import IO

from ...messages import NoiseLevels
from ...noise.octaves import BAND_NAMES
from ...text import printable
from ..payloads import Payload, noise_payload
from ..sqlite import is_time, storable
from ..terminal.output import LineWriter
from . import database
from .noise_table import COLUMNS, to_levels
from .rows import write_csv_rows, write_json_rows

_HOUR_SECONDS = 3600.0
_FIGURES = ("source", "started_at", "ended_at", "seconds", "unit", "leq", "lmax", "l10", "l90")
"""Columns of the table for spreadsheets before the third octaves."""


def read_minutes(
    path: Path, *, since: float = -math.inf, sources: Sequence[str] = ()
) -> Iterator[NoiseLevels]:
    """Read the noise of each minute in constant memory, in order of time.

    Parameters
    ----------
    path : Path
        File of the history.
    since : float
        Unix time in seconds; earlier minutes are left out.
    sources : sequence of str
        Names to include; all if empty.

    Raises
    ------
    SinkError
        The history does not exist, or can't be read.
    """
    names = [database.fold(storable(name)) for name in sources]
    among = f" AND {database.FOLDED}(source) IN ({', '.join('?' * len(names))})" if names else ""
    query = f"SELECT {COLUMNS} FROM noise WHERE started_at >= ?{among} ORDER BY started_at, source"  # noqa: S608
    with database.reading(path) as connection:
        database.add_fold(connection)
        for row in connection.execute(query, (since, *names)):
            levels = to_levels(row)
            if levels is not None and is_time(levels.started_at) and is_time(levels.ended_at):
                yield levels


def by_hour(minutes: Iterable[NoiseLevels]) -> Iterator[NoiseLevels]:
    """Sum minutes up by the hour of the clock. L10 and L90 are those of the last hour that ends in it.

    Parameters
    ----------
    minutes : iterable of NoiseLevels
        Minutes, in order of time.
    """
    for began_at, group in groupby(minutes, key=lambda minute: _hour_of(minute.started_at)):
        sums: dict[tuple[str, bool], _Hour] = {}
        for minute in group:
            sums.setdefault((minute.source, minute.is_calibrated), _Hour()).add(minute)
        yield from (one.levels(began_at) for one in sums.values())


def _hour_of(at: float) -> float:
    """Return the begin of an hour of the local clock, which is not that of UTC everywhere."""
    offset = datetime.fromtimestamp(at).astimezone().utcoffset()
    offset_seconds = offset.total_seconds() if offset is not None else 0.0
    return (at + offset_seconds) // _HOUR_SECONDS * _HOUR_SECONDS - offset_seconds


@dataclass(slots=True)
class _Hour:
    """Sums of an hour of one source."""

    last: NoiseLevels | None = None
    seconds: float = 0.0
    energy: float = 0.0
    peaks: list[float] = field(default_factory=list)
    band_seconds: float = 0.0
    bands: list[float] = field(default_factory=lambda: [0.0] * len(BAND_NAMES))

    def add(self, minute: NoiseLevels) -> None:
        self.last = minute
        self.seconds += minute.seconds
        self.energy += minute.seconds * _power(minute.leq_db)
        if minute.lmax_db is not None:
            self.peaks.append(minute.lmax_db)
        if len(minute.bands_db) == len(self.bands):
            self.band_seconds += minute.seconds
            self.bands = [
                one + minute.seconds * _power(level)
                for one, level in zip(self.bands, minute.bands_db, strict=True)
            ]

    def levels(self, started_at: float) -> NoiseLevels:
        last = self.last
        assert last is not None  # noqa: S101 - there is a minute
        return NoiseLevels(
            source=last.source,
            started_at=started_at,
            ended_at=started_at + _HOUR_SECONDS,
            seconds=self.seconds,
            is_calibrated=last.is_calibrated,
            leq_db=_decibels(self.energy / self.seconds),
            lmax_db=max(self.peaks, default=None),
            l10_db=last.hour_l10_db,
            l90_db=last.hour_l90_db,
            bands_db=tuple(_decibels(one / self.band_seconds) for one in self.bands)
            if self.band_seconds
            else (),
        )


def write_table(found: Iterable[NoiseLevels], stream: IO[str]) -> int:
    """Write lines for people, with local times; return their number.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    lines = LineWriter(stream)
    count = 0
    for count, levels in enumerate(found, 1):
        if count == 1:
            lines.write(
                f"{'began':<19}  {'Leq':>6}  {'Lmax':>6}  {'L10':>6}  {'L90':>6}  {'unit':<7}  source"
            )
        began = datetime.fromtimestamp(levels.started_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        figures = "  ".join(
            f"{'' if level is None else f'{level:.1f}':>6}"
            for level in (levels.leq_db, levels.lmax_db, levels.l10_db, levels.l90_db)
        )
        lines.write(f"{began}  {figures}  {levels.unit:<7}  {printable(levels.source)}")
    return count


def write_csv(found: Iterable[NoiseLevels], stream: IO[str]) -> int:
    """Write a table for spreadsheets, with RFC 3339 times and a column for each third octave; return the number of rows.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    bands = [f"band_{name}_hz" for name in BAND_NAMES]
    return write_csv_rows(map(_csv_row, found), [*_FIGURES, *bands], stream)


def write_json(found: Iterable[NoiseLevels], stream: IO[str]) -> int:
    """Write one JSON object per line, with RFC 3339 times; return their number.

    Raises
    ------
    OutputClosed
        The reader has gone.
    """
    return write_json_rows(map(_line, found), stream)


def _line(levels: NoiseLevels) -> Payload:
    payload = noise_payload(levels)
    if levels.hour_leq_db is None:
        del payload["hour"]
    return {"source": levels.source, **payload}


def _csv_row(levels: NoiseLevels) -> Payload:
    row = _line(levels)
    bands = {f"band_{name}_hz": level for name, level in row["bands"].items()}
    return {name: row[name] for name in _FIGURES} | bands


def _power(level_db: float) -> float:
    return float(10.0 ** (level_db / 10.0))


def _decibels(power: float) -> float:
    return 10.0 * math.log10(max(power, 1e-30))
