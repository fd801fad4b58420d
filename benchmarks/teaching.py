"""Recall and false alarms of taught sounds: examples and tests from recordings that neither the head nor the bundled other sounds contain.

    python benchmarks/teaching.py --pack FOLDER [--model tiny] [--model teacher:mn04] [--cache FOLDER] [--limit 600]

FOLDER has real.zip and real.csv, and a teacher's weights. Fifteen sounds are taught from 1, 3, 5 and 10 examples. Each test window has a recording at a
random place and level in a quiet room; the negatives are recordings of other sounds, which are not bundled, and the other fourteen sounds. Columns: area under the ROC curve; share of tests found where .1 % and .3 % of the negatives are; then with the head's own threshold: share of
test windows found, share of negatives, and the share of examples that it said it would find. Beside it: the way of openWakeWord's verifiers (C=.001),
and the nearest centroid. A last table has what wrong events lower.
"""

import argparse
import csv
import io
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from models.local import load_tagger
from models.tagger import Tagger
from models.teaching import heads
from models.teaching.corrections import correction_heads
from models.teaching.lessons import VARIATIONS
from models.teaching.other_sounds import OtherSounds, general_sounds
from models.teaching.taught_tagger import lowering
from models.teaching.variations import in_quiet_room, variations
from models.training.augment import place
from models.training.teachers.tagger import load_teacher_tagger

SOUNDS = {
    **{name: ("olpc-berklee", name) for name in ("shaker", "squeak", "camera", "bell", "hand_drum")},
    "tearing": ("olpc-berklee", "tearing_cloth"),
    "crow": ("dynamic-surroundings", "birds-crow"),
    "typing": ("keystrokes", "keystroke"),
    "cough": ("cough-cc0", "cough"),
    "baby": ("donateacry", "cry-hungry"),
    "snoring": ("doggy-daycare", "dog_sleeping"),
    "steps in water": ("cdda-cc-sounds", "plmove", "walk_water"),
    "steps on gravel": ("cdda-cc-sounds", "plmove", "walk_t_gravel"),
    "steps on grass": ("cdda-cc-sounds", "plmove/walk_t_grass_long", "walk_t_grass_long"),
    "cicada": ("mod-sounds", "cicada"),
}
"""Source, class and beginning of the file's name, if others are in that class."""
MOST_EXAMPLES, MOST_RECORDINGS, MOST_OF_A_SOURCE = 10, 18, 110
OTHERS_OF_A_SOUND = 4
COUNTS = (1, 3, 5, 10)
SEEDS = 3


@dataclass(frozen=True, slots=True)
class Recordings:
    """Recordings of the pack: those of each sound, and the negatives."""

    sounds: dict[str, list[str]]
    negatives: list[str]


def choose(folder: Path, limit: int) -> Recordings:
    """Choose one clip of each recording of the sounds, and negatives from sources without a bundled sound."""
    random = np.random.default_rng(0)
    rows = _table(folder / "real.csv")
    assets = ROOT / "models" / "teaching" / "assets"
    bundled = {row["repository"] for row in _table(assets / "other_sounds.csv")}
    embedded = {(row["repository"], row["path"]) for row in _table(assets / "other_sounds_of_tiny.csv")}
    sounds: dict[str, dict[str, str]] = defaultdict(dict)
    negatives = defaultdict(list)
    for row in rows:
        found = next((name for name, where in SOUNDS.items() if _is_of(row, where)), None)
        if found:
            sounds[found].setdefault(row["path"], row["id"])
        elif not (
            row["repo"] in bundled or (row["repo"], row["path"]) in embedded or row["source"] == "donateacry"
        ):
            negatives[row["source"]].append(row["id"])
    chosen = {
        name: list(random.permutation(list(found.values())))[:MOST_RECORDINGS]
        for name, found in sounds.items()
    }
    spread = [clip for ids in negatives.values() for clip in random.permutation(ids)[:MOST_OF_A_SOURCE]]
    return Recordings(chosen, list(random.permutation(spread))[:limit])


def _table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.open(encoding="utf-8")))


def _is_of(row: dict[str, str], where: Sequence[str]) -> bool:
    source, label, *start = where
    name = row["path"].rpartition("/")[2]
    return (row["source"], row["class"]) == (source, label) and (not start or name.startswith(start[0]))


def embed(tagger: Tagger, folder: Path, recordings: Recordings) -> dict[str, Any]:
    """Embed the variations of the examples, and a window with each recording."""
    random = np.random.default_rng(1)
    result: dict[str, Any] = {}
    with zipfile.ZipFile(folder / "real.zip") as pack:

        def read(clip: str) -> Any:
            sound, _ = soundfile.read(io.BytesIO(pack.read(f"{clip}.opus")), dtype="float32")
            return sound[: tagger.window_samples]

        def window(clip: str) -> Any:
            sound = np.clip(read(clip) * np.float32(10 ** (random.uniform(-12, 3) / 20)), -1, 1)
            return in_quiet_room(place(sound, tagger.window_samples, random)[None], random)

        result["negatives"] = np.concatenate(
            [tagger.embed(window(clip)) for clip in track(recordings.negatives, "negatives")]
        )
        for name, clips in track(recordings.sounds.items(), "sounds"):
            result[f"{name}/tests"] = np.concatenate([tagger.embed(window(clip)) for clip in clips])
            result[f"{name}/examples"] = np.stack(
                [
                    tagger.embed(variations(read(clip), tagger.window_samples, VARIATIONS, random))
                    for clip in clips[:MOST_EXAMPLES]
                ]
            )
    others = general_sounds(tagger)
    result["others"] = others.embeddings
    return result


Scorer = Callable[[Any], Any]


def head_of(examples: Any, others: Any, inverse_penalty: float | None) -> tuple[Scorer, float]:
    """Return a head's function, and the recall that it expects."""
    more: dict[str, Any] = {} if inverse_penalty is None else {"inverse_penalties": (inverse_penalty,)}
    if len(examples) == 1:  # no example can be left out: two halves of the variations take the place of two
        examples = examples.reshape(2, -1, examples.shape[-1])
    lesson = heads.learn(list(examples), others, **more)
    return lesson.head.logits, lesson.recall


def centroid_of(examples: Any, others: Any) -> tuple[Scorer, float]:
    """Return the similarity to the mean example."""
    centre, spread = others.mean(0), others.std(0) + 1e-6

    def normed(rows: Any) -> Any:
        rows = (rows - centre) / spread
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    mean = normed(examples.reshape(-1, examples.shape[-1])).mean(0)
    return lambda rows: normed(rows) @ mean, np.nan


def measure(found: dict[str, Any], count: int, learn: Callable[[Any, Any], tuple[Scorer, float]]) -> Any:
    """Return the figures of each sound, as means over the choices of its examples: (sounds, 6)."""
    rows = []
    for name in SOUNDS:
        tests, examples = found[f"{name}/tests"], found[f"{name}/examples"]
        others = [found[f"{other}/tests"][:OTHERS_OF_A_SOUND] for other in SOUNDS if other != name]
        negatives = np.concatenate([found["negatives"], *others])
        figures = []
        for seed in range(SEEDS):
            taken = np.random.default_rng(seed).permutation(len(examples))[:count]
            rest = np.setdiff1d(np.arange(len(tests)), taken)
            if len(rest) < 3:
                continue
            scorer, expected = learn(examples[taken], found["others"])
            scores, false = scorer(tests[rest]), scorer(negatives)
            truth = np.repeat([1, 0], [len(scores), len(false)])
            figures.append(
                (
                    roc_auc_score(truth, np.concatenate((scores, false))),
                    (scores > np.quantile(false, 0.999)).mean(),
                    (scores > np.quantile(false, 0.997)).mean(),
                    *((np.nan,) * 2 if np.isnan(expected) else ((scores >= 0).mean(), (false >= 0).mean())),
                    expected,
                )
            )
        if figures:
            rows.append(np.mean(figures, axis=0))
    return np.array(rows)


def report(name: str, found: dict[str, Any]) -> None:
    """Print the tables of a model."""
    console = Console(width=120)
    ways = {f"head, {count} examples": (count, lambda e, o: head_of(e, o, None)) for count in COUNTS}
    ways["verifier (C=.001), 5 examples"] = (5, lambda e, o: head_of(e, o, 0.001))
    ways["nearest centroid, 5 examples"] = (5, centroid_of)
    columns = ("AUC", "found at .1 %", "at .3 %", "found", "false", "expected")
    table = Table(name, *columns)
    by_sound = Table(f"{name}, 5 examples", *columns)
    for way, (count, learn) in ways.items():
        figures = measure(found, count, learn)
        table.add_row(way, *(_figure(value) for value in figures.mean(0)))
        if way == "head, 5 examples":
            for sound, row in zip(SOUNDS, figures, strict=True):
                by_sound.add_row(sound, *map(_figure, row))
    console.print(table)
    console.print(by_sound)


def report_corrections(name: str, found: dict[str, Any]) -> None:
    """Print how far corrections reach: shares of windows whose score falls below a third, for wrong events of each sound."""
    table = Table(f"{name}, wrong events", "the same recordings", "others of the sound", "other sounds")
    others = OtherSounds(found["others"], ("",) * len(found["others"]))
    for count in (1, 2, 4):
        rows = []
        for sound in SOUNDS:
            heads_of = correction_heads(list(found[f"{sound}/examples"][:count]), others)
            tests = found[f"{sound}/tests"]
            parts = (tests[:count], tests[count:], found["negatives"])
            rows.append([(lowering(heads_of, part) < 1 / 3).mean() for part in parts])
        table.add_row(str(count), *map(_figure, np.mean(rows, 0)))
    Console(width=120).print(table)


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}" if 0 < value < 0.01 else f"{value:.3f}"


def main() -> None:
    """Measure the models."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--model", action="append")
    parser.add_argument("--cache", type=Path, help="folder of the embeddings, for further runs")
    parser.add_argument("--limit", type=int, default=600)
    options = parser.parse_args()
    recordings = choose(options.pack, options.limit)
    for model in options.model or ["tiny"]:
        teacher = model.removeprefix("teacher:")
        tagger = load_tagger(model) if teacher == model else load_teacher_tagger(teacher, options.pack)
        cached = options.cache and options.cache / f"{teacher}-{options.limit}.npz"
        if cached and cached.exists():
            with np.load(cached) as saved:
                found = dict(saved)
        else:
            found = embed(tagger, options.pack, recordings)
            if cached:
                cached.parent.mkdir(parents=True, exist_ok=True)
                np.savez(cached, **found)
        report(model, found)
        report_corrections(model, found)


if __name__ == "__main__":
    main()
