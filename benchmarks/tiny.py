"""Quality of each version of `tiny`: agreement with its teacher, false events and speed, with a row for the teacher.

    python benchmarks/tiny.py --pack PACK [--model FILE ...] [--background 10m] [--limit 100] [--json]

The versions are those in the history of the repository, oldest first, then that of the work tree if it differs, then the given
files, such as that of a run or the pack's pilot/warm_start.safetensors. Figures are those of `evaluate --pack` for clips followed
by silence, of `evaluate --background` (with the thresholds of the model, or 0.3), and windows of 10.24 s a second, one at a time.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from safetensors import safe_open

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from models.tagger import Tagger, load_tagger
from models.training.agreement import Scorer, compare_with_teacher
from models.training.background import measure_background
from models.training.pack import Pack
from models.training.places import CLIP_ALONE, FOLLOWED_BY_SILENCE
from models.training.teachers.tagger import load_teacher_tagger
from streamer.runtime.timing import parse_duration

WEIGHTS = "models/assets/tiny.safetensors"
TIMED_WINDOWS = 30


@dataclass(frozen=True, slots=True)
class Version:
    """File of weights, with its description."""

    name: str
    what: str
    file: Path

    @property
    def windows(self) -> int | None:
        """Number of windows in its training; None if the file does not contain it."""
        with safe_open(self.file, "pt") as opened:
            notes = json.loads((opened.metadata() or {}).get("earshot", "{}")).get("notes", {})
        windows = notes.get("windows")
        return sum(windows.values()) if isinstance(windows, dict) else windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one version."""

    version: str
    what: str
    windows: int | None
    mean_average_precision: float
    mean_average_precision_alone: float
    top1: float
    top1_other: float
    top5: float
    over_03: float
    false_events_per_hour: float
    windows_per_second: float


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--background", default="10m", help="duration of each background")
    parser.add_argument("--limit", type=int, help="number of clips")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pack = Pack(options.pack)
    seconds = parse_duration(options.background)
    rows = []
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as bars:
        versions = [*history(Path(folder)), *(Version(file.name, "", file) for file in options.model)]
        task = bars.add_task("versions", total=len(versions) + 1)
        for version in versions:
            rows.append(row(load_tagger(version.file), pack, seconds, options.limit, version))
            bars.advance(task)
        teacher = load_teacher_tagger("yamnet", pack.folder)
        rows.append(row(teacher, pack, seconds, options.limit))
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
        versions.append(Version(f"{commit} {day}", subject, file))
    now = ROOT / WEIGHTS
    if hashlib.sha256(now.read_bytes()).digest() not in known:
        versions.append(Version("work tree", "", now))
    return versions


def git(*arguments: str) -> bytes:
    """Run git in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603, S607


def row(
    tagger: Scorer, pack: Pack, background_seconds: float, limit: int | None, version: Version | None = None
) -> Row:
    """Measure one version, or the teacher."""
    places = compare_with_teacher(tagger, pack, limit=limit)
    silent, alone = places[FOLLOWED_BY_SILENCE], places[CLIP_ALONE]
    thresholds = tagger.thresholds if isinstance(tagger, Tagger) else None
    heard = measure_background(tagger, background_seconds, thresholds=thresholds)
    return Row(
        version=version.name if version else "teacher",
        what=version.what if version else "YAMNet",
        windows=version.windows if version else None,
        mean_average_precision=silent.mean_average_precision,
        mean_average_precision_alone=alone.mean_average_precision,
        top1=silent.top1,
        top1_other=silent.top1_other,
        top5=silent.top5,
        over_03=silent.right_over_03,
        false_events_per_hour=statistics.mean(there.false_events_per_hour for there in heard.values()),
        windows_per_second=1.0 / seconds_a_window(tagger),
    )


def seconds_a_window(tagger: Scorer) -> float:
    """Return the median time of one window."""
    window = 0.1 * np.random.default_rng(0).standard_normal((1, tagger.window_samples)).astype(np.float32)
    times = []
    for _ in range(TIMED_WINDOWS):
        began = time.perf_counter()
        tagger(window)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def show(rows: list[Row], seconds: float) -> None:
    """Print a table."""
    table = Table("version", "what changed", title="tiny", title_style="bold")
    for name in (
        "windows since",
        "mAP",
        "mAP, clip alone",
        "first class",
        "… other",
        "in first five",
        "over 0.3",
        f"false events an hour ({seconds:g} s)",
        "windows/s",
    ):
        table.add_column(name, justify="right")
    for line in rows:
        shares = (f"{share:.1%}" for share in (line.top1, line.top1_other, line.top5, line.over_03))
        table.add_row(
            line.version,
            line.what,
            "" if line.windows is None else str(line.windows),
            f"{line.mean_average_precision:.3f}",
            f"{line.mean_average_precision_alone:.3f}",
            *shares,
            f"{line.false_events_per_hour:.1f}",
            f"{line.windows_per_second:.1f}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
