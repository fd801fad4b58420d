"""The command ``distil``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..options import takes
from ..progress import Tenths, bar
from .calibrate_model import write_calibrated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.training.distil import Distillation
    from models.training.distil import Progress as Done
    from models.training.pack import Pack


@takes("distil")
def distil(
    context: typer.Context,
    *,
    pack: Path,
    out: Path,
    size: str,
    stages: str | None,
    minutes: float | None,
    resume: bool,
    seed: int,
    device: str,
    save_every: int,
    calibrated: bool,
) -> None:
    """Train a small AST with YAMNet as its teacher.

    It learns from mixtures of the clips of an audio pack.
    """
    from rich.console import Console

    from models.errors import TrainingError
    from models.known_family import require_ast_before_loading
    from models.training.distil import DEFAULT_STAGES, STATE, parse_stages
    from models.training.pack import Pack

    console = Console(stderr=True)
    parse_stages(stages or DEFAULT_STAGES)  # refuses a mistake before anything is read
    if not resume and (out / STATE).exists():
        raise TrainingError(f"there is a run in {out}: continue it with --resume, or give another --out")
    if (init := context.params["init"]) is not None:
        require_ast_before_loading(init, "distilled")
    opened = Pack(pack)
    run = _prepare(opened, context.params)
    if resume:
        run.restore()
    done = _train(run, save_every, minutes)
    file = out / f"{size}.safetensors"
    notes = {"windows": run.progress.windows, "stages": stages or DEFAULT_STAGES, "seed": seed}
    checkpoint = run.export(file, notes)
    console.print(f"{file}: {run.progress.windows} windows" + ("" if done else "; --resume goes on"))
    if done and calibrated:
        write_calibrated(checkpoint, [opened], file, notes, device=device)


def _prepare(pack: "Pack", options: "Mapping[str, Any]") -> "Distillation":
    """Read the features of a pack and set up the run."""
    from models.training.distil import DEFAULT_STAGES, Distillation, parse_stages
    from models.training.pack import load_features

    with bar("features") as progress:
        features = load_features(pack, options["cache"] or options["out"] / "cache", progress)
    return Distillation(
        pack,
        features,
        stages=parse_stages(options["stages"] or DEFAULT_STAGES),
        out=options["out"],
        init=options["init"],
        size=options["size"],
        seed=options["seed"],
        device=options["device"],
        optimizer=options["optimizer"],
        compiled=options["compiled"],
    )


def _train(run: "Distillation", save_every: int, minutes: float | None) -> bool:
    """Train with a progress bar of the stage; return True if the last stage is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        return run.run(save_every=save_every, minutes=minutes, on_step=_lines(run))
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("stage 1", total=1.0, figures="")

        def update(done: "Done", figures: dict[str, float]) -> None:
            stage = run.stages[done.stage]
            bars.update(
                task,
                description=f"stage {done.stage + 1} of {len(run.stages)}",
                completed=stage.progress(done.step, done.seconds),
                figures=_figures(done, figures),
            )

        return run.run(save_every=save_every, minutes=minutes, on_step=update)


def _lines(run: "Distillation") -> "Callable[[Done, dict[str, float]], None]":
    """Return a function that logs each tenth of a stage."""
    log = Tenths()

    def update(done: "Done", figures: dict[str, float]) -> None:
        stage = f"stage {done.stage + 1} of {len(run.stages)}"
        log(stage, run.stages[done.stage].progress(done.step, done.seconds), 1.0, _figures(done, figures))

    return update


def _figures(done: "Done", figures: "Mapping[str, float]") -> str:
    return f"{done.windows} windows, {figures['windows_per_second']:.1f}/s, loss {figures['loss']:.3f}"
