"""Checkpoints: from what a user names to a config, labels, normalisation and weights.

Three formats come in: Earshot's own (`own`), folders of Hugging Face's `save_pretrained` (`pretrained`), and the files of the
original AST code (`original`). Nothing but tensors is ever unpickled.
"""

import difflib
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from .. import catalogue
from ..catalogue import CONFIG, EMBEDDED, HUB
from ..errors import CheckpointError
from .checkpoint import Activation, Checkpoint, window_rows
from .native import HEADER, native_checkpoint, save_checkpoint
from .original import Geometry, is_original, original_checkpoint
from .pretrained import is_pretrained, pretrained_checkpoint
from .tensors import read_tensors

__all__ = [
    "EMBEDDED",
    "HUB",
    "Activation",
    "Checkpoint",
    "Geometry",
    "load_checkpoint",
    "member_specs",
    "save_checkpoint",
    "window_rows",
]


def load_checkpoint(spec: str, *, offline: bool = False, geometry: Geometry | None = None) -> Checkpoint:
    """Find and read a checkpoint.

    Parameters
    ----------
    spec : str
        ``tiny``; a name of `catalogue`, such as ``base``; ``hub:OWNER/REPO`` of any `ASTForAudioClassification`; or a path: a folder of
        `save_pretrained`, or a file that `save_checkpoint` or the original AST code wrote.
    offline : bool
        Whether to take what is on this machine only.
    geometry : Geometry, optional
        Of an original file that does not say it.

    Raises
    ------
    CheckpointError
        There is no such checkpoint, or it can't be fetched or read.
    """
    checkpoint = _load(spec, offline, geometry or Geometry())
    _check_geometry(checkpoint, geometry or Geometry())
    return checkpoint


def member_specs(model: str) -> list[str]:
    """The checkpoints that a model is made of: several for an ensemble."""
    if model in catalogue.ENSEMBLES:
        return list(catalogue.ENSEMBLES[model])
    if not model.startswith(catalogue.ENSEMBLE):
        return [model]
    members = [member.strip() for member in model.removeprefix(catalogue.ENSEMBLE).split("+")]
    if not all(members):
        raise CheckpointError(f"'{model}' names no models: give {catalogue.ENSEMBLE}A+B+C")
    return members


def _load(spec: str, offline: bool, geometry: Geometry) -> Checkpoint:
    if spec == EMBEDDED:
        return _read_file(Path(str(files("models") / "assets" / "tiny.safetensors")), geometry)
    if known := catalogue.published(spec):
        checkpoint = _fetched(known.repository, None, known.name, offline)
        _require_published(known, checkpoint)
        return checkpoint
    if named := catalogue.repository_of(spec):
        repository, revision = named
        return _fetched(repository, revision, repository.rpartition("/")[2], offline)
    path = Path(spec)
    with suppress(RuntimeError, ValueError):  # this machine knows no such user: it is a name like others
        path = path.expanduser()
    with suppress(OSError):  # a name that no file can have
        if path.is_dir():
            return pretrained_checkpoint(path)
        if path.is_file():
            return _read_file(path, geometry)
    names = [EMBEDDED, *catalogue.ALIASES, *catalogue.PUBLISHED, *catalogue.ENSEMBLES]
    near = difflib.get_close_matches(spec, names, n=1)
    raise CheckpointError(
        f"there is no model '{spec}': "
        + (f"did you mean '{near[0]}'? " if near else "")
        + f"take '{EMBEDDED}', a name that the command models lists, {HUB}OWNER/REPO, or the path of a checkpoint"
    )


def _fetched(repository: str, revision: str | None, name: str, offline: bool) -> Checkpoint:
    from .. import hub

    return pretrained_checkpoint(hub.fetch(repository, revision=revision, offline=offline), name)


def _require_published(entry: catalogue.Published, checkpoint: Checkpoint) -> None:
    """Refuse what is another network than the catalogue says, such as from an endpoint that is not the Hub."""
    config = checkpoint.config
    wanted = (entry.fstride, entry.tstride, entry.rows, entry.classes)
    found = (config.fstride, config.tstride, config.input_tdim, config.label_dim)
    if found != wanted:
        raise CheckpointError(
            f"what {entry.repository} holds is not '{entry.name}': its strides, rows and classes are {found} and not {wanted}: check "
            "HF_ENDPOINT, and take it out of the cache of HF_HOME"
        )


def _read_file(path: Path, geometry: Geometry) -> Checkpoint:
    """Read a single file of any format: what is in it says which."""
    metadata, tensors = read_tensors(path)
    if HEADER in metadata:
        return native_checkpoint(path, metadata[HEADER], tensors)
    if is_original(tensors):
        return original_checkpoint(path, tensors, geometry)
    if is_pretrained(tensors) and (path.parent / CONFIG).is_file():
        return pretrained_checkpoint(path.parent)
    raise CheckpointError(
        f"{path} does not say what network it holds: give the folder that save_pretrained wrote it into"
        if is_pretrained(tensors)
        else f"{path} holds no AST: its tensors have other names than those of the original code, Hugging Face and Earshot"
    )


def _check_geometry(checkpoint: Checkpoint, geometry: Geometry) -> None:
    """Refuse a wish that contradicts what the checkpoint says."""
    for field in ("fstride", "tstride", "input_tdim"):
        wanted, real = getattr(geometry, field), getattr(checkpoint.config, field)
        if wanted is not None and wanted != real:
            raise CheckpointError(
                f"the model '{checkpoint.name}' was made with {field} {real}, not {wanted}: leave that out, or make another "
                "model of it with finetune"
            )
