"""``evaluate --pack``: how far a model agrees with the teacher."""

import json
import math
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .progress import bar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from ..training.agreement import Agreement, Scored, Scorer
    from ..training.confusions import ClassPrecision, Confusion

TEACHER = "teacher"
"""``--model teacher`` is YAMNet itself."""

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
"""Title, attribute and format of each row of the table."""
_WIDEST_WORD = 8
"""Of the places' names, which stand above narrow columns."""


def open_teacher(pack: Path, window_seconds: float | None) -> "Scorer":
    """The teacher in the place of a model, with windows of 10.24 s unless others are wished."""
    from ..tagger import LONGEST_WINDOW_SECONDS
    from ..training.pack import Pack
    from ..training.teacher_tagger import TeacherTagger

    return TeacherTagger(Pack(pack), window_seconds=window_seconds or LONGEST_WINDOW_SECONDS)


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
    """Score the validation part of an audio pack; print how far teacher and model agree.

    Parameters
    ----------
    tagger : Scorer
        The model.
    folder : Path
        Of the audio pack.
    limit : int or None
        A random choice of so many clips.
    every_place : bool
        Let the clips lie in all places that there are, instead of two.
    confused : int
        How many confusions to print, and how many of the best and the worst classes; 0 for none of them.
    diagram : Path or None
        A PNG file into which to draw how reliable the scores are.
    as_json : bool
        Print a JSON object, with all classes.
    """
    from rich.console import Console

    from ..training.agreement import agreements, score_places
    from ..training.confusions import class_precisions, confusions
    from ..training.pack import Pack
    from ..training.places import DEFAULT_PLACES, FOLLOWED_BY_SILENCE, PLACES

    pack = Pack(folder)
    places = tuple(PLACES) if every_place else DEFAULT_PLACES
    with bar(Console(stderr=True), "clips") as progress:
        scored = score_places(tagger, pack, places, limit=limit, progress=progress)
    if diagram is not None:
        _draw_reliability(diagram, scored, pack.silence)
    figures = agreements(scored, pack.silence)
    pairs = confusions(scored[FOLLOWED_BY_SILENCE], pack)[:confused]
    classes = class_precisions(scored[FOLLOWED_BY_SILENCE], pack) if confused else []
    if as_json:
        summary = _summary(tagger, figures)
        if confused:
            summary["confusions"] = [asdict(pair) for pair in pairs]
            summary["classes"] = [asdict(entry) for entry in classes]
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    console = Console()
    _print_agreements(console, f"{tagger.name}, {tagger.window_samples / 16_000:g} s windows", figures)
    if pairs:
        _print_confusions(console, pairs)
    if classes:
        _print_classes(console, classes, confused)


def _draw_reliability(path: Path, scored: "Mapping[str, Scored]", silence: int | None) -> None:
    from ..figures import draw_reliability
    from ..training.agreement import SURE, without_silence
    from ..training.calibration import reliability

    heard = {place: without_silence(there, silence) for place, there in scored.items()}
    draw_reliability(
        path, {place: reliability(there.scores, there.truth > SURE) for place, there in heard.items()}
    )


def _summary(tagger: "Scorer", figures: "Mapping[str, Agreement]") -> dict[str, object]:
    """JSON has neither NaN nor infinity: a figure that there isn't is null."""
    return {
        "model": tagger.name,
        "window_seconds": tagger.window_samples / 16_000,
        **{
            place: {key: value if math.isfinite(value) else None for key, value in asdict(agreement).items()}
            for place, agreement in figures.items()
        },
    }


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
    """Print the best and the worst classes; all of them, once, where there are few."""
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
