"""Events of several models side by side: a weak and a good one through the same tagger, detector, thresholds and dating.

    python benchmarks/model_events.py --pack PACK [--model tiny --model teacher:mn04 …] [--minutes 10] [--clips N] [--background 10m]
        [--fast-window 1] [--json]

A model is a name or path, or teacher:NAME, whose weights lie in the audio pack. Scenes, at a hop of 1 s:

- demo: the bundled demonstration, with all sounds of the catalogue watched for;
- rendered: the sounds of benchmarks/events.py in a noisy room, with the model's or the catalogue's thresholds;
- rendered, chosen: the same with thresholds chosen on other clips, as in benchmarks/events.py;
- real: the real recordings with names of the pack's validation part (real.zip, real.csv), in a random order in faint noise, 12 to 14 s apart, with all
  sounds of the catalogue watched for.

An event is right if the sound, or one that people also call so, is there during it. A clip is found if there is a right event. Start and end of
an event are compared with those of the nearest clip for which it is right. Names are the classes with the highest scores in the window that ends
with the clip. Then the events of all sounds of the catalogue in silence, hiss, hum, wind and a fan.

With `--fast-window`, the events are given without and with a fast window of that length. Starts that the long window takes back are
counted on their own, and are no false events.
"""

import argparse
import csv
import io
import json
import sys
import zipfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from events import SOUND_OF, Found, Sizes, calibrated, decided, pink, sizes, stream, taggings

from earshot.recordings import read_recording
from models.local import load_tagger
from models.tagger import Tagger
from models.training.background import BACKGROUNDS
from models.training.calibration import reliability
from models.training.teachers.tagger import load_teacher_tagger
from streamer.events.catalogue import Watch, WatchedSound, catalogue, resolve_sounds
from streamer.messages import SAMPLE_RATE_HZ, Samples, Tagging
from streamer.runtime.timing import parse_duration
from streamer.sources import DEMO_PATH

TEACHER = "teacher:"
SNR_DB = 20.0
ONCE = ("demo", "rendered", "real")
"""Scenes with their own taggings."""
FAINTEST_DBFS = -45.0
"""Level of a real clip that is fainter, unless its peak is at full scale before."""
ALSO = {
    "Siren": ("Alarm",),
    "Smoke alarm": ("Alarm", "Beep"),
    "Telephone": ("Alarm", "Bell"),
    "Doorbell": ("Bell",),
}
"""Sounds of the catalogue that are right as well, by AudioSet's ontology."""
OF_DEMO = {
    "Piano": "Music",
    "Violin, fiddle": "Music",
    "Drum kit": "Music",
    "Telephone bell ringing": "Telephone",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound in a stream, with the classes and the sounds of the catalogue that are right for it."""

    start_seconds: float
    end_seconds: float
    classes: frozenset[str]
    sounds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scene:
    """Stream with its clips, and the names of the sounds to watch for."""

    name: str
    samples: Samples
    clips: tuple[Clip, ...]
    watch: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of a model in a scene; `asked` are the clips of a sound in the catalogue."""

    scene: str
    model: str
    clips: int
    asked: int
    found: int
    events: int
    false: int
    early: int
    """Right events whose start the fast window told."""
    taken_back: int
    taken_back_right: int
    """Starts that were taken back though the sound was there."""
    start_error: Sizes | None
    start_delay: Sizes | None
    end_error: Sizes | None
    first: float
    among_three: float
    among_five: float
    first_score: float
    """Mean score of the first name."""
    calibration_error: float
    """Expected calibration error of the first name's score."""
    worst: tuple[tuple[str, int], ...]
    """Sounds with the most false events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Events of a model in a background; all of them are false but those of the background's own names."""

    background: str
    model: str
    events_per_hour: float
    taken_back: int
    sounds: tuple[tuple[str, int], ...]
    nearest: tuple[str, float, float]
    """Sound whose score came nearest to its threshold, that score, and the threshold."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--model", action="append")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the rendered sounds")
    parser.add_argument("--clips", type=int, help="number of real clips")
    parser.add_argument("--background", default="10m", help="length of each background")
    parser.add_argument("--fast-window", type=float, metavar="SECONDS", help="length of a fast window")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[Row] = []
    quiet: list[Quiet] = []
    scenes = [
        demo(),
        rendered(options.minutes, options.seed),
        real(options.pack, options.clips, options.seed),
    ]
    for model in options.model or ("tiny", f"{TEACHER}mn04"):
        tagger = opened(model, options.pack)
        for scene in scenes:
            heard = taggings(scene.samples, tagger, options.fast_window)
            lists = {scene.name: watched(scene.watch, tagger)}
            if scene.name == "rendered":
                chosen = calibrated(tagger, SNR_DB, np.random.default_rng(options.seed + 1))
                lists["rendered, chosen"] = chosen
            for name, sounds in lists.items():
                for part, told in parts(heard, options.fast_window):
                    rows.append(row(name + told, model, scene, part, tagger, sounds))
        quiet += backgrounds(model, tagger, parse_duration(options.background), options.fast_window)
    if options.json:
        print(
            json.dumps({"rows": [asdict(line) for line in rows], "quiet": [asdict(line) for line in quiet]})
        )
    else:
        show(rows, quiet)


def parts(heard: Sequence[Tagging], fast_seconds: float | None) -> Iterator[tuple[list[Tagging], str]]:
    """Yield the taggings without those of fast windows and, if there are any, all of them; with words for the name of the scene."""
    yield [tagging for tagging in heard if not tagging.is_fast], ""
    if fast_seconds is not None:
        yield list(heard), f", fast window of {fast_seconds:g} s"


def opened(model: str, pack: Path) -> Tagger:
    """Load a model, or a teacher of the pack."""
    if model.startswith(TEACHER):
        return load_teacher_tagger(model.removeprefix(TEACHER), pack)
    return load_tagger(model)


def watched(names: Sequence[str], tagger: Tagger) -> tuple[WatchedSound, ...]:
    """Return sounds with the thresholds of the model or, without one, of the catalogue."""
    return resolve_sounds([Watch(name) for name in names], tagger.labels, tagger.thresholds)


# Scenes


def demo() -> Scene:
    """Return the bundled demonstration."""
    truth = json.loads(DEMO_PATH.with_suffix(".json").read_text(encoding="utf-8"))
    clips = tuple(
        clip(OF_DEMO.get(entry["label"], entry["label"]), entry["start_seconds"], entry["end_seconds"])
        for entry in truth
    )
    quiet = np.zeros(12 * SAMPLE_RATE_HZ, np.float32)
    return Scene("demo", np.concatenate((read_recording(DEMO_PATH), quiet)), clips, every_sound())


def rendered(minutes: float, seed: int) -> Scene:
    """Return the sounds of benchmarks/events.py."""
    samples, truth = stream(minutes * 60.0, SNR_DB, np.random.default_rng(seed))
    clips = tuple(clip(one.sound, one.start_seconds, one.end_seconds) for one in truth)
    return Scene("rendered", samples, clips, tuple(dict.fromkeys(SOUND_OF.values())))


def clip(name: str, start_seconds: float, end_seconds: float) -> Clip:
    """Return a clip of a sound in the catalogue."""
    sounds = frozenset({name, *ALSO.get(name, ())})
    return Clip(start_seconds, end_seconds, classes_of(sounds), sounds)


def real(pack: Path, count: int | None, seed: int) -> Scene:
    """Lay the real recordings of the validation part into faint noise."""
    random = np.random.default_rng(seed)
    with (pack / "real.csv").open(encoding="utf-8", newline="") as file:
        entries = [entry for entry in csv.DictReader(file) if entry["split"] == "val" and entry.get("accept")]
    order = random.permutation(len(entries))[:count]
    pieces, clips = [pink(12 * SAMPLE_RATE_HZ, random)], []
    at = len(pieces[0])
    with zipfile.ZipFile(pack / "real.zip") as archive:
        for entry in (entries[index] for index in order):
            sound, _ = soundfile.read(io.BytesIO(archive.read(f"{entry['id']}.opus")), dtype="float32")
            sound = audible(sound)
            names = frozenset(entry["accept"].split("|"))
            start, end = at / SAMPLE_RATE_HZ, (at + len(sound)) / SAMPLE_RATE_HZ
            clips.append(Clip(start, end, names, sounds_of(names)))
            pause = round(random.uniform(12.0, 14.0) * SAMPLE_RATE_HZ)
            pieces.append(np.pad(sound, (0, pause)) + pink(len(sound) + pause, random))
            at += len(pieces[-1])
    return Scene("real", np.concatenate(pieces), tuple(clips), every_sound())


def audible(sound: Samples) -> Samples:
    """Raise a faint clip to `FAINTEST_DBFS`."""
    rms, peak = float(np.sqrt(np.mean(np.square(sound)))), float(np.abs(sound).max())
    gain = min(10 ** (FAINTEST_DBFS / 20) / max(rms, 1e-6), 1.0 / max(peak, 1e-6))
    louder: Samples = sound * np.float32(max(1.0, gain))
    return louder


def every_sound() -> tuple[str, ...]:
    """Return the names of all sounds in the catalogue."""
    return tuple(sound.name for sound in catalogue())


def sounds_of(classes: frozenset[str]) -> frozenset[str]:
    """Return the sounds of the catalogue that have one of some classes."""
    return frozenset(sound.name for sound in catalogue() if not classes.isdisjoint(sound.classes))


def classes_of(sounds: frozenset[str]) -> frozenset[str]:
    """Return the classes of sounds of the catalogue."""
    return frozenset(name for sound in catalogue() if sound.name in sounds for name in sound.classes)


# Figures


def row(
    name: str,
    model: str,
    scene: Scene,
    heard: Sequence[Tagging],
    tagger: Tagger,
    sounds: Sequence[WatchedSound],
) -> Row:
    """Detect the events of a scene, and compare them with its clips."""
    reports = list(decided(heard, sounds))
    found = [event for event in reports if not event.withdrawn]
    taken_back = [event for event in reports if event.withdrawn]
    heard = [tagging for tagging in heard if not tagging.is_fast]
    right = [(event, [one for one in scene.clips if is_right(event, one)]) for event in found]
    dated = [
        (
            event,
            nearest(near, event.reported.start_seconds, "start_seconds"),
            nearest(near, event.reported.end_seconds, "end_seconds"),
        )
        for event, near in right
        if near
    ]
    expected = [one for one in scene.clips if not one.sounds.isdisjoint(scene.watch)]
    false = Counter(event.reported.sound for event, near in right if not near)
    scores, names = at_ends(scene.clips, heard), np.array(tagger.labels)
    best = names[np.argsort(-scores, axis=1)[:, :5]]
    hits = np.array(
        [[name in one.classes for name in five] for five, one in zip(best, scene.clips, strict=True)]
    )
    return Row(
        scene=name,
        model=model,
        clips=len(scene.clips),
        asked=len(expected),
        found=sum(any(is_right(event, one) for event in found) for one in expected),
        events=len(found),
        false=false.total(),
        early=sum(event.was_early for event, _, _ in dated),
        taken_back=len(taken_back),
        taken_back_right=sum(any(is_right(event, one) for one in scene.clips) for event in taken_back),
        start_error=sizes([event.reported.start_seconds - start for event, start, _ in dated]),
        start_delay=sizes([event.start_reported_seconds - start for event, start, _ in dated]),
        end_error=sizes([event.reported.end_seconds - end for event, _, end in dated]),
        first=float(hits[:, 0].mean()),
        among_three=float(hits[:, :3].any(1).mean()),
        among_five=float(hits.any(1).mean()),
        first_score=float(scores.max(1).mean()),
        calibration_error=reliability(scores.max(1), hits[:, 0]).error,
        worst=tuple(false.most_common(3)),
    )


def is_right(event: Found, one: Clip) -> bool:
    """Return True if an event is of a sound that is right for a clip, and less than 2 s away from it."""
    there = event.reported
    close = there.start_seconds < one.end_seconds + 2.0 and one.start_seconds < there.end_seconds + 2.0
    return close and there.sound in one.sounds


def nearest(clips: Sequence[Clip], seconds: float, time: Literal["start_seconds", "end_seconds"]) -> float:
    """Return the start or end of a clip that is nearest to a time."""
    times: list[float] = [getattr(one, time) for one in clips]
    return min(times, key=lambda there: abs(there - seconds))


def at_ends(clips: Sequence[Clip], heard: Sequence[Tagging]) -> Samples:
    """Return the scores (clips, classes) of the windows that end with the clips, less than a hop after them."""
    ends = [tagging.end_sample / SAMPLE_RATE_HZ for tagging in heard]
    return np.stack([heard[bisect_left(ends, one.end_seconds)].scores for one in clips])


def backgrounds(
    model: str, tagger: Tagger, seconds: float, fast_seconds: float | None = None
) -> Iterator[Quiet]:
    """Yield the events of all sounds in the catalogue in each background."""
    sounds = watched(every_sound(), tagger)
    for name, background in BACKGROUNDS.items():
        blocks = background.render(np.random.default_rng((0, list(BACKGROUNDS).index(name))))
        samples = np.concatenate([block.astype(np.float32) for block in islice(blocks, round(seconds))])
        heard = taggings(samples, tagger, fast_seconds)
        wrong = [one for one in sounds if background.names.isdisjoint(one.sound.classes)]
        reports = list(decided(heard, wrong))
        events = Counter(found.reported.sound for found in reports if not found.withdrawn)
        highest = np.stack([tagging.scores for tagging in heard if not tagging.is_fast]).max(0)
        _, nearest_one, index, threshold = max(
            (
                (highest[index] / threshold, one.sound.name, index, threshold)
                for one in wrong
                for index, threshold in zip(one.indices, one.thresholds, strict=True)
            )
        )
        yield Quiet(
            background=name,
            model=model,
            events_per_hour=events.total() * 3600 / seconds,
            taken_back=sum(found.withdrawn for found in reports),
            sounds=tuple(events.most_common(3)),
            nearest=(nearest_one, float(highest[index]), threshold),
        )


def show(rows: Sequence[Row], quiet: Sequence[Quiet]) -> None:
    """Print the tables."""
    for table in (table_of_events(rows), table_of_names(rows), table_of_backgrounds(quiet)):
        Console(width=160).print(table)


def table_of_events(rows: Sequence[Row]) -> Table:
    """Return the events in each scene."""
    table = Table(
        *("scene", "model", "clips", "found", "events", "false", "early", "taken back (right)"),
        *("start error", "start delay", "end error", "most false events"),
        caption="clips of sounds in the catalogue; seconds: median, 95th percentile",
    )
    for line in rows:
        pairs = (line.start_error, line.start_delay, line.end_error)
        shown = ("" if pair is None else f"{pair[0]:.2f}, {pair[1]:.2f}" for pair in pairs)
        counts = (
            *(line.asked, line.found, line.events, line.false, line.early),
            f"{line.taken_back} ({line.taken_back_right})",
        )
        table.add_row(line.scene, line.model, *map(str, counts), *shown, listed(line.worst))
    return table


def table_of_names(rows: Sequence[Row]) -> Table:
    """Return the shares of right names in each scene."""
    table = Table(
        *("scene", "model", "clips", "first", "among three", "among five"),
        *("mean score of the first", "calibration error"),
    )
    for line in rows:
        if line.scene in ONCE:  # thresholds and fast windows change no names
            shares = (line.first, line.among_three, line.among_five)
            table.add_row(
                *(line.scene, line.model, str(line.clips)),
                *(f"{share:.1%}" for share in shares),
                f"{line.first_score:.2f}",
                f"{line.calibration_error:.2f}",
            )
    return table


def table_of_backgrounds(quiet: Sequence[Quiet]) -> Table:
    """Return the false events in each background."""
    table = Table(
        *("background", "model", "false events an hour", "taken back", "of"),
        *("nearest to its threshold", "score", "threshold"),
    )
    for entry in quiet:
        name, score, threshold = entry.nearest
        table.add_row(
            *(entry.background, entry.model, f"{entry.events_per_hour:.0f}", str(entry.taken_back)),
            *(listed(entry.sounds), name, f"{score:.2f}", f"{threshold:.2f}"),
        )
    return table


def listed(counts: Sequence[tuple[str, int]]) -> str:
    """Return names with their numbers."""
    return ", ".join(f"{name} {number}" for name, number in counts)


if __name__ == "__main__":
    main()
