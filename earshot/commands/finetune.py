"""The command ``finetune``."""

import logging
import os
import shlex
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..failures import UsageError
from ..options import takes
from ..progress import bar
from ..recordings import read_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from models.checkpoints import Checkpoint
    from models.training.dataset import Dataset, Reader
    from models.training.finetune import FineTuning, Progress, Result
    from models.training.recipes import Recipe
    from models.training.report import Summary

_WEIGHTS = {
    "best": "the weights of epoch {}, the best one",
    "average": "the mean of the weights of the last of {} epochs",
    "last": "the weights after {} epochs",
}

_log = logging.getLogger(__name__)

_CHANGES = ("init", "rate", "batch", "balanced", "mixup", "patience")
"""Options that change a field of the recipe."""


@takes("finetune")
def finetune(
    context: typer.Context,
    *,
    data: Path,
    out: Path,
    fold: int | None,
    folds: str | None,
    minutes: float | None,
    resume: bool,
    overwrite: bool,
    report: Path | None,
) -> None:
    """Fine-tune a model on your recordings."""
    from rich.console import Console

    from models.training.dataset import SoundCache
    from models.training.transfer import require_starting_point

    if resume and overwrite:
        raise UsageError("give either --resume or --overwrite")
    if fold is not None and folds is not None:
        raise UsageError("give either --fold or --folds")
    options = context.params
    console = Console(stderr=True)
    state_file = _check_out(out, resume=resume, overwrite=overwrite)
    folder = report or out.with_name(f"{out.stem}-report")
    _check_report(folder, out, data)
    recipe = _recipe(options)
    require_starting_point(recipe.init, offline=options["offline"])
    sounds = SoundCache(read_recording)
    dataset, unreadable = _recordings(options, sounds, console)
    start = _start(recipe, dataset, sounds, options)
    run = _run(start, dataset, sounds, recipe, state_file, options)
    if resume:
        run.restore()
    elif overwrite:
        state_file.unlink(missing_ok=True)
    done = _train(run, console, minutes, out, state_file)
    settings = _record(recipe, start, options)
    results = run.so_far()
    summary = _save(run, results, dataset, out, folder, settings=settings, unreadable=unreadable)
    if done:
        state_file.unlink(missing_ok=True)
    for line in _summary(results, summary, out, folder, multi_label=dataset.multi_label, done=done):
        typer.echo(line)


def _recipe(options: "Mapping[str, Any]") -> "Recipe":
    """Return the recipe with the options that change it."""
    from models.training.preparation import adjusted_recipe

    changes = {name: options[name] for name in _CHANGES} | {"window_seconds": options["window"]}
    return adjusted_recipe(
        options["recipe"],
        epochs=options["epochs"],
        average=options["average"],
        changes=changes,
        head_only=options["head_only"],
    )


def _start(
    recipe: "Recipe", dataset: "Dataset", sounds: "Reader", options: "Mapping[str, Any]"
) -> "Checkpoint":
    """Return the checkpoint to start from."""
    from models.training.preparation import starting_checkpoint

    names = ("fstride", "tstride", "normalise", "offline", "seed")
    return starting_checkpoint(recipe, dataset, sounds, **{name: options[name] for name in names})


def _run(
    start: "Checkpoint",
    dataset: "Dataset",
    sounds: "Reader",
    recipe: "Recipe",
    state_file: Path,
    options: "Mapping[str, Any]",
) -> "FineTuning":
    """Set up the run."""
    from models.training.finetune import FineTuning
    from models.training.plan import plan_parts

    names = ("validation", "fold", "folds", "seed")
    parts = plan_parts(dataset, **{name: options[name] for name in names})
    return FineTuning(
        start,
        dataset,
        sounds,
        recipe,
        parts,
        state_file=state_file,
        seed=options["seed"],
        device=options["device"],
        precision=options["precision"],
    )


def _check_out(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """Make sure that the model can be written and replaces nothing unasked; return the file of its state."""
    from models.errors import TrainingError

    if out.is_dir():
        raise TrainingError(f"{out} is a folder: give --out a file such as {out / 'my.safetensors'}")
    if out.suffix != ".safetensors":
        raise TrainingError(f"{out} is not a model's file name: give --out a file such as my.safetensors")
    state_file = out.with_name(f"{out.name}.state")
    if not (resume or overwrite):
        if state_file.exists():
            raise TrainingError(
                f"a run that writes {out} was stopped: continue it with --resume, or replace it with --overwrite"
            )
        for file in (out, out.with_name(f"{out.name}.part")):
            if file.exists():
                raise TrainingError(
                    f"there is already a file {file}: give another --out, or replace it with --overwrite"
                )
    _check_writable(out.parent, out, "--out")
    return state_file


def _check_report(folder: Path, out: Path, data: Path) -> None:
    """Make sure that the report can be written, and not over the data."""
    from models.errors import TrainingError

    if folder == out or (folder.exists() and not folder.is_dir()):
        raise TrainingError(f"{folder} is a file, and the report is a folder: give another --report")
    if data.resolve().is_relative_to(folder.resolve()):
        raise TrainingError(
            f"the data is in {folder}, where the report would be written: give another --report"
        )
    _check_writable(folder, folder, "--report")


def _check_writable(folder: Path, wanted: Path, option: str) -> None:
    """Try to write into a folder or, if it does not exist, into the one that it will be in; leave nothing there."""
    from models.errors import TrainingError

    folder = folder.absolute()
    try:
        os.fspath(wanted).encode()
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except UnicodeEncodeError as error:
        raise TrainingError(f"{os.fspath(wanted)!a} is not UTF-8: give another {option}") from error
    except OSError as error:
        raise TrainingError(f"{wanted} can't be written ({error.strerror}): give another {option}") from error


def _recordings(
    options: "Mapping[str, Any]", sounds: "Reader", console: "Console"
) -> "tuple[Dataset, list[tuple[Path, str]]]":
    """Return the recordings to learn from, and those that can't be read, which are also printed."""
    from models.training.dataset import check_trainable, read_dataset, readable

    listed = read_dataset(options["data"])
    listed = replace(listed, multi_label=listed.multi_label or options["multi_label"])
    check_trainable(listed)
    with bar("recordings") as progress:
        dataset, unreadable = readable(listed, sounds, progress)
    for path, reason in unreadable:
        console.print(reason if str(path) in reason else f"{path}: {reason}", highlight=False, markup=False)
    _check_folds(listed.folds, dataset.folds, fold=options["fold"], folds=options["folds"])
    return dataset, unreadable


def _check_folds(
    listed: tuple[int, ...], left: tuple[int, ...], *, fold: int | None, folds: str | None
) -> None:
    """Make sure that each requested fold has a recording that can be read."""
    from models.errors import TrainingError
    from models.training.plan import ALL_FOLDS

    for lost in (number for number in listed if number not in left):
        if fold == lost or folds == ALL_FOLDS:
            raise TrainingError(
                f"none of the recordings of fold {lost} can be read: check the paths and the files"
            )


def _train(run: "FineTuning", console: "Console", minutes: float | None, out: Path, state_file: Path) -> bool:
    """Train with a progress bar; return True if all parts are done."""
    from models.errors import TrainingError
    from models.training.learning import DivergedError

    try:
        with _bars(console, run) as update:
            return run.run(minutes=minutes, on_step=update)
    except DivergedError as error:
        measured = run.export_measured(out)
        advice = [f"the best weights that were measured are in {out}" if measured else "no model was written"]
        if state_file.exists():
            advice.append("--resume goes on from the last saved state")
        raise TrainingError("; ".join((str(error), *advice))) from error
    except KeyboardInterrupt:
        if state_file.exists():
            console.print("stopped: --resume goes on from the last saved state")
        raise


@contextmanager
def _bars(console: "Console", run: "FineTuning") -> "Iterator[Callable[[Progress], None]]":
    from rich import progress

    from models import standard_output

    if not console.is_terminal:
        with _lines(run) as update:
            yield update
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[figures]}"),
    )
    with progress.Progress(*columns, console=console, redirect_stdout=standard_output.is_shown()) as bars:
        task = bars.add_task("", total=None, figures="")
        shown = 0

        def update(now: "Progress") -> None:
            nonlocal task, shown
            if shown != now.part:
                if shown:
                    bars.update(task, total=bars.tasks[-1].completed)
                    task = bars.add_task("", total=now.steps, figures="")
                shown = now.part
            best = "" if now.best is None else f", {run.metric_name} {now.best:.3f}"
            bars.update(
                task,
                description=_epoch(now),
                completed=now.done,
                total=now.steps,
                figures=f"loss {now.loss:.3f}{best}",
            )

        yield update


@contextmanager
def _lines(run: "FineTuning") -> "Iterator[Callable[[Progress], None]]":
    """Log a line for each epoch that has ended."""
    last: Progress | None = None

    def log(ended: "Progress", best: float | None) -> None:
        measured = "" if best is None else f", best {run.metric_name} {best:.3f}"
        _log.info("%s: loss %.3f%s", _epoch(ended), ended.loss, measured)

    def update(now: "Progress") -> None:
        nonlocal last
        if last is not None and (last.part, last.epoch) != (now.part, now.epoch):
            log(last, now.best if last.part == now.part else last.best)
        last = now

    try:
        yield update
    finally:
        if last is not None:
            log(last, last.best)


def _epoch(now: "Progress") -> str:
    """Return the names of the part and the epoch."""
    name = f"{now.name} ({now.part} of {now.parts}), " if now.parts > 1 else ""
    return f"{name}epoch {now.epoch} of {now.epochs}"


def _record(recipe: "Recipe", start: "Checkpoint", options: "Mapping[str, Any]") -> dict[str, Any]:
    """Return what the model and the report say about their making."""
    return asdict(recipe) | {
        "recipe": options["recipe"],
        "data": os.fsencode(options["data"]).decode("utf-8", "backslashreplace"),
        "network": asdict(start.config),
        "mean": start.mean,
        "std": start.std,
        "seed": options["seed"],
    }


def _save(
    run: "FineTuning",
    results: "tuple[Result, ...]",
    dataset: "Dataset",
    out: Path,
    folder: Path,
    *,
    settings: "Mapping[str, Any]",
    unreadable: "Sequence[tuple[Path, str]]",
) -> "Summary":
    """Write the model, then the report."""
    from models.errors import ModelError, TrainingError
    from models.training.report import summarise, write_report

    summary = summarise(results)
    run.export(out, {"settings": settings, "accuracy" if not dataset.multi_label else "mAP": summary.metric})
    try:
        write_report(folder, results, summary, dataset, settings=settings, unreadable=unreadable)
    except ModelError as error:
        raise TrainingError(f"the model is saved in {out}, but {error}; --resume tries again") from error
    return summary


def _summary(
    results: "tuple[Result, ...]",
    summary: "Summary",
    out: Path,
    folder: Path,
    *,
    multi_label: bool,
    done: bool,
) -> "Iterator[str]":
    """Yield the lines of the summary."""
    measured = [result for result in results if result.validation is not None]
    name = "mean average precision" if multi_label else "accuracy"
    if len(measured) > 1:
        yield f"{name} {summary.metric:.1%} (+/- {summary.deviation:.1%}) over {len(measured)} folds"
    elif measured:
        count = len(summary.scores)
        held_out = "1 recording that was" if count == 1 else f"{count} recordings that were"
        yield f"{name} {summary.metric:.1%} on the {held_out} held out"
    for result in results[-1:]:
        yield f"{out}: {_WEIGHTS[result.kept].format(result.epochs)}"
    yield f"report: {folder}"
    if not done:
        yield "not finished: --resume goes on"
    yield f"listen with it: earshot --model {shlex.quote(str(out))}"
