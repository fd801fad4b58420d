"""Accuracy of events: sounds found, and errors of their times, on rendered sounds at known times.

    python benchmarks/events.py [--model tiny] [--minutes 5] [--snr 20] [--seed 0] [--fast-window 1] [--json] [--workers http://HEAD:8000]

Voices, instruments and alarms of docs/render_sounds.py, with the reverberation of a room, are placed at random times in pink
noise; one pause in three is shorter than 5 s, the others are longer than a window. They go through the pipeline of live
listening, at a hop of 1 s. Two occurrences of a sound count as one if their pause is hardly longer than the window, or shorter
than the minimum off time of the rule, as documented. Thresholds are chosen on the training clips of the same kinds, once for
each sound; the figures are for the held-out clips. The number of sounds found depends on the model, their times on the event
detector: they are compared with the nearest true times. The last row uses the scores of a perfect model, which detects a sound
once half a second of it is in the window.

The table also has the delay from the true time to the event, which would be its error if it were dated by its window. A window
of 10.24 s contains a sound for that long, so the end comes late.

With `--fast-window`, the figures are given without and with a fast window of that length. Starts that the long window takes back
are counted on their own, and are no false events.

With `--workers`, the same stream is also scored by workers that have the same model, and the events are compared.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "docs")]

from render_sounds import PLACES, SOUNDS, Part, missing_packages, reverberated

from models.local import load_tagger
from models.remote import RemoteTagger, load_remote
from models.tagger import Tagger
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Samples, Tagging
from streamer.stream.offline import tag_stream

Sizes: TypeAlias = tuple[float, float]
"""Median and 95th percentile of absolute values, in seconds."""

HOP_SAMPLES = SAMPLE_RATE_HZ
BLOCK_SAMPLES = 16 * HOP_SAMPLES
"""Samples that are fed at once: the windows of a longer stream would not fit in memory."""
NOISE_DBFS = -60.0
ROOM_SECONDS = 1.0
CALIBRATION_CLIPS = 4
SOUND_OF = {
    "Man speaking": "Speech",
    "Woman speaking": "Speech",
    "Smoke alarm": "Smoke alarm",
    "Siren": "Siren",
    "Telephone": "Telephone",
    "Doorbell": "Doorbell",
    "Car horn": "Car horn",
    "Piano": "Music",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Occurrence of a sound, in seconds of the stream."""

    sound: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """Occurrence reported by events, and the times of the reports, in seconds of the stream.

    Attributes
    ----------
    reported : Occurrence
        The occurrence.
    start_reported_seconds, end_reported_seconds : float
        Times of the reports.
    was_early : bool
        True if the fast window told the start.
    withdrawn : bool
        True if the long window took the start back.
    """

    reported: Occurrence
    start_reported_seconds: float
    end_reported_seconds: float
    was_early: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one sound; None without data."""

    sound: str
    threshold: float | None
    occurrences: int
    found: int
    false: int
    early: int
    """Sounds found whose start the fast window told."""
    taken_back: int
    start_error: Sizes | None
    start_delay: Sizes | None
    end_error: Sizes | None
    end_delay: Sizes | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reported and true occurrences of one sound."""

    sound: str
    threshold: float | None
    occurrences: int
    false: int
    taken_back: int
    pairs: tuple[tuple[Occurrence, Found], ...]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--snr", type=float, default=20.0, help="level of each sound above the noise, in dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fast-window", type=float, metavar="SECONDS", help="length of a fast window")
    parser.add_argument(
        "--workers", metavar="URL", help="workers with the same model, whose events to compare"
    )
    options = parser.parse_args()
    if missing := missing_packages():
        sys.exit(f"programs are missing; install them with apt-get install {' '.join(missing)}")
    tagger = load_tagger(options.model)
    random = np.random.default_rng(options.seed)
    watched = calibrated(tagger, options.snr, random)
    samples, truth = stream(options.minutes * 60.0, options.snr, random)
    pauses = {entry.sound.name: entry.sound.minimum_off_seconds for entry in watched}
    joined = merged(truth, pauses, tagger.window_samples / SAMPLE_RATE_HZ)
    heard = taggings(samples, tagger, options.fast_window)
    title = f"{tagger.name}, {options.minutes:g} minutes at {options.snr:g} dB over pink noise"
    for fast in (None, options.fast_window)[: 1 if options.fast_window is None else 2]:
        part = [tagging for tagging in heard if fast is not None or not tagging.is_fast]
        comparisons = compared(watched, truth, joined, list(decided(part, watched)))
        ideal = compared(watched, truth, joined, list(decided(perfect(part, truth, watched), watched)))
        everything = (*comparisons, summed("all", comparisons), summed("all, perfect model", ideal))
        rows = [row(comparison) for comparison in everything]
        if options.json:
            print(json.dumps([asdict(line) for line in rows]))
        else:
            show(rows, title if fast is None else f"{title}, with a fast window of {fast:g} s")
    if options.workers:
        compare_workers(load_remote(options.workers), tagger, samples, heard, watched)


def compare_workers(
    workers: RemoteTagger,
    tagger: Tagger,
    samples: Samples,
    heard: Sequence[Tagging],
    watched: Sequence[WatchedSound],
) -> None:
    """Score a stream on workers, and compare scores and events with those of this process; exit with 1 if events differ."""
    if workers.labels != tagger.labels or workers.window_samples != tagger.window_samples:
        sys.exit(f"the workers have {workers.name}, with other classes or windows than {tagger.name}")
    there = taggings(samples, workers)
    ours, theirs = (list(decided(tagged, watched)) for tagged in (heard, there))
    same = sum(event in theirs for event in ours)
    largest = max(float(np.abs(one.scores - two.scores).max()) for one, two in zip(heard, there, strict=True))
    print(
        f"{len(there)} windows on {workers.engine.description}: {same} of {len(ours)} events are the same, "
        f"{len(theirs) - same} are others; scores differ by {largest:.1e} at most; {workers.traffic.retries} requests were repeated"
    )
    if ours != theirs:
        sys.exit(1)


def pink(length: int, random: np.random.Generator) -> Samples:
    """Return pink noise above 20 Hz at `NOISE_DBFS`."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum *= np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20) ** -0.5
    noise = np.fft.irfft(spectrum, length)
    level: Samples = (noise / noise.std() * 10 ** (NOISE_DBFS / 20)).astype(np.float32)
    return level


def clips(
    label: str, part: Part, count: int, snr_db: float, random: np.random.Generator
) -> Iterator[tuple[Samples, int]]:
    """Yield sounds of 2 to 4 s in a reverberant room, and their lengths in samples without reverberation."""
    for dry in SOUNDS[label](part, count, random):
        loud = np.flatnonzero(np.abs(dry) > 0.02 * np.abs(dry).max())
        length = round(random.uniform(2.0, 4.0) * SAMPLE_RATE_HZ)
        sound = dry[loud[0] : loud[-1] + 1][:length]
        lasts = int(np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())[-1]) + 1
        ringing = np.pad(sound[:lasts], (0, round(ROOM_SECONDS * SAMPLE_RATE_HZ)))
        wet = reverberated(ringing, replace(PLACES[part], reverberation_db=(-20, -10)), random)
        gain = 10 ** ((NOISE_DBFS + snr_db) / 20) / np.sqrt(np.mean(wet[:lasts] ** 2))
        yield (wet * gain).astype(np.float32), lasts


def calibrated(tagger: Tagger, snr_db: float, random: np.random.Generator) -> tuple[WatchedSound, ...]:
    """Choose the threshold of each sound: between its scores and those that other sounds reach for it."""
    windows, names = [], []
    for label, name in SOUND_OF.items():
        for clip, _ in clips(label, "train", CALIBRATION_CLIPS, snr_db, random):
            window = pink(tagger.window_samples, random)
            at = int(random.integers(len(window) - len(clip)))
            window[at : at + len(clip)] += clip
            windows.append(window)
            names.append(name)
    scores = np.concatenate([tagger(window) for window in windows])
    sounds = dict.fromkeys(SOUND_OF.values())
    watched = resolve_sounds([Watch(name) for name in sounds], tagger.labels)
    wishes = []
    for entry in watched:
        own = np.array([name == entry.sound.name for name in names])
        given = np.array([entry.score(line) for line in scores])
        usual, other = float(np.median(given[own])), float(given[~own].max())
        wishes.append(Watch(entry.sound.name, {"threshold": min(0.7 * usual, float(np.sqrt(usual * other)))}))
    return resolve_sounds(wishes, tagger.labels)


def stream(seconds: float, snr_db: float, random: np.random.Generator) -> tuple[Samples, list[Occurrence]]:
    """Render sounds at random times in noise, and return them with their occurrences."""
    samples = pink(round(seconds * SAMPLE_RATE_HZ), random)
    each = 1 + round(seconds / 10.0 / len(SOUND_OF))
    drawn = [
        (SOUND_OF[label], *clip)
        for label in SOUND_OF
        for clip in clips(label, "held-out", each, snr_db, random)
    ]
    truth, at = [], round(5.0 * SAMPLE_RATE_HZ)
    for index in random.permutation(len(drawn)):
        name, clip, lasts = drawn[index]
        if at + len(clip) > len(samples):
            break
        samples[at : at + len(clip)] += clip
        truth.append(Occurrence(name, at / SAMPLE_RATE_HZ, (at + lasts) / SAMPLE_RATE_HZ))
        pause = random.uniform(1.0, 5.0) if random.random() < 1 / 3 else random.uniform(12.5, 16.0)
        at += lasts + round(pause * SAMPLE_RATE_HZ)
    return samples, truth


def merged(truth: Sequence[Occurrence], pauses: dict[str, float], window_seconds: float) -> list[Occurrence]:
    """Join occurrences of a sound whose pause is too short to be visible."""
    joined: list[Occurrence] = []
    for next_one in sorted(truth, key=lambda entry: (entry.sound, entry.start_seconds)):
        last = joined[-1] if joined else None
        longest = max(window_seconds + 2 * HOP_SAMPLES / SAMPLE_RATE_HZ, pauses[next_one.sound])
        if last and last.sound == next_one.sound and next_one.start_seconds - last.end_seconds < longest:
            joined[-1] = replace(last, end_seconds=next_one.end_seconds)
        else:
            joined.append(next_one)
    return joined


class Kept(EventDetector):
    """Detector of nothing that keeps the taggings, those of fast windows too."""

    def __init__(self) -> None:
        super().__init__(())
        self.taggings: list[Tagging] = []

    def feed(self, tagging: Tagging) -> list[Event]:
        """Keep a tagging."""
        self.taggings.append(tagging)
        return []


def taggings(
    samples: Samples, tagger: Tagger | RemoteTagger, fast_seconds: float | None = None
) -> list[Tagging]:
    """Tag a stream, with fast windows if they have a length."""
    kept = Kept()
    messages = tag_stream(
        "benchmark",
        (
            AudioChunk(samples[at : at + BLOCK_SAMPLES], at, at / SAMPLE_RATE_HZ)
            for at in range(0, len(samples), BLOCK_SAMPLES)
        ),
        tagger,
        window_samples=tagger.window_samples,
        hop_samples=HOP_SAMPLES,
        fast_samples=None if fast_seconds is None else round(fast_seconds * SAMPLE_RATE_HZ),
        detector=kept,
    )
    for _ in messages:
        pass
    return kept.taggings


def perfect(
    heard: Sequence[Tagging], truth: Sequence[Occurrence], watched: Sequence[WatchedSound]
) -> Iterator[Tagging]:
    """Yield taggings with the scores of a perfect model."""
    for tagging in heard:
        start, end = tagging.start_sample / SAMPLE_RATE_HZ, tagging.end_sample / SAMPLE_RATE_HZ
        scores = np.zeros_like(tagging.scores)
        for entry in watched:
            seconds = sum(
                max(0.0, min(end, one.end_seconds) - max(start, one.start_seconds))
                for one in truth
                if one.sound == entry.sound.name
            )
            scores[list(entry.indices)] = seconds >= 0.5
        yield replace(tagging, scores=scores)


def decided(heard: Iterable[Tagging], watched: Sequence[WatchedSound]) -> Iterator[Found]:
    """Yield the occurrences that events report, with the times of the reports."""
    detector = EventDetector(watched)
    now = 0.0
    began: dict[str, tuple[float, bool]] = {}
    for tagging in heard:
        now = tagging.end_sample / SAMPLE_RATE_HZ
        yield from reported(detector.feed(tagging), began, now)
    yield from reported(detector.close(), began, now)


def reported(events: Sequence[Event], began: dict[str, tuple[float, bool]], now: float) -> Iterator[Found]:
    """Store the starts of events, and yield occurrences at their ends."""
    for event in events:
        if event.kind == "started":
            began[event.id] = now, not event.confirmed
        elif event.ended_at is not None:
            occurrence = Occurrence(event.label, event.started_at, event.ended_at)
            told, was_early = began[event.id]
            yield Found(occurrence, told, now, was_early, event.withdrawn)


def compared(
    watched: Sequence[WatchedSound],
    truth: Sequence[Occurrence],
    joined: Sequence[Occurrence],
    found: Sequence[Found],
) -> list[Comparison]:
    """Compare reported with true occurrences of each sound, and with true ones joined over short pauses."""
    comparisons = []
    for entry in watched:
        name = entry.sound.name
        reports = [event for event in found if event.reported.sound == name]
        events = [event for event in reports if not event.withdrawn]
        taken_back = len(reports) - len(events)
        there = [occurrence for occurrence in joined if occurrence.sound == name]
        pairs = []
        for occurrence in there:
            near = [event for event in events if overlap(event.reported, occurrence)]
            if near:
                pairs.append((nearest(near[0].reported, truth), near[0]))
                events.remove(near[0])
        comparisons.append(
            Comparison(name, entry.thresholds[0], len(there), len(events), taken_back, tuple(pairs))
        )
    return comparisons


def summed(name: str, comparisons: Sequence[Comparison]) -> Comparison:
    """Sum up all sounds."""
    return Comparison(
        sound=name,
        threshold=None,
        occurrences=sum(one.occurrences for one in comparisons),
        false=sum(one.false for one in comparisons),
        taken_back=sum(one.taken_back for one in comparisons),
        pairs=tuple(pair for one in comparisons for pair in one.pairs),
    )


def row(comparison: Comparison) -> Row:
    """Return the figures of a comparison."""
    pairs = comparison.pairs
    return Row(
        sound=comparison.sound,
        threshold=comparison.threshold,
        occurrences=comparison.occurrences,
        found=len(pairs),
        false=comparison.false,
        early=sum(event.was_early for _, event in pairs),
        taken_back=comparison.taken_back,
        start_error=sizes([event.reported.start_seconds - real.start_seconds for real, event in pairs]),
        start_delay=sizes([event.start_reported_seconds - real.start_seconds for real, event in pairs]),
        end_error=sizes([event.reported.end_seconds - real.end_seconds for real, event in pairs]),
        end_delay=sizes([event.end_reported_seconds - real.end_seconds for real, event in pairs]),
    )


def nearest(found: Occurrence, truth: Sequence[Occurrence]) -> Occurrence:
    """Return the true times nearest to a report: the first bark may have been too faint for the model."""
    real = [occurrence for occurrence in truth if occurrence.sound == found.sound]
    start = min((entry.start_seconds for entry in real), key=lambda time: abs(time - found.start_seconds))
    end = min((entry.end_seconds for entry in real), key=lambda time: abs(time - found.end_seconds))
    return Occurrence(found.sound, start, end)


def overlap(one: Occurrence, other: Occurrence) -> bool:
    """Return True if two occurrences are less than two seconds apart."""
    return one.start_seconds < other.end_seconds + 2.0 and other.start_seconds < one.end_seconds + 2.0


def sizes(errors: Sequence[float]) -> Sizes | None:
    """Return the median and 95th percentile of the absolute values."""
    if not errors:
        return None
    median, high = np.percentile(np.abs(errors), (50, 95))
    return (round(float(median), 2), round(float(high), 2))


def show(rows: Sequence[Row], title: str) -> None:
    """Print a table."""
    table = Table(
        *("sound", "threshold", "there", "found", "false", "early", "taken back"),
        *("start error", "start delay", "end error", "end delay"),
        title=title,
        caption="seconds: median, 95th percentile",
    )
    for line in rows:
        pairs = (line.start_error, line.start_delay, line.end_error, line.end_delay)
        threshold = "" if line.threshold is None else f"{line.threshold:.3f}"
        counts = (
            threshold,
            *map(str, (line.occurrences, line.found, line.false, line.early, line.taken_back)),
        )
        shown = ("" if pair is None else f"{pair[0]:.2f}, {pair[1]:.2f}" for pair in pairs)
        table.add_row(line.sound, *counts, *shown)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
