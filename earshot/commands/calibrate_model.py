"""The command ``calibrate-model``, and the last step of ``distil``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..failures import UsageError
from ..options import takes
from ..progress import bars
from .agreement import open_teacher
from .background import seconds_of

if TYPE_CHECKING:
    from models.checkpoints import Checkpoint
    from models.training.pack import Pack

DEFAULT_TEACHER = "yamnet"


@takes("calibrate-model")
def calibrate_model(
    *,
    pack: Path,
    out: Path,
    model: list[str] | None,
    teacher: str,
    teacher_from: Path | None,
    limit: int | None,
    background: str,
    common: bool,
    device: str,
) -> None:
    """Calibrate scores to probabilities, with thresholds."""
    from models.checkpoints import EMBEDDED, load_checkpoint, mean_of
    from models.training.background import HOP_SECONDS
    from models.training.pack import REAL_LIFE, Pack

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"{out} can't be written: give --out a file in an existing folder")
    if teacher_from is not None and teacher == DEFAULT_TEACHER:
        raise UsageError("--teacher-from goes with --teacher mn04")
    background_seconds = seconds_of(background)
    if background_seconds < HOP_SECONDS:
        raise UsageError(f"--background must be at least {HOP_SECONDS:g} s")
    names, packs = model or [EMBEDDED], [Pack(pack)]
    checkpoint = mean_of([load_checkpoint(name) for name in names])
    if teacher != DEFAULT_TEACHER and (pack / REAL_LIFE.index).is_file():
        packs.append(Pack(pack, REAL_LIFE))
    judge = None
    if teacher != DEFAULT_TEACHER:
        judge = open_teacher(f"teacher:{teacher}", teacher_from or pack, None)
    write_calibrated(
        checkpoint,
        packs,
        out,
        {"calibrated": ", ".join(map(_without_folder, names)), "teacher": teacher}
        | ({"scale": "common"} if common else {}),
        teacher=judge,
        limit=limit,
        background_seconds=background_seconds,
        scales_classes=not common,
        device=device,
    )


def _without_folder(name: str) -> str:
    """Return the name of a model, or that of its file: folders tell about a machine, and the notes are published with the weights."""
    return Path(name).name if Path(name).exists() else name


def write_calibrated(
    checkpoint: "Checkpoint", packs: "Sequence[Pack]", path: Path, notes: Mapping[str, Any], **options: Any
) -> None:
    """Calibrate a checkpoint with a progress bar and write it; print a summary on standard error.

    Parameters
    ----------
    checkpoint, packs, options
        Arguments of `training.calibration.calibrate`.
    path : Path
        The file to write.
    notes : mapping
        JSON values that describe the model; those of the calibration are added.

    Raises
    ------
    TrainingError
        The checkpoint can't be calibrated, or the file can't be written.
    """
    from rich.console import Console

    from models.checkpoints import save_checkpoint
    from models.errors import TrainingError
    from models.training.calibration import calibrate

    with bars() as update:
        calibration = calibrate(checkpoint, packs, progress=update, **options)
    figures = {"slope": round(calibration.slope, 4), "offset": round(calibration.offset, 4)}
    try:
        save_checkpoint(calibration.checkpoint, path, {**notes, "calibration": figures})
    except OSError as error:
        raise TrainingError(
            f"{path} can't be written ({error}): free some space, or give another --out"
        ) from error
    Console(stderr=True).print(
        f"{path}: slope {calibration.slope:.3f}, offset {calibration.offset:+.3f}, "
        f"class slopes {calibration.class_slopes.min():.2f} to {calibration.class_slopes.max():.2f}, "
        f"class offsets {calibration.class_offsets.min():+.2f} to {calibration.class_offsets.max():+.2f}, "
        f"median threshold {calibration.median_threshold:.2f}, "
        f"{calibration.raised} thresholds raised above the backgrounds",
        markup=False,
        soft_wrap=True,
    )
