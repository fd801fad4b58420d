"""The command ``evaluate``."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..failures import UsageError
from ..options import takes
from ..progress import bar
from ..recordings import read_recording
from .agreement import compare, is_teacher, open_teacher
from .background import measure_background, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.training.agreement import Scorer
    from models.training.dataset import Dataset
    from models.training.evaluate import Evaluation

_CLASS_TABLE_START = b"label,positives,"
"""Beginning of a table of classes, which a list of recordings does not have."""


@takes("evaluate")
def evaluate(context: typer.Context, *, as_json: bool, hop: float, background: str | None) -> None:
    """Measure a model on labelled recordings."""
    options = context.params
    _check(options)
    seconds = None if background is None else seconds_of(background)
    tagger = _tagger(options)
    if seconds is not None:
        measure_background(tagger, seconds, hop, as_json=as_json)
    elif options["pack"] is not None:
        compare(
            tagger,
            options["pack"],
            limit=options["limit"],
            every_place=options["places"],
            confused=options["confused"],
            diagram=options["reliability"],
            as_json=as_json,
        )
    else:
        dataset = _dataset(options["data"], tagger.labels, options["fold"], options["limit"])
        _measure(tagger, dataset, options["batch"], options["out"], as_json=as_json)


def _check(options: "Mapping[str, Any]") -> None:
    """Refuse options that don't go together, and files that must not or can't be written.

    Raises
    ------
    UsageError
        There is one.
    """
    data, pack, model = options["data"], options["pack"], options["model"]
    alone = options["background"] if not is_teacher(model) else None
    with_pack = options["places"] or options["confused"] or options["reliability"] or is_teacher(model)
    if pack is None and with_pack:
        raise UsageError("--places, --confusions, --reliability and --model teacher go with --pack")
    if sum(chosen is not None for chosen in (data, pack, alone)) != 1:
        raise UsageError("give one of --data, --pack and --background")
    if data is None and (options["out"] is not None or options["fold"] is not None):
        raise UsageError("--csv and --fold go with --data")
    if data is None and pack is None and options["limit"] is not None:
        raise UsageError("--limit goes with --data and --pack")
    if options["teacher_from"] is not None and not is_teacher(model):
        raise UsageError("--teacher-from goes with --model teacher")
    _require_folder(options["reliability"], "--reliability")
    _require_table(options["out"])


def _require_folder(file: Path | None, option: str) -> None:
    """Refuse a file in a folder that does not exist."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UsageError(f"{option}: there is no folder {file.parent}; create it, or give another file")


def _require_table(out: Path | None) -> None:
    """Refuse to overwrite anything but a table of classes, such as the list of the recordings."""
    _require_folder(out, "--csv")
    if out is None:
        return
    if out.is_dir():
        raise UsageError(f"{out} is a folder: give --csv a file in it")
    if out.exists() and not out.read_bytes().startswith(_CLASS_TABLE_START):
        raise UsageError(f"{out} exists and is not a table of classes: give --csv another name")


def _tagger(options: "Mapping[str, Any]") -> "Scorer":
    """Load the model, or the teacher."""
    if options["pack"] is not None and is_teacher(options["model"]):
        return open_teacher(options["model"], options["teacher_from"] or options["pack"], options["window"])
    from models.local import load_tagger

    return load_tagger(
        options["model"],
        device=options["device"],
        precision=options["precision"],
        window_seconds=options["window"],
        offline=options["offline"],
        fstride=options["fstride"],
        tstride=options["tstride"],
        input_tdim=options["input_tdim"],
    )


def _dataset(data: Path, labels: tuple[str, ...], fold: int | None, limit: int | None) -> "Dataset":
    """Read a data set, or one fold of it, or a random choice."""
    import numpy as np

    from models.training.dataset import by_fold, read_dataset

    dataset = read_dataset(data, labels=labels)
    if fold is not None:
        _, validation = by_fold(dataset, fold)
        dataset = dataset.subset(validation)
    count = len(dataset.examples)
    if limit is None or limit >= count:
        return dataset
    return dataset.subset(np.sort(np.random.default_rng(0).choice(count, limit, replace=False)))


def _measure(tagger: "Scorer", dataset: "Dataset", batch: int, out: Path | None, *, as_json: bool) -> None:
    """Score a data set, print the figures and write those of each class."""
    from models.training.evaluate import evaluate as score
    from models.training.evaluate import write_class_table

    with bar("recordings") as progress:
        evaluation = score(tagger, dataset, read_recording, batch=batch, progress=progress)
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
        "mean_average_precision": _finite(figures.mean_average_precision),
        "mean_auc": _finite(figures.mean_auc),
        "d_prime": _finite(figures.d_prime),
        "accuracy": _finite(figures.accuracy),
        "unreadable": [{"path": str(path), "reason": reason} for path, reason in evaluation.unreadable],
    }


def _finite(value: float) -> float | None:
    """Return None for NaN and infinity, which JSON does not have."""
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
    table.add_row("classes of the model that occur", f"{present} of {len(figures.per_class)}")
    table.add_row("mean average precision", f"{figures.mean_average_precision:.4f}")
    table.add_row("mean area under the ROC curve", f"{figures.mean_auc:.4f}")
    table.add_row("d-prime", f"{figures.d_prime:.3f}")
    table.add_row("first class is right (accuracy)", f"{figures.accuracy:.2%}")
    Console().print(table)
