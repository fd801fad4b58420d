"""Render labelled folders of sounds to train and test a classifier: voices, instruments and alarms.

    python docs/render_sounds.py OUT [--labels 18] [--per-class 60] [--seed 0]
    python docs/render_sounds.py OUT --esc50 [--labels 18] [--per-class 60] [--seed 0]
    python docs/render_sounds.py OUT --pack [--labels 18] [--per-class 60] [--seed 0]

The first form writes OUT/train/LABEL/*.wav and OUT/held-out/LABEL/*.wav (16 kHz mono, 2 to 4 s) with a CSV file for each
part. Held-out clips differ in kind, not only in the seed: other sentences, languages, speakers, instruments of the same family,
melodies, registers, tempi, pitches, timings, rooms, levels and background noise. The second form writes a folder with the layout
of ESC-50 (audio/FOLD-SOURCE-TAKE-TARGET.wav of 5 s at 44.1 kHz, meta/esc50.csv, five folds). The third form writes the clips for
training as an audio pack for `earshot distil`, in which alarms have names: teachers hear music in many of them.

Everything is synthetic: voices of espeak-ng, instruments of the sound font FluidR3, alarms computed here. The same seed and
the same versions of these programs render the same samples.
"""

import argparse
import csv
import io
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from render_demo import (
    DRUM_CHANNEL,
    SOUND_FONT,
    Note,
    fitted,
    performed,
    read,
    run,
)

from streamer.messages import SAMPLE_RATE_HZ, Samples

Part: TypeAlias = Literal["train", "held-out"]
Range: TypeAlias = tuple[float, float]
Sound: TypeAlias = NDArray[np.floating[Any]]
Renderer: TypeAlias = Callable[[Part, int, np.random.Generator], Iterator[Samples]]
"""Function (part, number, random generator) that yields dry sounds, 16 kHz mono."""

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 4.0
ESC50_SECONDS, ESC50_RATE_HZ, ESC50_FOLDS = 5.0, 44_100, 5


def main() -> None:
    """Render the folders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="empty or new folder")
    parser.add_argument("--labels", type=int, default=len(SOUNDS), help=f"2 to {len(SOUNDS)} classes")
    parser.add_argument(
        "--per-class",
        type=int,
        default=60,
        help="clips of each class; without --esc50, plus a third of that for the held-out part",
    )
    parser.add_argument("--seed", type=int, default=0)
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--esc50", action="store_true", help="write the layout of ESC-50")
    layout.add_argument("--pack", action="store_true", help="write an audio pack")
    options = parser.parse_args()
    if not 2 <= options.labels <= len(SOUNDS) or options.per_class < 1 or options.seed < 0:
        parser.error(f"--labels takes 2 to {len(SOUNDS)}, --per-class at least 1, --seed no negative number")
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        parser.error(f"{options.out} is not an empty folder: give another one")
    if missing := missing_packages():
        sys.exit(f"programs are missing; install them with apt-get install {' '.join(missing)}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{options.out} can't be made ({error.strerror}): give another folder")
    labels = list(SOUNDS)[: options.labels]
    if options.esc50:
        write_esc50(options.out, labels, options.per_class, options.seed)
    elif options.pack:
        write_pack(options.out, labels, options.per_class, options.seed)
    else:
        write_part(options.out, "train", labels, options.per_class, options.seed)
        write_part(options.out, "held-out", labels, -(-options.per_class // 3), options.seed)


def missing_packages() -> list[str]:
    """Return the Debian packages that are not installed."""
    needed = {
        "espeak-ng": shutil.which("espeak-ng"),
        "fluidsynth": shutil.which("fluidsynth"),
        "fluid-soundfont-gm": SOUND_FONT.is_file(),
    }
    return [package for package, found in needed.items() if not found]


def write_part(out: Path, part: Part, labels: Sequence[str], per_class: int, seed: int) -> None:
    """Write a folder for each label, and a CSV file of all clips."""
    table = []
    for label in labels:
        folder = out / part / label
        folder.mkdir(parents=True)
        for number, clip in enumerate(clips(label, part, per_class, seed)):
            path = folder / f"{slug(label)}-{number:03}.wav"
            soundfile.write(path, clip, SAMPLE_RATE_HZ, subtype="PCM_16")
            table.append((path.relative_to(out).as_posix(), label))
    write_csv(out / f"{part}.csv", ("path", "label"), table)


def write_esc50(out: Path, labels: Sequence[str], per_class: int, seed: int) -> None:
    """Write a folder with the layout of ESC-50 (Piczak 2015): short clips are padded with digital silence."""
    (out / "audio").mkdir(parents=True)
    (out / "meta").mkdir()
    table = []
    for target, label in enumerate(labels):
        for number, clip in enumerate(clips(label, "train", per_class, seed)):
            fold, source = number % ESC50_FOLDS + 1, 100_000 + 1_000 * target + number
            name = f"{fold}-{source}-A-{target}.wav"
            sound = np.pad(clip, (0, round(ESC50_SECONDS * SAMPLE_RATE_HZ) - len(clip)))
            resampled = soxr.resample(sound, SAMPLE_RATE_HZ, ESC50_RATE_HZ)
            soundfile.write(out / "audio" / name, resampled, ESC50_RATE_HZ, subtype="PCM_16")
            table.append((name, fold, target, slug(label).replace("-", "_"), "False", source, "A"))
    header = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
    write_csv(out / "meta" / "esc50.csv", header, table)


def write_pack(out: Path, labels: Sequence[str], per_class: int, seed: int) -> None:
    """Write an audio pack with clips for training only."""
    from models.training.pack import AUDIO, INDEX, write_classes

    table = []
    with zipfile.ZipFile(out / AUDIO, "w") as archive:
        for label in labels:
            for number, clip in enumerate(clips(label, "train", per_class, seed)):
                name, encoded = f"{slug(label)}-{number:03}", io.BytesIO()
                soundfile.write(encoded, clip, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
                archive.writestr(f"{name}.opus", encoded.getvalue())
                table.append((name, "other", "train", "|".join(NAMES.get(label, ()))))
    write_csv(out / INDEX, ("id", "kind", "split", "accept"), table)
    write_classes(out)


def write_csv(path: Path, header: Sequence[str], table: Sequence[Sequence[object]]) -> None:
    """Write a table with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *table])


def slug(label: str) -> str:
    """Return a label as part of a file name."""
    return label.lower().replace(" ", "-")


def clips(label: str, part: Part, count: int, seed: int) -> Iterator[Samples]:
    """Yield the clips of a label; they do not depend on the other labels."""
    random = np.random.default_rng([seed, list(SOUNDS).index(label), part == "held-out"])
    for dry in SOUNDS[label](part, count, random):
        yield staged(dry, PLACES[part], random)


def drawn(part: Part, low: float, high: float, random: np.random.Generator) -> float:
    """Draw from a range in alternating strips for the training and the held-out part."""
    strip = 2 * random.integers(4) + (part == "held-out")
    return float(low + (high - low) * (strip + random.random()) / 8)


@dataclass(frozen=True, slots=True)
class Place:
    """Room and recording conditions of a sound.

    Attributes
    ----------
    decay_seconds : (float, float)
        Until the room's reverberation has fallen by 60 dB.
    reverberation_db : (float, float)
        Its energy, relative to the direct sound's.
    level_dbfs : (float, float)
        RMS of the clip.
    snr_db : (float, float)
        The clip's level over the background noise's.
    noise_slope : (float, float)
        The noise's power falls with this power of the frequency: 0 is white, 1 pink, 2 brown.
    hum_db : (float, float)
        Mains hum, relative to the noise.
    """

    decay_seconds: Range
    reverberation_db: Range
    level_dbfs: Range
    snr_db: Range
    noise_slope: Range
    hum_db: Range


PLACES: dict[Part, Place] = {
    "train": Place((0.1, 0.9), (-20, -4), (-36, -16), (12, 40), (0.0, 2.0), (-60, 0)),
    "held-out": Place((0.4, 0.9), (-12, -4), (-36, -24), (12, 25), (1.4, 2.0), (-20, 0)),
}


def staged(dry: Samples, place: Place, random: np.random.Generator) -> Samples:
    """Cut a sound to the length of a clip, and add a room with background noise, without silence or clipping."""
    length = round(random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS) * SAMPLE_RATE_HZ)
    sound = reverberated(fitted(dry, length), place, random)
    gain = 10 ** (random.uniform(*place.level_dbfs) / 20) / rms(sound)
    sound = sound * min(gain, 0.8 / np.abs(sound).max())
    noise = background(length, place, random)
    sound += noise * (rms(sound) / 10 ** (random.uniform(*place.snr_db) / 20))
    clip: Samples = np.clip(sound, -1, 1).astype(np.float32)
    return clip


def reverberated(sound: Sound, place: Place, random: np.random.Generator) -> Sound:
    """Add diffuse reverberation: the sound convolved with decaying noise."""
    decay_seconds = random.uniform(*place.decay_seconds)
    seconds = np.arange(round(decay_seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = random.standard_normal(len(seconds)) * 10 ** (-3 * seconds / decay_seconds)
    tail *= 10 ** (random.uniform(*place.reverberation_db) / 20) / np.sqrt((tail**2).sum())
    tail[0] += 1
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return wet[: len(sound)]


def background(length: int, place: Place, random: np.random.Generator) -> Sound:
    """Return coloured noise above 20 Hz with mains hum, at an RMS of 1."""
    frequencies_hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum *= np.where(
        frequencies_hz < 20, 0, np.maximum(frequencies_hz, 20) ** (-random.uniform(*place.noise_slope) / 2)
    )
    noise = np.fft.irfft(spectrum, length)
    hum = tone(np.full(length, 50.0), [1, 0.6, 0.4, 0.2])
    noise = noise / rms(noise) + hum / rms(hum) * 10 ** (random.uniform(*place.hum_db) / 20)
    noise /= rms(noise)
    return noise


def rms(sound: Sound) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(sound**2)))


TEXTS: dict[Part, tuple[tuple[str, str], ...]] = {
    "train": (
        ("en-us", "The kettle is on the stove, and the bread is still warm."),
        ("en-us", "Please put the green box on the table next to the door."),
        ("en-gb", "Nobody knows where the old clock came from."),
        ("en-gb", "I would rather take the train than drive all night."),
        ("de", "Am Wochenende fahren wir mit dem Rad zum See hinaus."),
        ("de", "Hast du den Schlüssel wieder unter die Matte gelegt?"),
        ("fr-fr", "Le marché ouvre à huit heures, mais j'arrive toujours en retard."),
        ("fr-fr", "Il faudra repeindre les volets avant la fin de l'été."),
    ),
    "held-out": (
        ("en-gb-scotland", "Have you seen my other shoe anywhere in the house?"),
        ("en-gb-scotland", "That story gets longer each time he tells it."),
        ("es", "Mañana vamos a comprar pescado fresco en el puerto."),
        ("es", "La puerta del jardín estaba abierta toda la noche."),
        ("it", "Domani mattina partiamo presto per la montagna."),
        ("it", "Il gatto dorme sempre sulla sedia vicino alla finestra."),
    ),
}
MEN: dict[Part, tuple[str, ...]] = {
    "train": ("m1", "m2", "m3", "m4", "m7", "Mike", "Alex", "Andy", "Denis", "Henrique", "Mario"),
    "held-out": ("m6", "m8", "Lee"),
}
WOMEN: dict[Part, tuple[str, ...]] = {
    "train": ("f1", "f2", "f3", "linda", "anika", "Annie", "Andrea", "belinda", "steph2", "aunty"),
    "held-out": ("f4", "steph", "Alicia"),
}


def spoken(variant: str, part: Part, random: np.random.Generator) -> Samples:
    """Return two sentences spoken by espeak-ng: enough for the longest clip."""
    chosen = [TEXTS[part][index] for index in random.permutation(len(TEXTS[part]))]
    language = chosen[0][0]
    text = " ".join(sentence for name, sentence in chosen if name == language)
    pitch, words_per_minute = round(drawn(part, 40, 60, random)), round(drawn(part, 125, 205, random))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        run(
            "espeak-ng",
            *("-v", f"{language}+{variant}"),
            *("-p", str(pitch), "-s", str(words_per_minute)),
            "-w",
            path,
            text,
        )
        return read(path)


def speaker(
    variants: Mapping[Part, Sequence[str]], part: Part, count: int, random: np.random.Generator
) -> Iterator[Samples]:
    """Yield single voices, each variant of espeak-ng in turn."""
    for number in range(count):
        yield spoken(variants[part][number % len(variants[part])], part, random)


def crowd(part: Part, count: int, random: np.random.Generator) -> Iterator[Samples]:
    """Yield ten voices at once, none of them dominant."""
    people = [spoken(variant, part, random) for variant in (*MEN[part], *WOMEN[part]) for _ in range(3)]
    for _ in range(count):
        babble = np.zeros(round(LONGEST_SECONDS * SAMPLE_RATE_HZ), np.float32)
        for index in random.permutation(len(people))[:10]:
            voice = np.roll(people[index], random.integers(len(people[index])))
            voice = np.resize(voice, len(babble)) / rms(people[index])
            babble += voice * np.float32(random.uniform(0.4, 1.0))
        yield babble


PHRASE_SECONDS = 6.0
"""Time from one phrase to the next in a performance: the longest clip, and the decay of its last note."""

PHRASES: dict[Part, tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]] = {
    "train": ((0, 2, 4, 5, 7, 9, 11), (-2, -1, 1, 2), (1, 1, 2)),
    "held-out": ((0, 2, 3, 5, 7, 8, 10), (-4, -3, 3, 4), (1, 1.5, 0.5)),
}
"""Scale in semitones, steps on it from note to note, relative lengths of the notes."""

KICK, SNARE, RIM, CLOSED_HAT, OPEN_HAT, RIDE, CRASH, TOMS = 36, 38, 37, 42, 46, 51, 49, (50, 47, 45, 41)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Instrument that plays phrases.

    Attributes
    ----------
    programs : mapping
        General MIDI's programs, counted from 0, that take turns.
    keys : (int, int)
        Lowest and highest key.
    chords : float
        How often a note is a triad, 0 to 1.
    """

    programs: Mapping[Part, Sequence[int]]
    keys: tuple[int, int]
    chords: float = 0.0

    def __call__(self, part: Part, count: int, random: np.random.Generator) -> Iterator[Samples]:
        """Render phrases; see `Renderer`."""
        phrases = [self._phrase(part, random) for _ in range(count)]
        return performances(phrases, self.programs[part], channel=0)

    def _phrase(self, part: Part, random: np.random.Generator) -> list[Note]:
        """Return notes, timed in seconds: stepwise and in major for training, in leaps and in minor when held out."""
        scale, steps, lengths = PHRASES[part]
        tonic = int(random.integers(12))
        ladder = [key for key in range(*self.keys) if (key - tonic) % 12 in scale]
        rung = round(drawn(part, 0.15, 0.85, random) * len(ladder))
        slowness, velocity = drawn(part, 0.18, 0.7, random), round(drawn(part, 60, 120, random))
        notes, start = [], 0.0
        while start < LONGEST_SECONDS:
            length = slowness * random.choice(lengths)
            rung = min(max(rung, 0), len(ladder) - 5)
            rungs = (rung, rung + 2, rung + 4) if random.random() < self.chords else (rung,)
            notes += [Note(start, 0.9 * length, ladder[place], velocity) for place in rungs]
            start += length
            rung += int(random.choice(steps))
        return notes


def drum_kit(part: Part, count: int, random: np.random.Generator) -> Iterator[Samples]:
    """Render beats on drum kits; see `Renderer`."""
    kits = {"train": (0, 16, 24), "held-out": (8, 32)}[part]
    return performances([beat(part, random) for _ in range(count)], kits, channel=DRUM_CHANNEL)


def performances(
    phrases: Sequence[Sequence[Note]], programs: Sequence[int], *, channel: int
) -> Iterator[Samples]:
    """Yield phrases, timed in seconds; FluidSynth is started once for all phrases of a MIDI program."""
    stride = round(PHRASE_SECONDS * SAMPLE_RATE_HZ)
    for turn, program in enumerate(programs):
        notes = [
            Note(number * PHRASE_SECONDS + note.start, note.length, note.key, note.velocity)
            for number, phrase in enumerate(phrases[turn :: len(programs)])
            for note in phrase
        ]
        if notes:
            sound = performed(notes, program=program, quarters_per_minute=60, channel=channel)
            for number in range(len(phrases[turn :: len(programs)])):
                yield sound[number * stride : (number + 1) * stride]


def beat(part: Part, random: np.random.Generator) -> list[Note]:
    """Return a rock beat for training; a shuffle on the ride with toms and rim shots when held out."""
    quarter = drawn(part, 0.35, 0.7, random)
    notes = [Note(0, 0.3, CRASH, 110)] if random.random() < 0.3 else []
    for number in range(int(LONGEST_SECONDS / quarter) + 1):
        start = number * quarter
        if part == "train":
            hat = RIDE if random.random() < 0.2 else CLOSED_HAT
            notes += [Note(start + half * quarter / 2, 0.1, hat, 80) for half in (0, 1)]
            notes.append(Note(start, 0.1, SNARE if number % 2 else KICK, 110))
            if random.random() < 0.3:
                notes.append(Note(start + quarter / 2, 0.1, int(random.choice([KICK, *TOMS])), 100))
        else:
            notes += [Note(start, 0.1, RIDE, 90), Note(start + quarter * 2 / 3, 0.1, OPEN_HAT, 70)]
            notes.append(Note(start, 0.1, RIM if number % 4 == 2 else KICK, 95))
            notes.append(Note(start + quarter / 3, 0.1, int(random.choice(TOMS)), 100))
    return notes


def tone(pitch_hz: Sound, overtones: Sequence[float]) -> Sound:
    """Return a tone with a pitch for each sample; amplitudes are those of the fundamental and its overtones below 7.6 kHz."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    sound = np.zeros(len(pitch_hz))
    for number, amplitude in enumerate(overtones, 1):
        sound += np.where(number * pitch_hz < 7_600, amplitude * np.sin(number * phase), 0)
    return sound


def steady(pitch_hz: float, seconds: float, overtones: Sequence[float]) -> Sound:
    """Return a tone of one pitch with fades of 5 ms."""
    length = round(seconds * SAMPLE_RATE_HZ)
    sound = tone(np.full(length, pitch_hz), overtones)
    return sound * np.minimum(
        1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.005 * SAMPLE_RATE_HZ)
    )


def struck(pitch_hz: float, seconds: float, partials: Sequence[tuple[float, float, float]]) -> Sound:
    """Return a struck bell or bar; partials are (ratio to the pitch, amplitude, decay in 1/s)."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sound = np.zeros(len(time))
    for ratio, amplitude, decay in partials:
        if ratio * pitch_hz < 7_600:
            sound += amplitude * np.exp(-decay * time) * np.sin(2 * np.pi * ratio * pitch_hz * time)
    return sound


def sequence(events: Sequence[tuple[float, Sound]]) -> Samples:
    """Return the sum of sounds that start at given seconds, as long as the longest clip."""
    total = np.zeros(round(LONGEST_SECONDS * SAMPLE_RATE_HZ), np.float32)
    for start_seconds, sound in events:
        start = round(start_seconds * SAMPLE_RATE_HZ)
        end = min(len(total), start + len(sound))
        if start < end:
            total[start:end] += sound[: end - start]
    return total


def alarm(
    render: Callable[[Part, np.random.Generator], Samples],
    part: Part,
    count: int,
    random: np.random.Generator,
) -> Iterator[Samples]:
    """Render one alarm after the other; see `Renderer`."""
    return (render(part, random) for _ in range(count))


def smoke_alarm(part: Part, random: np.random.Generator) -> Samples:
    """Return the temporal pattern of ISO 8201: three beeps of half a second, half a second apart, then a pause."""
    pitch_hz = drawn(part, 2_750, 3_500, random)
    beep_seconds = {"train": 0.5, "held-out": random.uniform(0.42, 0.58)}[part]
    begin = random.uniform(0, 0.3)
    starts = [begin + beep_seconds * (8 * cycle + 2 * beep) for cycle in (0, 1) for beep in range(3)]
    return sequence([(start, steady(pitch_hz, beep_seconds, [1, 0.35])) for start in starts])


def siren(part: Part, random: np.random.Generator) -> Samples:
    """Return a siren of two alternating tones, or a wailing one: smooth for training, with sharp turns when held out."""
    period_seconds = drawn(part, 1.2, 4, random)
    time = np.arange(round(LONGEST_SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swing = (time / period_seconds + random.random()) % 1
    if random.random() < 0.4:
        low_hz, ratio = drawn(part, 420, 560, random), {"train": 4 / 3, "held-out": 5 / 4}[part]
        height = (swing < 0.5).astype(np.float64)
    else:
        low_hz, ratio = drawn(part, 550, 800, random), drawn(part, 1.7, 2.3, random)
        height = 0.5 - 0.5 * np.cos(2 * np.pi * swing) if part == "train" else 1 - np.abs(2 * swing - 1)
    return tone(low_hz * ratio**height, [1 / number**1.3 for number in range(1, 8)]).astype(np.float32)


def telephone(part: Part, random: np.random.Generator) -> Samples:
    """Return the two bells of a telephone, struck in turn: single rings for training, double rings when held out."""
    rings: Mapping[Part, tuple[Range, ...]] = {
        "train": ((0.0, 1.6),),
        "held-out": ((0.0, 0.6), (0.8, 0.6)),
    }
    pitch_hz, interval = drawn(part, 1_000, 1_500, random), drawn(part, 1.1, 1.25, random)
    strikes_hz = drawn(part, 18, 26, random)
    partials = [(1, 1.0, 6), (2.01, 0.7, 9), (2.74, 0.5, 12), (3.76, 0.35, 18), (5.1, 0.2, 25)]
    bells = [struck(pitch, 0.8, partials) for pitch in (pitch_hz, pitch_hz * interval)]
    begin = random.uniform(0, 0.3)
    return sequence(
        [
            (begin + cycle + start + strike / strikes_hz, bells[strike % 2])
            for cycle in (0.0, 2.4)
            for start, seconds in rings[part]
            for strike in range(round(seconds * strikes_hz))
        ]
    )


def doorbell(part: Part, random: np.random.Generator) -> Samples:
    """Return an electric chime: two falling notes for training, another interval or three notes when held out."""
    intervals: Mapping[Part, tuple[tuple[float, ...], ...]] = {
        "train": ((1, 4 / 5), (1, 5 / 6)),
        "held-out": ((1, 3 / 4), (1, 5 / 6, 2 / 3)),
    }
    pitch_hz, decay = drawn(part, 600, 850, random), drawn(part, 1, 2.5, random)
    gap_seconds = drawn(part, 0.35, 0.8, random)
    partials = [(1, 1.0, decay), (2, 0.5, decay), (3, 0.25, 2 * decay), (4.2, 0.15, 4 * decay)]
    begin = random.uniform(0, 0.2)
    notes = enumerate(intervals[part][random.integers(2)])
    return sequence(
        [(begin + number * gap_seconds, struck(ratio * pitch_hz, 3, partials)) for number, ratio in notes]
    )


def car_horn(part: Part, random: np.random.Generator) -> Samples:
    """Return two reeds at once, a third apart: bursts of any length for training, short ones or a long one when held out."""
    pitch_hz, interval = drawn(part, 320, 450, random), drawn(part, 1.19, 1.26, random)
    overtones = [0.4, 0.8, 1, 0.9, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.1]
    events: list[tuple[float, Sound]] = []
    start = random.uniform(0, 0.3)
    while start < LONGEST_SECONDS:
        seconds = {"train": random.uniform(0.3, 1.2), "held-out": float(random.choice([0.2, 2.0]))}[part]
        events += [(start, steady(pitch, seconds, overtones)) for pitch in (pitch_hz, interval * pitch_hz)]
        start += seconds + random.uniform(0.15, 0.5)
    return sequence(events)


def reversing_beeper(part: Part, random: np.random.Generator) -> Samples:
    """Return the reversing beep of a lorry."""
    pitch_hz, half_seconds = drawn(part, 1_000, 1_600, random), drawn(part, 0.28, 0.55, random)
    starts = np.arange(random.uniform(0, half_seconds), LONGEST_SECONDS, 2 * half_seconds)
    return sequence([(start, steady(pitch_hz, half_seconds, [1, 0.05, 0.33, 0.03, 0.2])) for start in starts])


SOUNDS: dict[str, Renderer] = {
    "Man speaking": partial(speaker, MEN),
    "Piano": Instrument({"train": (0,), "held-out": (1,)}, (36, 88), chords=0.3),
    "Smoke alarm": partial(alarm, smoke_alarm),
    "Woman speaking": partial(speaker, WOMEN),
    "Electric guitar": Instrument({"train": (30,), "held-out": (29,)}, (40, 76), chords=0.4),
    "Siren": partial(alarm, siren),
    "Choir": Instrument({"train": (52, 53), "held-out": (52, 53)}, (48, 79), chords=0.6),
    "Violin": Instrument({"train": (40,), "held-out": (110,)}, (55, 91)),
    "Telephone": partial(alarm, telephone),
    "Crowd": crowd,
    "Flute": Instrument({"train": (73, 75), "held-out": (74,)}, (60, 91)),
    "Doorbell": partial(alarm, doorbell),
    "Drum kit": drum_kit,
    "Car horn": partial(alarm, car_horn),
    "Organ": Instrument({"train": (16, 19, 20), "held-out": (18,)}, (36, 84), chords=0.7),
    "Reversing beeper": partial(alarm, reversing_beeper),
    "Trumpet": Instrument({"train": (56,), "held-out": (56,)}, (54, 82)),
    "Xylophone": Instrument({"train": (12, 13), "held-out": (13,)}, (60, 96)),
}
"""Renderers by label; voices, instruments and alarms alternate, so that the first labels have all three."""

NAMES = {
    "Smoke alarm": ("Smoke detector, smoke alarm", "Alarm"),
    "Siren": ("Siren",),
    "Telephone": ("Telephone", "Telephone bell ringing"),
    "Doorbell": ("Doorbell", "Ding-dong"),
    "Car horn": ("Vehicle horn, car horn, honking",),
    "Reversing beeper": ("Reversing beeps",),
}
"""AudioSet's names of the alarms."""

if __name__ == "__main__":
    main()
