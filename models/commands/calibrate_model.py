"""The command ``calibrate-model``, and what ``distil`` does at its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import TrainingError
from .background import seconds_of
from .options import DeviceOption, PackOption

if TYPE_CHECKING:
    from rich.console import Console

    from ..checkpoints import Checkpoint
    from ..training.pack import Pack


def calibrate_model(
    pack: PackOption,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    model: Annotated[
        str, typer.Option(help="What to calibrate: tiny, or a path of a model of AudioSet.")
    ] = "tiny",
    limit: Annotated[
        int | None,
        typer.Option(
            help="Only so many clips of either part, chosen at random.  [600 for training, all for validation]",
            min=1,
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(help="How long to listen to silence, hiss, hum, wind and a fan: 90, 10m or 1h of each."),
    ] = "10m",
    device: DeviceOption = "auto",
) -> None:
    """Make a model's scores mean something: probabilities, and a threshold for each class."""
    from rich.console import Console

    from ..checkpoints import load_checkpoint
    from ..training.pack import Pack

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"{out} can't be written: give --out a file in a folder that is there")
    background_seconds = seconds_of(background)
    checkpoint, opened = load_checkpoint(model), Pack(pack)
    write_calibrated(
        Console(stderr=True),
        checkpoint,
        opened,
        out,
        {"calibrated": model},
        limit=limit,
        background_seconds=background_seconds,
        device=device,
    )


def write_calibrated(
    console: "Console",
    checkpoint: "Checkpoint",
    pack: "Pack",
    path: Path,
    notes: Mapping[str, Any],
    **options: Any,
) -> None:
    """Calibrate a checkpoint with a progress bar, write it, and say what was done.

    Parameters
    ----------
    console : Console
        Where bar and line go.
    checkpoint, pack, options
        For `training.calibration.calibrate`.
    path : Path
        The file to write.
    notes : mapping
        JSON values for people, to which the calibration's are added.

    Raises
    ------
    TrainingError
        The checkpoint can't be calibrated, or the file not be written.
    """
    from rich.progress import Progress

    from ..checkpoints import save_checkpoint
    from ..training.calibration import calibrate as adjust

    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def tell(part: str, done: int, total: int) -> None:
            bars.update(task, description=part, completed=done, total=total)

        done = adjust(checkpoint, pack, progress=tell, **options)
    figures = {"slope": round(done.slope, 4), "offset": round(done.offset, 4)}
    try:
        save_checkpoint(done.checkpoint, path, {**notes, "calibration": figures})
    except OSError as error:
        raise TrainingError(
            f"{path} can't be written ({error}): free some space, or give another --out"
        ) from error
    console.print(
        f"{path}: slope {done.slope:.3f}, offset {done.offset:+.3f}, median threshold {done.median_threshold:.2f}, "
        f"{done.lifted} thresholds lifted above the backgrounds",
        markup=False,
        soft_wrap=True,
    )
