"""The command ``distil``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..failures import UsageError
from ..options import takes
from ..progress import bar
from .agreement import open_teacher
from .calibrate_model import DEFAULT_TEACHER as PACKS_OWN_TEACHER
from .calibrate_model import write_calibrated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.training.distil import Distillation
    from models.training.library import Library
    from models.training.pack import Pack
    from models.training.teachers import TeacherNetwork

_FINISH_MINUTES = 45.0


@takes("distil")
def distil(
    context: typer.Context,
    *,
    pack: list[Path],
    out: Path,
    teacher: str,
    size: str,
    minutes: float | None,
    steps: int | None,
    resume: bool,
    finish: bool,
    calibrated: bool,
) -> None:
    """Train a small AST with another network as its teacher.

    It learns from mixtures of the clips of audio packs.
    """
    from rich.console import Console

    from models.errors import TrainingError
    from models.known_family import require_ast_before_loading
    from models.training.distil import STATE, Length, Watch
    from models.training.pack import open_parts
    from streamer.runtime.signals import interruptible

    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    resume = resume or finish
    _check_folder(out / STATE, pack, resume=resume)
    if (init := context.params["init"]) is not None:
        require_ast_before_loading(init, "distilled")
    parts = [part for folder in pack for part in open_parts(folder)]
    weights = folder_of_teacher(teacher, pack)
    if finish and calibrated:
        _check_validation(parts)
    run = _prepare(parts, weights, context.params)
    if resume:
        run.restore()
    if finish and minutes is None and steps is None:
        minutes = _FINISH_MINUTES
    length = Length(minutes=minutes, steps=steps)
    with interruptible() as stopped:
        watch = Watch(
            save_minutes=context.params["save_every"],
            on_report=lambda report: console.print(report.line()),
            stop=stopped,
        )
        if not finish:
            run.train(length, watch)
            if not (out / STATE).exists():
                raise TrainingError("stopped before the first step: nothing is saved; start it again")
            console.print(f"{out / STATE}: --resume goes on, --finish makes the model")
            return
        if not run.finish(length, watch):
            raise TrainingError("stopped before the end: no model is written; --finish starts again")
    file, notes = out / f"{size}.safetensors", run.notes() | {"teacher": teacher}
    checkpoint = run.export(file, notes)
    console.print(f"{file}: {run.learner.windows} windows")
    if calibrated:
        judge = None if teacher == PACKS_OWN_TEACHER else open_teacher(f"teacher:{teacher}", out, None)
        write_calibrated(checkpoint, parts, file, notes, teacher=judge, device=context.params["device"])


def _check_folder(state: Path, packs: "Sequence[Path]", *, resume: bool) -> None:
    from models.errors import TrainingError

    if state.parent.resolve() in {folder.resolve() for folder in packs}:
        raise TrainingError(
            f"{state.parent} is a pack, whose teacher the run would replace: give --out another folder"
        )
    if not resume and state.exists():
        raise TrainingError(
            f"there is a run in {state.parent}: continue it with --resume, or give another --out"
        )
    if resume and not state.exists():
        raise TrainingError(
            f"there is no run in {state.parent}: leave out --resume and --finish to start one"
        )


def _check_validation(parts: "Sequence[Pack]") -> None:
    from models.errors import TrainingError

    if not any(part.of("val") for part in parts):
        raise TrainingError(
            "the audio packs have no clips for validation to calibrate with: give --no-calibrate, or another --pack"
        )


def folder_of_teacher(name: str, folders: "Sequence[Path]") -> Path:
    """Return the first pack that has the weights of a teacher."""
    from models.errors import TrainingError
    from models.training.teachers import TEACHERS

    if name not in TEACHERS:
        raise UsageError(f"there is no teacher '{name}': give {' or '.join(TEACHERS)}")
    file = TEACHERS[name].weights
    for folder in folders:
        if (folder / file).is_file():
            return folder
    raise TrainingError(
        f"the audio pack {folders[0]} has no {file}: copy it again, or give another --teacher"
    )


def open_library(
    parts: "Sequence[Pack]", teacher: str, weights: Path, cache: Path, device: str
) -> "tuple[TeacherNetwork, Library]":
    """Read a teacher from the folder of its weights, and its library of sounds, with a progress bar if that must be made."""
    from models.training.library import load_library

    network = _open_network(teacher, weights, device)
    with bar("library of sounds") as progress:
        return network, load_library(parts, teacher, network, cache / teacher, progress)


def _open_network(teacher: str, folder: Path, device: str) -> "TeacherNetwork":
    """Read a teacher from the folder of its weights, in the precision for labels."""
    from models.engines.torch_engine import pick_device
    from models.training.precision import labelling_precision
    from models.training.teachers import TEACHERS, load_network

    row, on = TEACHERS[teacher], pick_device(device)
    return load_network(row.network, folder / row.weights, on, labelling_precision(on))


def _prepare(parts: "Sequence[Pack]", weights: Path, options: "Mapping[str, Any]") -> "Distillation":
    """Read the teacher and the library of sounds, and set up the run."""
    from models.training.distil import Distillation, starting_point
    from models.training.distil_recipe import DistilRecipe
    from models.training.names import with_names

    recipe, rate = DistilRecipe(), options["rate"]
    if rate is not None:
        recipe = replace(recipe, rate=rate)
    start = starting_point(options["init"], options["size"], options["seed"])
    cache = options["cache"] or options["out"] / "cache"
    network, library = open_library(parts, options["teacher"], weights, cache, options["device"])
    return Distillation(
        start,
        _teacher_of_run(network, library, weights, options),
        library,
        out=options["out"],
        named=with_names(parts),
        recipe=recipe,
        seed=options["seed"],
        device=options["device"],
        compiled=options["compiled"],
    )


def _teacher_of_run(
    network: "TeacherNetwork", library: "Library", weights: Path, options: "Mapping[str, Any]"
) -> "TeacherNetwork":
    """Return the teacher that a run has kept, or else let the given one learn the names of the clips, and keep it in the folder of the run."""
    from models.training.naming import learn_names, save_teacher
    from models.training.teachers import TEACHERS

    name, out = options["teacher"], options["out"]
    file = TEACHERS[name].weights
    if (options["resume"] or options["finish"]) and (out / file).is_file():
        return _open_network(name, out, options["device"])
    learn_names(network, library)
    save_teacher(weights / file, network, out / file)
    return network
