"""Checkpoints: configuration, labels, normalisation and weights by name or path.

There are three formats: Earshot's (`native`), folders of Hugging Face's `save_pretrained` (`pretrained`), and files of the
original AST code (`original`). Only tensors are unpickled.
"""

import difflib
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from .. import catalogue
from ..catalogue import CONFIG, EMBEDDED, HUB, member_specs, require_single
from ..errors import CheckpointError
from ..known_labels import HEADER
from .averaging import mean_of
from .checkpoint import Checkpoint, window_rows
from .native import FAMILIES, native_checkpoint, save_checkpoint
from .original import Geometry, is_original, original_checkpoint
from .pretrained import is_pretrained, pretrained_checkpoint
from .tensors import read_tensors

__all__ = [
    "EMBEDDED",
    "FAMILIES",
    "HUB",
    "Checkpoint",
    "Geometry",
    "load_checkpoint",
    "mean_of",
    "member_specs",
    "require_known",
    "save_checkpoint",
    "window_rows",
]


def load_checkpoint(spec: str, *, offline: bool = False, geometry: Geometry | None = None) -> Checkpoint:
    """Find and read a checkpoint.

    Parameters
    ----------
    spec : str
        ``tiny``; a name of `catalogue`, such as ``base``; ``hub:OWNER/REPO`` of any `ASTForAudioClassification` or CED; or a path: a folder of
        `save_pretrained`, or a file that `save_checkpoint` or the original AST code wrote.
    offline : bool
        True to open no connection.
    geometry : Geometry, optional
        Geometry of an original file that does not contain it.

    Raises
    ------
    CheckpointError
        The checkpoint does not exist, or can't be fetched or read.
    """
    require_single(spec)
    checkpoint = _load(spec, offline, geometry or Geometry())
    _check_geometry(checkpoint, geometry or Geometry())
    return checkpoint


def require_known(spec: str) -> None:
    """Check that there is a single model, without reading or fetching it.

    Raises
    ------
    CheckpointError
        It is an ensemble, an unknown name, or no file.
    """
    require_single(spec)
    if spec == EMBEDDED or catalogue.published(spec) or catalogue.repository_of(spec):
        return
    with suppress(OSError, ValueError):  # not a valid path
        if _path_of(spec).exists():
            return
    raise _unknown(spec)


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
    path = _path_of(spec)
    with suppress(OSError):  # not a valid path
        if path.is_dir():
            return pretrained_checkpoint(path)
        if path.is_file():
            return _read_file(path, geometry)
    raise _unknown(spec)


def _path_of(spec: str) -> Path:
    path = Path(spec)
    with suppress(RuntimeError, ValueError):  # no such user: treat it as a name
        return path.expanduser()
    return path


def _unknown(spec: str) -> CheckpointError:
    names = [EMBEDDED, *catalogue.ALIASES, *catalogue.PUBLISHED, *catalogue.ENSEMBLES]
    near = difflib.get_close_matches(spec, names, n=1)
    return CheckpointError(
        f"there is no model '{spec}': "
        + (f"did you mean '{near[0]}'? " if near else "")
        + f"give '{EMBEDDED}', a name that `earshot models` lists, {HUB}OWNER/REPO, or the path of a checkpoint"
    )


def _fetched(repository: str, revision: str | None, name: str, offline: bool) -> Checkpoint:
    from .. import hub

    return pretrained_checkpoint(hub.fetch(repository, revision=revision, offline=offline), name)


def _require_published(entry: catalogue.Published, checkpoint: Checkpoint) -> None:
    """Check that a checkpoint is the network in the catalogue: the endpoint may not be the Hub."""
    config = checkpoint.config
    expected = (entry.fstride, entry.tstride, entry.rows, entry.classes)
    found = (config.fstride, config.tstride, config.input_tdim, config.label_dim)
    if found != expected:
        raise CheckpointError(
            f"{entry.repository} is not '{entry.name}': its strides, rows and classes are {found}, not {expected}: check "
            "HF_ENDPOINT, and delete the repository from the cache in HF_HOME"
        )


def _read_file(path: Path, geometry: Geometry) -> Checkpoint:
    """Read a single file of any format, detected from its content."""
    metadata, tensors = read_tensors(path)
    if HEADER in metadata:
        return native_checkpoint(path, metadata[HEADER], tensors)
    if is_original(tensors):
        return original_checkpoint(path, tensors, geometry)
    if is_pretrained(tensors) and (path.parent / CONFIG).is_file():
        return pretrained_checkpoint(path.parent)
    raise CheckpointError(
        f"{path} does not describe its network: give the folder that save_pretrained wrote"
        if is_pretrained(tensors)
        else f"{path} holds no AST or CED: its tensors do not have the names of the original code, Hugging Face or Earshot: choose another file"
    )


def _check_geometry(checkpoint: Checkpoint, geometry: Geometry) -> None:
    """Check that a requested geometry is that of the checkpoint."""
    for field in ("fstride", "tstride", "input_tdim"):
        requested, actual = getattr(geometry, field), getattr(checkpoint.config, field)
        if requested is not None and requested != actual:
            raise CheckpointError(
                f"the model '{checkpoint.name}' has {field} {actual}, not {requested}: omit the option, or make another "
                "model with `earshot finetune`"
            )
