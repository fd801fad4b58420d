"""Quality of each version of `tiny`: names right, agreement with mn04, false events and speed, beside YAMNet and mn04.

    python benchmarks/tiny.py --pack PACK [--model FILE ...] [--no-history] [--background 10m] [--limit 100] [--json]

The versions are those in the history of the repository, oldest first, then that of the work tree if it differs, then the given
files, such as that of a run. A name is right if people would give it to the recording: these are the pack's real recordings for
validation, whole, and their loudest 2.56 s alone. mAP compares with mn04 on the validation part of the first pack (mostly games)
and of the second (real life), for clips followed by silence and in a room. False events are those of `evaluate --background`, with
the thresholds of the model, or 0.3. With --limit, mAP is that of a random choice of clips. The speed is that of windows of 10.24 s, one at a time.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from models.local import load_tagger
from models.tagger import Tagger
from models.training.agreement import agreements, score_beside
from models.training.background import measure_background
from models.training.names import NamesRight, names_right
from models.training.pack import FIRST_PART, REAL_LIFE, Pack
from models.training.places import FOLLOWED_BY_SILENCE
from models.training.teachers import TEACHERS
from models.training.teachers.tagger import load_teacher_tagger
from streamer.runtime.timing import parse_duration

WEIGHTS = "models/assets/tiny.safetensors"
JUDGE = "mn04"
SHORT_SECONDS = 2.56
PLACES = {"clean": FOLLOWED_BY_SILENCE, "room": "in a room"}
PARTS = {"games": FIRST_PART, "real": REAL_LIFE}
TIMED_WINDOWS = 30


@dataclass(frozen=True, slots=True)
class Version:
    """Model to measure, with its description."""

    name: str
    what: str
    load: Callable[[float | None], Tagger]
    """Loads it with windows of some seconds, or with its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one version."""

    version: str
    what: str
    names_whole: NamesRight
    names_short: NamesRight
    mean_average_precision: Mapping[str, float]
    false_events_per_hour: Mapping[str, float]
    windows_per_second: float


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--history", action=argparse.BooleanOptionalAction, default=True, help="all versions")
    parser.add_argument("--background", default="10m", help="duration of each background")
    parser.add_argument("--limit", type=int, help="number of clips of each part for mAP")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds = parse_duration(options.background)
    rows = []
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as bars:
        versions = history(Path(folder)) if options.history else []
        versions += [of_file(file.name, "", file) for file in options.model]
        versions += [of_teacher(name, options.pack) for name in TEACHERS]
        task = bars.add_task("versions", total=len(versions))
        for version in versions:
            rows.append(row(version, options.pack, seconds, options.limit))
            bars.advance(task)
    if options.json:
        print(json.dumps([asdict(line) for line in rows]))
    else:
        show(rows, seconds)


def history(folder: Path) -> list[Version]:
    """Write all weights that were ever embedded to a folder, oldest first, with those of the work tree last if they differ."""
    log = git("log", "--reverse", "--format=%h %as %s", "--", WEIGHTS).decode().splitlines()
    versions, known = [], set()
    for line in log:
        commit, day, subject = line.split(" ", 2)
        weights = git("show", f"{commit}:{WEIGHTS}")
        known.add(hashlib.sha256(weights).digest())
        file = folder / f"{commit}.safetensors"
        file.write_bytes(weights)
        versions.append(of_file(f"{commit} {day}", subject, file))
    now = ROOT / WEIGHTS
    if hashlib.sha256(now.read_bytes()).digest() not in known:
        versions.append(of_file("work tree", "", now))
    return versions


def git(*arguments: str) -> bytes:
    """Run git in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603, S607


def of_file(name: str, what: str, file: Path) -> Version:
    """Return a version whose weights are in a file."""
    return Version(name, what, lambda seconds: load_tagger(file, window_seconds=seconds))


def of_teacher(name: str, pack: Path) -> Version:
    """Return a teacher as a version."""
    return Version(
        "teacher",
        TEACHERS[name].title,
        lambda seconds: load_teacher_tagger(name, pack, window_seconds=seconds),
    )


def row(version: Version, folder: Path, background_seconds: float, limit: int | None) -> Row:
    """Measure one version."""
    tagger = version.load(None)
    heard = measure_background(tagger, background_seconds, thresholds=tagger.thresholds)
    named = Pack(folder, REAL_LIFE)
    return Row(
        version=version.name,
        what=version.what,
        names_whole=names_right(tagger, named),
        names_short=names_right(version.load(SHORT_SECONDS), named, seconds=SHORT_SECONDS),
        mean_average_precision=precisions(tagger, folder, limit),
        false_events_per_hour={name: there.false_events_per_hour for name, there in heard.items()},
        windows_per_second=1.0 / seconds_a_window(tagger),
    )


def precisions(tagger: Tagger, folder: Path, limit: int | None) -> dict[str, float]:
    """Return the mean average precision against the judge, by part of the pack and place of its clips."""
    judge = load_teacher_tagger(JUDGE, folder)
    found: dict[str, float] = {}
    for part, files in PARTS.items():
        pack = Pack(folder, files)
        scored = score_beside(tagger, judge, pack, tuple(PLACES.values()), limit=limit)
        figures = agreements(scored, pack.labels.index("Silence"))
        found |= {f"{part}, {name}": figures[place].mean_average_precision for name, place in PLACES.items()}
    return found


def seconds_a_window(tagger: Tagger) -> float:
    """Return the median time of one window."""
    window = 0.1 * np.random.default_rng(0).standard_normal((1, tagger.window_samples)).astype(np.float32)
    times = []
    for _ in range(TIMED_WINDOWS):
        began = time.perf_counter()
        tagger(window)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def show(rows: list[Row], seconds: float) -> None:
    """Print a table for names and speed, and one for agreement and false events."""
    names = Table(
        "version", "what changed", title=f"names right, % of {rows[0].names_whole.clips} real clips"
    )
    for column in ("first", "of three", "of five", "2.56 s: first", "of three", "of five", "windows/s"):
        names.add_column(column, justify="right")
    others = Table("version", title=f"mAP against {JUDGE}; false events an hour ({seconds:g} s of each)")
    for column in (*rows[0].mean_average_precision, *rows[0].false_events_per_hour):
        others.add_column(column, justify="right")
    for line in rows:
        shares = (
            f"{100 * share:.1f}"
            for there in (line.names_whole, line.names_short)
            for share in (there.first, there.of_three, there.of_five)
        )
        names.add_row(line.version, line.what, *shares, f"{line.windows_per_second:.1f}")
        precise = (f"{value:.3f}" for value in line.mean_average_precision.values())
        false = (f"{value:.0f}" for value in line.false_events_per_hour.values())
        others.add_row(f"{line.version} {line.what if line.version == 'teacher' else ''}", *precise, *false)
    console = Console(width=160)
    console.print(names)
    console.print(others)


if __name__ == "__main__":
    main()
