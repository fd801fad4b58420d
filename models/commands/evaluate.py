"""The command ``evaluate``."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .agreement import TEACHER, compare, open_teacher
from .background import measure, seconds_of
from .options import DeviceOption
from .progress import bar

if TYPE_CHECKING:
    from ..training.agreement import Scorer
    from ..training.dataset import Dataset, Reader
    from ..training.evaluate import Evaluation

CLASS_TABLE_START = b"label,"
"""How a table of classes begins; a list of recordings begins otherwise."""


def evaluate(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled recordings: a folder with a sub-folder for each class, or a CSV file with the columns path,label (several labels "
            "are separated by |); ESC-50's meta/esc50.csv as it is.",
            exists=True,
        ),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(
            help="An audio pack instead: how well the model agrees with YAMNet on its validation part."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="A name that the command models lists, a path, hub:OWNER/REPO or ensemble:A+B; with --pack also teacher, YAMNet itself."
        ),
    ] = "tiny",
    out: Annotated[Path | None, typer.Option("--csv", help="Write the figures of each class here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object on standard output.")] = False,
    places: Annotated[
        bool,
        typer.Option("--places", help="With --pack: let the clips lie in many places of the window."),
    ] = False,
    confused: Annotated[
        int,
        typer.Option(
            "--confusions",
            help="With --pack: print so many of the pairs that are confused most, and of the classes found best and worst.",
            min=0,
        ),
    ] = 0,
    reliability: Annotated[
        Path | None,
        typer.Option(
            help="With --pack: draw how often a class is there when it scores so, into this PNG file."
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="Listen to silence, hiss, hum, wind and a fan instead, 90, 10m or 1h of each: what does the model hear that isn't there?"
        ),
    ] = None,
    hop: Annotated[
        float, typer.Option(help="With --background: seconds from window to window.", min=0.1)
    ] = 5.0,
    fold: Annotated[int | None, typer.Option(help="Only this fold of the CSV file.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only so many recordings, chosen at random.", min=1)
    ] = None,
    batch: Annotated[int, typer.Option(help="Windows to score at once.", min=1, max=256)] = 8,
    device: DeviceOption = "auto",
    window: Annotated[
        float | None,
        typer.Option(help="Seconds looked at, 1 to 10.24.  [the model's own]", min=1.0, max=10.24),
    ] = None,
    fstride: Annotated[
        int | None, typer.Option(help="Stride along mel bins of a .pth whose name does not say it.")
    ] = None,
    tstride: Annotated[
        int | None, typer.Option(help="Stride along rows of a .pth whose name does not say it.")
    ] = None,
    input_tdim: Annotated[
        int | None, typer.Option(help="Rows of the input of a .pth, if they are not a usual number.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never fetch anything.")] = False,
) -> None:
    """Measure how well a model names labelled recordings."""
    alone = background if model != TEACHER else None
    if sum(wish is not None for wish in (data, pack, alone)) != 1:
        raise typer.BadParameter("give one of --data, --pack and --background")
    if pack is not None and (out is not None or fold is not None):
        raise typer.BadParameter("--csv and --fold go with --data")
    if pack is None and (places or confused or reliability or model == TEACHER):
        raise typer.BadParameter("--places, --confusions, --reliability and --model teacher go with --pack")
    _require_folder(reliability, "--reliability")
    _require_free(out)
    seconds = None if background is None else seconds_of(background)
    tagger: Scorer
    if pack is not None and model == TEACHER:
        tagger = open_teacher(pack, window)
    else:
        from ..tagger import load_tagger

        tagger = load_tagger(
            model,
            device=device,
            window_seconds=window,
            offline=offline,
            fstride=fstride,
            tstride=tstride,
            input_tdim=input_tdim,
        )
    if seconds is not None:
        measure(tagger, seconds, hop, as_json)
    elif pack is not None:
        compare(
            tagger,
            pack,
            limit=limit,
            every_place=places,
            confused=confused,
            diagram=reliability,
            as_json=as_json,
        )
    elif data is not None:
        dataset = _chosen(data, tagger.labels, fold, limit)
        _measure(tagger, dataset, context.obj, batch, out, as_json)


def _require_folder(file: Path | None, option: str) -> None:
    """Refuse to write a file into a folder that isn't there."""
    if file is not None and not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent} to write {option} into")


def _require_free(out: Path | None) -> None:
    """Refuse to write a table of classes where something else is, such as the list of the recordings."""
    _require_folder(out, "--csv")
    if out is None:
        return
    if out.is_dir():
        raise typer.BadParameter(f"{out} is a folder: give --csv a file in it")
    if out.exists() and not out.read_bytes().startswith(CLASS_TABLE_START):
        raise typer.BadParameter(
            f"{out} is there already and is no table of classes: give --csv another name"
        )


def _chosen(data: Path, labels: tuple[str, ...], fold: int | None, limit: int | None) -> "Dataset":
    """The wished fold of a data set, and of that a random choice."""
    import numpy as np

    from ..training.dataset import by_fold, read_dataset

    dataset = read_dataset(data, labels=labels)
    if fold is not None:
        _, validation = by_fold(dataset, fold)
        dataset = dataset.subset(validation)
    count = len(dataset.examples)
    if limit is None or limit >= count:
        return dataset
    return dataset.subset(np.sort(np.random.default_rng(0).choice(count, limit, replace=False)))


def _measure(
    tagger: "Scorer", dataset: "Dataset", reader: "Reader", batch: int, out: Path | None, as_json: bool
) -> None:
    """Score a data set; print the figures, then write those of each class."""
    from rich.console import Console

    from ..training.evaluate import evaluate as measure
    from ..training.evaluate import write_class_table

    with bar(Console(stderr=True), "recordings") as progress:
        evaluation = measure(tagger, dataset, reader, batch=batch, progress=progress)
    for path, reason in evaluation.unreadable:
        typer.echo(reason if str(path) in reason else f"{path}: {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(_summary(tagger.name, evaluation), ensure_ascii=False))
    else:
        _print_figures(tagger.name, evaluation)
    if out is not None:
        write_class_table(out, evaluation.dataset.labels, evaluation.figures.per_class)


def _summary(model: str, evaluation: "Evaluation") -> dict[str, object]:
    figures = evaluation.figures
    return {
        "model": model,
        "recordings": len(evaluation.scores),
        "classes": sum(entry.positives > 0 for entry in figures.per_class),
        "mean_average_precision": _figure(figures.mean_average_precision),
        "mean_auc": _figure(figures.mean_auc),
        "d_prime": _figure(figures.d_prime),
        "accuracy": _figure(figures.accuracy),
        "unreadable": [{"path": str(path), "reason": reason} for path, reason in evaluation.unreadable],
    }


def _figure(value: float) -> float | None:
    """JSON has neither NaN nor infinity: a figure that there isn't is null."""
    return value if math.isfinite(value) else None


def _print_figures(model: str, evaluation: "Evaluation") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    figures, scored = evaluation.figures, len(evaluation.scores)
    lost = len(evaluation.unreadable)
    table = Table(
        title=escape(model),
        title_style="bold",
        caption=f"{lost} of {scored + lost} recordings could not be read" if lost else None,
        show_header=False,
    )
    present = sum(entry.positives > 0 for entry in figures.per_class)
    table.add_row("recordings", str(scored))
    table.add_row("classes that they have, of the model's", f"{present} of {len(figures.per_class)}")
    table.add_row("mean average precision", f"{figures.mean_average_precision:.4f}")
    table.add_row("mean area under the ROC curve", f"{figures.mean_auc:.4f}")
    table.add_row("d-prime", f"{figures.d_prime:.3f}")
    table.add_row("first class is right (accuracy)", f"{figures.accuracy:.2%}")
    Console().print(table)
