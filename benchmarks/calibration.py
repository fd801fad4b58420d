"""Effect of calibrating thresholds to a room: false events before and after, and true sounds lost.

    python benchmarks/calibration.py [--model tiny] [--minutes 10] [--neighbours 5] [--snr 20] [--seed 0] [--json]

Thresholds are first chosen for each sound on clips in quiet noise, as in benchmarks/events.py. Then the room is noisy:
neighbours play instruments and a lorry reverses, often several at once, up to 5 dB above the noise. `earshot calibrate`
listens to some minutes of it (the training clips of docs/render_sounds.py) and proposes thresholds. Other minutes, with
held-out clips, are tagged without any watched sound, and again with the sounds of benchmarks/events.py, 20 dB above the
noise; the events in both are counted.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from events import (
    SOUND_OF,
    Occurrence,
    calibrated,
    clips,
    compared,
    decided,
    merged,
    pink,
    stream,
    summed,
    taggings,
)
from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "docs")]

from render_sounds import SOUNDS, Part, missing_packages

from models.local import load_tagger
from models.tagger import Tagger
from streamer.commands.thresholds import Background
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.messages import SAMPLE_RATE_HZ, Samples, Tagging

NEIGHBOURS = (
    "Piano",
    *(label for label in SOUNDS if label not in SOUND_OF and label != "Crowd"),
)
QUIETER_DB = 15.0
"""Largest difference between the loudest neighbour and another one."""
SECONDS_BETWEEN = 3.0
WATCHED = tuple(name for name in dict.fromkeys(SOUND_OF.values()) if name != "Music")


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one set of thresholds."""

    thresholds: str
    false_events_per_hour: float
    sounds: int
    found: int


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--neighbours", type=float, default=5.0, help="level of the loudest neighbour above the noise, in dB"
    )
    parser.add_argument("--snr", type=float, default=20.0, help="level of each sound above the noise, in dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if missing := missing_packages():
        sys.exit(f"programs are missing; install them with apt-get install {' '.join(missing)}")
    tagger = load_tagger(options.model)
    random = np.random.default_rng(options.seed)
    seconds, loudest = 60.0 * options.minutes, options.neighbours
    initial = {entry.sound.name: entry for entry in calibrated(tagger, options.snr, random)}
    before = tuple(initial[name] for name in WATCHED)
    background = Background(before)
    for tagging in taggings(neighbours(seconds, "train", loudest, random), tagger):
        background.accept(tagging)
    proposed = {
        entry.watched.sound.name: threshold
        for entry in background.stats()
        if (threshold := entry.proposal()) is not None
    }
    watches = [
        Watch(name, {"threshold": proposed.get(name, initial[name].thresholds[0])}) for name in WATCHED
    ]
    after = resolve_sounds(watches, tagger.labels)
    rows = measured({"before": before, "calibrated": after}, tagger, seconds, options.snr, loudest, random)
    if options.json:
        print(json.dumps({"proposed": proposed, "rows": [asdict(row) for row in rows]}))
    else:
        show(rows, proposed, f"{tagger.name}, {options.minutes:g} minutes of a noisy room")


def neighbours(seconds: float, part: Part, loudest_db: float, random: np.random.Generator) -> Samples:
    """Render a noisy room without any watched sound."""
    samples = pink(round(seconds * SAMPLE_RATE_HZ), random)
    each = 1 + round(seconds / SECONDS_BETWEEN / len(NEIGHBOURS))
    drawn = [clip for label in NEIGHBOURS for clip, _ in clips(label, part, each, loudest_db, random)]
    for clip in drawn:
        at = int(random.integers(max(1, len(samples) - len(clip))))
        room = samples[at : at + len(clip)]
        quieter = 10 ** (random.uniform(-QUIETER_DB, 0.0) / 20)
        room += np.float32(quieter) * clip[: len(room)]
    return samples


def measured(
    thresholds: dict[str, tuple[WatchedSound, ...]],
    tagger: Tagger,
    seconds: float,
    snr_db: float,
    loudest_db: float,
    random: np.random.Generator,
) -> list[Row]:
    """Count events in the room without and with the sounds, for each set of thresholds."""
    background = neighbours(seconds, "held-out", loudest_db, random)
    sounds, truth = stream(seconds, snr_db, random)
    truth = [occurrence for occurrence in truth if occurrence.sound in WATCHED]
    nothing, something = taggings(background, tagger), taggings(background + sounds, tagger)
    return [
        row(name, watched, nothing, something, truth, tagger.window_samples / SAMPLE_RATE_HZ, seconds)
        for name, watched in thresholds.items()
    ]


def row(
    name: str,
    watched: Sequence[WatchedSound],
    nothing: Sequence[Tagging],
    something: Sequence[Tagging],
    truth: Sequence[Occurrence],
    window_seconds: float,
    seconds: float,
) -> Row:
    """Return the figures of one set of thresholds."""
    pauses = {entry.sound.name: entry.sound.minimum_off_seconds for entry in watched}
    joined = merged(truth, pauses, window_seconds)
    all_sounds = summed("all", compared(watched, truth, joined, list(decided(something, watched))))
    false = len(list(decided(nothing, watched)))
    return Row(name, 3600.0 * false / seconds, all_sounds.occurrences, len(all_sounds.pairs))


def show(rows: Sequence[Row], proposed: dict[str, float], title: str) -> None:
    """Print a table."""
    changes = ", ".join(f"{name} {threshold:.3f}" for name, threshold in proposed.items()) or "nothing"
    table = Table("thresholds", title=title, caption=f"proposed: {changes}")
    for column in ("false events an hour", "sounds", "found"):
        table.add_column(column, justify="right")
    for line in rows:
        table.add_row(line.thresholds, f"{line.false_events_per_hour:.1f}", str(line.sounds), str(line.found))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
