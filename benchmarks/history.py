"""Cost of the history: writing an event, and reading a million of them in constant memory.

    python benchmarks/history.py [--events 1000000] [--folder .]

Events are written as the program writes them: one at a time, each on the disk before the next. The large history is
filled in large transactions and read by the code of the command, each query in its own process.
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
    """Return the start or end of one of many consecutive sounds."""
    began = _START + number // 2
    label = _LABELS[number // 2 % len(_LABELS)]
    begun = Event(f"{number // 2:032x}", "started", label, "kitchen", 0.5, began)
    return replace(begun, kind="ended", ended_at=began + 0.5) if number % 2 else begun


def measure_writing(folder: Path) -> None:
    """Print the time to write an event, and to mark it as published."""
    with History(folder / "small.sqlite3", days=36_500.0) as history:
        accepting = [_seconds(partial(history.accept, event(number))) for number in range(_WRITTEN)]
        marking = []
        while batch := history.pending(1):
            marking.append(_seconds(partial(history.mark_published, batch)))
    for step, seconds in (("written to the disk", accepting), ("marked as published", marking)):
        cuts = statistics.quantiles(seconds, n=100)
        print(
            f"an event {step:28} median {cuts[49] * 1e3:6.2f} ms   99th percentile {cuts[98] * 1e3:6.2f} ms   "
            f"{len(seconds) / sum(seconds):6.0f}/s"
        )


def make_large(path: Path, count: int) -> None:
    """Fill a history, and print its size."""
    connection = database.open_to_write(path)
    began = time.perf_counter()
    with connection:
        connection.execute("BEGIN")
        connection.executemany(
            f"INSERT INTO event ({database.COLUMNS}, published) VALUES ({'?, ' * len(database.COLUMNS.split(','))}1)",  # noqa: S608
            (database.to_row(event(number)) for number in range(count)),
        )
    seconds = time.perf_counter() - began
    connection.close()
    print(f"{count} events, {path.stat().st_size / 1e6:.0f} MB, written in {seconds:.1f} s")
    began = time.perf_counter()
    History(path, days=36_500.0, events=count).close()
    print(f"opened and checked in {time.perf_counter() - began:.2f} s")


def query(name: str, path: Path) -> None:
    """Print the time for a query, and the peak memory of this process."""
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
        }[name]()
    print(
        f"{name:18} {lines:8} lines  {time.perf_counter() - began:7.2f} s ({time.process_time() - began_busy:.2f} s of a "
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
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the large history")
    parser.add_argument("--folder", type=Path, default=None, help="folder on the disk to measure")
    options = parser.parse_args()
    print(f"{platform.machine()}, {platform.system()} {platform.release()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="earshot-", dir=options.folder) as name:
        folder = Path(name)
        measure_writing(folder)
        make_large(folder / "large.sqlite3", options.events)
        for query_name in ("all, as a table", "all, as CSV", "all, as JSON", "one sound", "the last 1,000 s"):
            process = multiprocessing.get_context("spawn").Process(
                target=query, args=(query_name, folder / "large.sqlite3")
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
