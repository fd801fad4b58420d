"""What a history costs: writing an event, and reading a million of them in constant memory.

    python benchmarks/history.py [--events 1000000] [--folder .]

Writing is measured as the program does it, one event at a time and each on the disk before the next. The large history is
made in large transactions and read by the command's own code, each question in a process of its own.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from streamer.messages import Event
from streamer.sinks.history import database
from streamer.sinks.history.occurrences import (
    read_occurrences,
    write_csv,
    write_json,
    write_table,
)
from streamer.sinks.history.store import History

_START = 1_772_366_400.0
_WRITTEN = 2000
_LABELS = ("Dog", "Siren", "Speech", "Doorbell")


def event(number: int) -> Event:
    """The beginnings and ends of sounds that follow one another."""
    began = _START + number // 2
    label = _LABELS[number // 2 % len(_LABELS)]
    begun = Event(f"{number // 2:032x}", "started", label, "kitchen", 0.5, began)
    return replace(begun, kind="ended", ended_at=began + 0.5) if number % 2 else begun


def measure_writing(folder: Path) -> None:
    """Print how long it takes to write an event, and to mark it as published."""
    with History(folder / "small.sqlite3", days=36_500.0) as history:
        accepting = [_seconds(partial(history.accept, event(number))) for number in range(_WRITTEN)]
        marking = []
        while batch := history.pending(1):
            marking.append(_seconds(partial(history.mark_published, batch)))
    for what, seconds in (("written, each on the disk", accepting), ("marked as published", marking)):
        cuts = statistics.quantiles(seconds, n=100)
        print(
            f"an event {what:28} median {cuts[49] * 1e3:6.2f} ms   99th percentile {cuts[98] * 1e3:6.2f} ms   "
            f"{len(seconds) / sum(seconds):6.0f}/s"
        )


def make_large(path: Path, count: int) -> None:
    """Fill a history, and print its size."""
    connection = database.open_to_write(path)
    began = time.perf_counter()
    with connection:
        connection.execute("BEGIN")
        connection.executemany(
            f"INSERT INTO event ({database.COLUMNS}, published) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",  # noqa: S608
            (database.to_row(event(number)) for number in range(count)),
        )
    seconds = time.perf_counter() - began
    connection.close()
    print(f"{count} events, {path.stat().st_size / 1e6:.0f} MB, made in {seconds:.1f} s")
    began = time.perf_counter()
    History(path, days=36_500.0, events=count).close()
    print(f"opened and checked in {time.perf_counter() - began:.2f} s")


def ask(what: str, path: Path) -> None:
    """Print how long a question takes, and the most memory that this process ever had."""
    before = _peak_megabytes()
    began, began_busy = time.perf_counter(), time.process_time()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        lines = {
            "all, as a table": lambda: write_table(read_occurrences(path), nowhere),
            "all, as CSV": lambda: write_csv(read_occurrences(path), nowhere),
            "all, as JSON": lambda: write_json(read_occurrences(path), nowhere),
            "one sound": lambda: write_table(read_occurrences(path, labels=["Siren"]), nowhere),
            "the last 1,000 s": lambda: write_table(
                read_occurrences(path, since=_last(path) - 999.5), nowhere
            ),
        }[what]()
    print(
        f"{what:18} {lines:8} lines  {time.perf_counter() - began:7.2f} s ({time.process_time() - began_busy:.2f} s of a "
        f"core)   peak memory {_peak_megabytes():.0f} MB "
        f"({before:.0f} MB before)"
    )


def _last(path: Path) -> float:
    with database.reading(path) as connection:
        (last,) = connection.execute("SELECT max(started_at) FROM event").fetchone()
    return float(last)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="in the large history")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    print(f"{platform.machine()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="earshot-", dir=options.folder) as name:
        folder = Path(name)
        measure_writing(folder)
        make_large(folder / "large.sqlite3", options.events)
        for what in ("all, as a table", "all, as CSV", "all, as JSON", "one sound", "the last 1,000 s"):
            process = multiprocessing.get_context("spawn").Process(
                target=ask, args=(what, folder / "large.sqlite3")
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
