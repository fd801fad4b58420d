"""The command ``distil``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import TrainingError
from .calibrate_model import write_calibrated
from .options import DeviceOption, PackOption
from .progress import bar

if TYPE_CHECKING:
    from rich.console import Console

    from ..training.distil import Distillation


def distil(
    pack: PackOption,
    out: Annotated[Path, typer.Option(help="Folder of the run: weights, state and report.")],
    init: Annotated[
        str | None, typer.Option(help="Start from this checkpoint: tiny, or a path.  [a new network]")
    ] = None,
    size: Annotated[Literal["tiny", "small", "base"], typer.Option(help="Of a new network.")] = "tiny",
    stages: Annotated[
        str | None,
        typer.Option(
            help="ROWS:SHARE:BATCH:FIRST_RATE:LAST_RATE:LENGTH, separated by commas: rows of a window (100 a second), share of the "
            "patches to look at, windows in a step, learning rates, and steps or minutes (30m).  [three stages]"
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many minutes, to be resumed.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0)] = 0,
    device: DeviceOption = "auto",
    optimizer: Annotated[Literal["muon", "adamw"], typer.Option(help="For the hidden matrices.")] = "muon",
    cache: Annotated[Path | None, typer.Option(help="Folder of the features.  [OUT/cache]")] = None,
    save_every: Annotated[int, typer.Option(help="Steps between savings.", min=1)] = 50,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network with torch.compile.")
    ] = False,
    calibrated: Annotated[
        bool,
        typer.Option("--calibrate/--no-calibrate", help="Calibrate the scores after the last stage."),
    ] = True,
) -> None:
    """Train a small AST: YAMNet teaches it on mixtures of a pack's clips."""
    from rich.console import Console

    from ..training.distil import DEFAULT_STAGES, STATE, Distillation, parse_stages
    from ..training.pack import Pack, load_features

    console = Console(stderr=True)
    plan = parse_stages(stages or DEFAULT_STAGES)
    if not resume and (out / STATE).exists():
        raise TrainingError(f"there is already a run in {out}: go on with --resume, or give another --out")
    opened = Pack(pack)
    with bar(console, "features") as progress:
        features = load_features(opened, cache or out / "cache", progress)
    run = Distillation(
        opened,
        features,
        stages=plan,
        out=out,
        init=init,
        size=size,
        seed=seed,
        device=device,
        optimizer=optimizer,
        compiled=compiled,
    )
    if resume:
        run.restore()
    done = _train(run, console, save_every, minutes)
    file = out / f"{size}.safetensors"
    notes = {"windows": run.progress.windows, "stages": stages or DEFAULT_STAGES, "seed": seed}
    checkpoint = run.export(file, notes)
    console.print(f"{file}: {run.progress.windows} windows" + ("" if done else "; --resume goes on"))
    if done and calibrated:
        write_calibrated(console, checkpoint, opened, file, notes, device=device)


def _train(run: "Distillation", console: "Console", save_every: int, minutes: float | None) -> bool:
    """Run with a bar of the stage; whether the last stage is done."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ..training.distil import Progress as Done

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("stage 1", total=1.0, figures="")

        def listen(done: Done, figures: dict[str, float]) -> None:
            stage = run.stages[done.stage]
            bars.update(
                task,
                description=f"stage {done.stage + 1} of {len(run.stages)}",
                completed=stage.progress(done.step, done.seconds),
                figures=f"{done.windows} windows, {figures['windows_per_second']:.1f}/s, loss {figures['loss']:.3f}",
            )

        return run.run(save_every=save_every, minutes=minutes, listen=listen)
