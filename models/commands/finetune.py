"""The command ``finetune``."""

import os
import shlex
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import ModelError, TrainingError
from .options import DeviceOption
from .progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from ..checkpoints import Checkpoint
    from ..training.dataset import Dataset, Reader
    from ..training.finetune import FineTuning, Result, Told
    from ..training.recipes import Recipe
    from ..training.report import Summary

_WEIGHTS = {
    "best": "the weights of epoch {}, the best one",
    "average": "the mean of the weights of the last of {} epochs",
    "last": "the weights after {} epochs",
}


def finetune(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Option(
            help="What to learn: a folder with a sub-folder of recordings for each class, or a CSV file with the columns path,label "
            "(several labels are separated by |) and perhaps fold; ESC-50's meta/esc50.csv as it is."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, for --model: such as my.safetensors.")],
    init: Annotated[
        str | None,
        typer.Option(
            help="What to start from: a model, imagenet[:tiny|small|base|base384|FILE].  [the recipe's; tiny by default]"
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="default, esc50, audioset-balanced, audioset or speech-commands.")
    ] = "default",
    epochs: Annotated[
        int | None, typer.Option(help="Times to go through the data.  [the recipe's]", min=1)
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Highest learning rate.  [the recipe's]")] = None,
    batch: Annotated[int | None, typer.Option(help="Windows in a step.  [the recipe's]", min=1)] = None,
    window: Annotated[
        float | None,
        typer.Option(
            help="Seconds to look at, 1 to 10.24.  [as long as nearly all recordings]", min=1.0, max=10.24
        ),
    ] = None,
    fstride: Annotated[
        int | None, typer.Option(help="Stride between patches along mel bins.  [that of --init]")
    ] = None,
    tstride: Annotated[
        int | None, typer.Option(help="Stride between patches along rows.  [that of --init]")
    ] = None,
    multi_label: Annotated[
        bool,
        typer.Option("--multi-label", help="A recording may have several labels, even if none has here."),
    ] = False,
    validation: Annotated[
        float,
        typer.Option(help="Share of the recordings to measure with; 0: learn from all.", min=0.0, max=0.9),
    ] = 0.2,
    fold: Annotated[int | None, typer.Option(help="Measure with this fold of the CSV file instead.")] = None,
    folds: Annotated[
        str | None,
        typer.Option(
            help="Measure with each of so many folds in turn, or with all those of the CSV file, then learn from everything."
        ),
    ] = None,
    balanced: Annotated[
        bool | None,
        typer.Option("--balanced/--no-balanced", help="Draw rare classes as often.  [the recipe's]"),
    ] = None,
    mixup: Annotated[
        float | None, typer.Option(help="Share of the windows that are mixed.  [the recipe's]")
    ] = None,
    average: Annotated[
        bool | None,
        typer.Option("--average/--no-average", help="Average the weights of epochs.  [the recipe's]"),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without progress to stop after.  [the recipe's]", min=1)
    ] = None,
    normalise: Annotated[
        Literal["init", "data"] | None,
        typer.Option(help="Mean and deviation: those of --init, or of the data.  [the recipe's, else init]"),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Of the matrix products.")
    ] = "auto",
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0, max=2**31 - 1)] = 0,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes, to be resumed.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew even if there is such a file or run.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Folder of the report.  [OUT-report]")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never fetch anything.")] = False,
) -> None:
    """Teach a model the sounds of one's own recordings."""
    from rich.console import Console

    from ..training.dataset import SoundCache
    from ..training.finetune import FineTuning
    from ..training.plan import plan_parts

    if resume and overwrite:
        raise typer.BadParameter("--resume and --overwrite exclude each other")
    if fold is not None and folds is not None:
        raise typer.BadParameter("give either --fold or --folds")
    console = Console(stderr=True)
    state_file = _check_out(out, resume=resume, overwrite=overwrite)
    folder = report or out.with_name(f"{out.stem}-report")
    _check_report(folder, out, data)
    wishes = {
        "init": init,
        "rate": rate,
        "batch": batch,
        "window_seconds": window,
        "balanced": balanced,
        "mixup": mixup,
        "patience": patience,
    }
    chosen = _adjusted(recipe, epochs, average, wishes)
    sounds = SoundCache(context.obj)
    dataset, unreadable = _recordings(data, sounds, console, multi_label=multi_label, fold=fold, folds=folds)
    parts = plan_parts(dataset, validation=validation, fold=fold, folds=folds, seed=seed)
    start = _start(
        chosen,
        dataset,
        sounds,
        fstride=fstride,
        tstride=tstride,
        normalise=normalise,
        offline=offline,
        seed=seed,
    )
    run = FineTuning(
        start,
        dataset,
        sounds,
        chosen,
        parts,
        state_file=state_file,
        seed=seed,
        device=device,
        precision=precision,
    )
    if resume:
        run.restore()
    elif overwrite:
        state_file.unlink(missing_ok=True)
    done = _train(run, console, minutes, out, state_file)
    settings = _record(chosen, start, name=recipe, data=data, seed=seed)
    results = run.so_far()
    summary = _save(run, results, dataset, out, folder, settings=settings, unreadable=unreadable)
    if done:
        state_file.unlink(missing_ok=True)
    for line in _summary(results, summary, out, folder, multi_label=dataset.multi_label, done=done):
        typer.echo(line)


def _check_out(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """Make sure that nothing is lost, and that the file can be written when there is something to write; where its state goes."""
    if out.is_dir():
        raise TrainingError(f"{out} is a folder: give --out a file such as {out / 'my.safetensors'}")
    if out.suffix != ".safetensors":
        raise TrainingError(f"{out} is no name for a model: give --out a file such as my.safetensors")
    state_file = out.with_name(f"{out.name}.state")
    if not (resume or overwrite):
        if state_file.exists():
            raise TrainingError(
                f"a run that writes {out} was stopped: go on with --resume, or start anew with --overwrite"
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
    if folder == out or (folder.exists() and not folder.is_dir()):
        raise TrainingError(f"{folder} is a file, and the report is a folder: give another --report")
    if data.resolve().is_relative_to(folder.resolve()):
        raise TrainingError(
            f"the data is in {folder}, where the report would be written: give another --report"
        )
    _check_writable(folder, folder, "--report")


def _check_writable(folder: Path, wanted: Path, option: str) -> None:
    """Try to write into a folder, or, where it is still to be made, into the one that it will be in; nothing is left there."""
    folder = folder.absolute()
    try:
        os.fspath(wanted).encode()
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except UnicodeEncodeError as error:
        raise TrainingError(f"{os.fspath(wanted)!a} is no name in UTF-8: give another {option}") from error
    except OSError as error:
        raise TrainingError(f"{wanted} can't be written ({error.strerror}): give another {option}") from error


def _recordings(
    data: Path,
    sounds: "Reader",
    console: "Console",
    *,
    multi_label: bool,
    fold: int | None,
    folds: str | None,
) -> "tuple[Dataset, list[tuple[Path, str]]]":
    """List what to learn from; what can't be read is said and left out."""
    from ..training.dataset import check_trainable, read_dataset, readable

    listed = read_dataset(data)
    listed = replace(listed, multi_label=listed.multi_label or multi_label)
    check_trainable(listed)
    with bar(console, "recordings") as progress:
        dataset, unreadable = readable(listed, sounds, progress)
    for path, reason in unreadable:
        console.print(reason if str(path) in reason else f"{path}: {reason}", highlight=False, markup=False)
    _check_folds(listed.folds, dataset.folds, fold=fold, folds=folds)
    return dataset, unreadable


def _check_folds(
    listed: tuple[int, ...], left: tuple[int, ...], *, fold: int | None, folds: str | None
) -> None:
    """Make sure that no wished fold was lost with what can't be read."""
    from ..training.plan import ALL_FOLDS

    for lost in (number for number in listed if number not in left):
        if fold == lost or folds == ALL_FOLDS:
            raise TrainingError(
                f"none of the recordings of fold {lost} can be read: check the paths and the files"
            )


def _adjusted(
    name: str,
    epochs: int | None,
    average: bool | None,
    wishes: "Mapping[str, Any]",
) -> "Recipe":
    """The recipe of a name, with what the user wants otherwise."""
    from ..training.recipes import recipe

    chosen = recipe(name)
    if epochs is not None:
        chosen = replace(chosen.with_epochs(epochs), least_steps=0)
    if average is not None:
        average_from = chosen.average_from or chosen.epochs // 2 + 1
        chosen = replace(chosen, average_from=average_from if average else None)
    return replace(chosen, **{key: value for key, value in wishes.items() if value is not None})


def _start(
    recipe: "Recipe",
    dataset: "Dataset",
    sounds: "Reader",
    *,
    fstride: int | None,
    tstride: int | None,
    normalise: str | None,
    offline: bool,
    seed: int,
) -> "Checkpoint":
    """What the run starts from, for windows as the data needs them."""
    from ..fbank import FRAME_SHIFT, SAMPLE_RATE_HZ
    from ..training.batches import normalisation
    from ..training.plan import window_seconds_for
    from ..transfer import starting_point

    seconds = recipe.window_seconds or window_seconds_for(dataset, sounds)
    rows = round(seconds * SAMPLE_RATE_HZ / FRAME_SHIFT)
    start = starting_point(
        recipe.init, dataset.labels, fstride=fstride, tstride=tstride, rows=rows, offline=offline, seed=seed
    )
    if normalise == "data":
        mean, std = normalisation(dataset, sounds, start.config, seed)
        return replace(start, mean=mean, std=std)
    if normalise is None and recipe.mean is not None and recipe.std is not None:
        return replace(start, mean=recipe.mean, std=recipe.std)
    return start


def _train(run: "FineTuning", console: "Console", minutes: float | None, out: Path, state_file: Path) -> bool:
    """Run with a bar of the part; whether all parts are done."""
    from ..training.learning import DivergedError

    try:
        with _bars(console, run) as listen:
            return run.run(minutes=minutes, listen=listen)
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
def _bars(console: "Console", run: "FineTuning") -> "Iterator[Callable[[Told], None]]":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("", total=None, figures="")
        shown = 0

        def listen(told: "Told") -> None:
            nonlocal task, shown
            if shown != told.part:
                if shown:
                    bars.update(task, total=bars.tasks[-1].completed)
                    task = bars.add_task("", total=told.steps, figures="")
                shown = told.part
            name = f"{told.name} ({told.part} of {told.parts}), " if told.parts > 1 else ""
            best = "" if told.best is None else f", {run.metric_name} {told.best:.3f}"
            bars.update(
                task,
                description=f"{name}epoch {told.epoch} of {told.epochs}",
                completed=told.done,
                total=told.steps,
                figures=f"loss {told.loss:.3f}{best}",
            )

        yield listen


def _record(recipe: "Recipe", start: "Checkpoint", *, name: str, data: Path, seed: int) -> dict[str, Any]:
    """What the model and the report say of how it was made."""
    return asdict(recipe) | {
        "recipe": name,
        "data": os.fsencode(data).decode("utf-8", "backslashreplace"),
        "network": asdict(start.config),
        "mean": start.mean,
        "std": start.std,
        "seed": seed,
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
    from ..training.report import summarise, write_report

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
    """What the user wants to know at the end."""
    measured = [result for result in results if result.judgement is not None]
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
