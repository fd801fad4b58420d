"""Agreement of a model with the teacher, and names that are right: ``evaluate --pack``."""

import json
import math
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..failures import UsageError
from ..progress import bar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from models.training.agreement import Agreement, Scored, Scorer
    from models.training.confusions import ClassPrecision, Confusion
    from models.training.names import NamesRight

TEACHER = "teacher"
"""Model name of YAMNet, and prefix of all teachers, as in ``teacher:mn04``."""

_FIGURES = (
    ("clips", "clips", "d"),
    ("mean average precision", "mean_average_precision", ".3f"),
    ("… classes with 5 clips or more", "classes", "d"),
    ("cross entropy per class", "cross_entropy", ".4f"),
    ("clips with a sure first class", "asked", "d"),
    ("first class agrees", "top1", ".1%"),
    ("… speech", "top1_speech", ".1%"),
    ("… music", "top1_music", ".1%"),
    ("… other", "top1_other", ".1%"),
    ("among the first five", "top5", ".1%"),
    ("teacher's first class, score", "score", ".3f"),
    ("… above 0.3", "right_over_03", ".1%"),
    ("first class stays the same", "same", ".1%"),
)
"""Title, attribute and format of each row."""
_WIDEST_WORD = 8
"""Longest word in the names of places, which head narrow columns."""


def is_teacher(model: str) -> bool:
    """Return True if a model is a teacher, whose weights lie in an audio pack."""
    return model.partition(":")[0] == TEACHER


def open_teacher(model: str, pack: Path, window_seconds: float | None) -> "Scorer":
    """Return a teacher of an audio pack in place of a model.

    Raises
    ------
    UsageError
        There is no such teacher.
    """
    from models.training.teachers import TEACHERS
    from models.training.teachers.tagger import load_teacher_tagger

    name = model.partition(":")[2] or "yamnet"
    if name not in TEACHERS:
        raise UsageError(f"there is no teacher '{name}': give {TEACHER}: and one of {', '.join(TEACHERS)}")
    return load_teacher_tagger(name, pack, window_seconds=window_seconds, device="cpu")


def compare(
    tagger: "Scorer",
    folder: Path,
    *,
    limit: int | None,
    every_place: bool,
    confused: int,
    diagram: Path | None,
    as_json: bool,
) -> None:
    """Score the validation part of an audio pack; print how far teacher and model agree, and how many names are right.

    Parameters
    ----------
    tagger : Scorer
        The model.
    folder : Path
        Folder of the audio pack.
    limit : int or None
        Number of clips, chosen at random.
    every_place : bool
        Place the clips everywhere in the window, instead of at two places.
    confused : int
        Number of confusions to print, and of the best and the worst classes; 0 prints none.
    diagram : Path or None
        PNG file for a reliability diagram.
    as_json : bool
        Print a JSON object with all classes.
    """
    from models.training.agreement import agreements, score_places
    from models.training.confusions import class_precisions, confusions
    from models.training.pack import Pack
    from models.training.places import DEFAULT_PLACES, FOLLOWED_BY_SILENCE, PLACES

    pack = Pack(folder)
    places = tuple(PLACES) if every_place else DEFAULT_PLACES
    with bar("clips") as progress:
        scored = score_places(tagger, pack, places, limit=limit, progress=progress)
    names = _names_right(tagger, folder, limit)
    if diagram is not None:
        _draw_reliability(diagram, scored, pack.silence)
    figures = agreements(scored, pack.silence)
    pairs = confusions(scored[FOLLOWED_BY_SILENCE], pack)[:confused]
    classes = class_precisions(scored[FOLLOWED_BY_SILENCE], pack) if confused else []
    if as_json:
        summary = _summary(tagger, figures)
        if names is not None:
            summary["names_right"] = asdict(names)
        if confused:
            summary["confusions"] = [asdict(pair) for pair in pairs]
            summary["classes"] = [asdict(entry) for entry in classes]
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    title = f"{tagger.name}, {tagger.window_samples / 16_000:g} s windows"
    _print(title, figures, names, pairs, classes, confused)


def _names_right(tagger: "Scorer", folder: Path, limit: int | None) -> "NamesRight | None":
    """Count right names on the clips that have names; None where an audio pack has none."""
    from models.training.names import names_right, with_names
    from models.training.pack import open_parts

    named = with_names(open_parts(folder))
    if named is None:
        return None
    with bar("clips with names") as progress:
        return names_right(tagger, named, limit=limit, progress=progress)


def _draw_reliability(path: Path, scored: "Mapping[str, Scored]", silence: int | None) -> None:
    from models.training.agreement import SURE, without_silence
    from models.training.calibration import reliability
    from models.training.figures import draw_reliability

    heard = {place: without_silence(there, silence) for place, there in scored.items()}
    draw_reliability(
        path, {place: reliability(there.scores, there.truth > SURE) for place, there in heard.items()}
    )


def _summary(tagger: "Scorer", figures: "Mapping[str, Agreement]") -> dict[str, object]:
    """Return the figures for JSON, with null for NaN and infinity."""
    return {
        "model": tagger.name,
        "window_seconds": tagger.window_samples / 16_000,
        **{
            place: {key: value if math.isfinite(value) else None for key, value in asdict(agreement).items()}
            for place, agreement in figures.items()
        },
    }


def _print(
    title: str,
    figures: "Mapping[str, Agreement]",
    names: "NamesRight | None",
    pairs: "Sequence[Confusion]",
    classes: "Sequence[ClassPrecision]",
    most: int,
) -> None:
    """Print a table of each kind of figures that there is."""
    from rich.console import Console

    console = Console()
    _print_agreements(console, title, figures)
    if names is not None:
        _print_names(console, names)
    if pairs:
        _print_confusions(console, pairs)
    if classes:
        _print_classes(console, classes, most)


def _print_agreements(console: "Console", title: str, figures: "Mapping[str, Agreement]") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("agreement with the teacher", title=escape(title), title_style="bold")
    for place in figures:
        table.add_column(textwrap.fill(place, _WIDEST_WORD), justify="right", no_wrap=True)
    for row, attribute, form in _FIGURES:
        values = [getattr(agreement, attribute) for agreement in figures.values()]
        table.add_row(row, *("-" if math.isnan(value) else format(value, form) for value in values))
    console.print(table)


def _print_names(console: "Console", names: "NamesRight") -> None:
    from rich.table import Table

    table = Table("names that people would give", title="names right", title_style="bold")
    table.add_column("first", justify="right")
    table.add_column("among three", justify="right")
    table.add_column("among five", justify="right")
    shares = names.first, names.of_three, names.of_five
    table.add_row(f"{names.clips} clips", *(f"{share:.1%}" for share in shares))
    console.print(table)


def _print_confusions(console: "Console", pairs: "Sequence[Confusion]") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("the teacher hears", "the model hears", title="most often confused", title_style="bold")
    table.add_column("clips", justify="right")
    table.add_column("of", justify="right")
    for pair in pairs:
        table.add_row(escape(pair.taught), escape(pair.heard), str(pair.clips), str(pair.of))
    console.print(table)


def _print_classes(console: "Console", classes: "Sequence[ClassPrecision]", most: int) -> None:
    """Print the best and the worst classes; all of them, once, if there are few."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("class", title="found best and worst", title_style="bold")
    table.add_column("clips", justify="right")
    table.add_column("average precision", justify="right")
    for rank, entry in enumerate(classes):
        if most <= rank < len(classes) - most:
            continue
        table.add_row(
            escape(entry.label),
            str(entry.positives),
            f"{entry.average_precision:.3f}",
            end_section=rank == most - 1,
        )
    console.print(table)
