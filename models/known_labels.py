"""Classes of a model on this machine, read without its weights and without PyTorch: enough to show a window."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import catalogue
from .catalogue import CONFIG
from .labels import audioset_classes, with_full_names

HEADER = "earshot"
"""Key of the header in the metadata of Earshot's own files."""

_AUTO = "auto"
_AUDIOSET_CLASSES = 527
_MOST_CONFIG_BYTES = 16 * 2**20


def scores_audioset(model: str) -> bool:
    """Return True if it is known from its name that a model has the classes of AudioSet, as the embedded one has."""
    if model in {_AUTO, catalogue.EMBEDDED}:
        return True
    members = catalogue.ENSEMBLES.get(model) or model.removeprefix(catalogue.ENSEMBLE).split("+")
    known = [catalogue.published(member.strip()) for member in members]
    return all(entry is not None and entry.classes == _AUDIOSET_CLASSES for entry in known)


def known_labels(model: str) -> Sequence[str] | None:
    """Return the names of a model's classes; None if only loading it tells them.

    Parameters
    ----------
    model : str
        Name or path, as for `load_tagger`.
    """
    if scores_audioset(model):
        return tuple(entry.name for entry in audioset_classes())
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError):
        path = Path(model).expanduser()
        if path.is_dir():
            return _labels_of_folder(path)
        if path.is_file() and path.suffix == ".safetensors":
            return tuple(map(str, read_header(path)["labels"]))
    return None


def _labels_of_folder(folder: Path) -> tuple[str, ...] | None:
    """Return the classes of a folder of `save_pretrained`; None if its config does not have a name for each, which loading makes up for.

    Raises
    ------
    OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError
        It is damaged.
    """
    config = read_config(folder)
    names = {int(index): str(label) for index, label in config["id2label"].items()}
    labels = tuple(names[index] for index in range(len(names)))
    weights = folder / catalogue.WEIGHTS[0]
    if weights.is_file() and len(labels) != _rows(weights, catalogue.HEADS[config["model_type"]]):
        return None
    return with_full_names(labels) or None


def _rows(weights: Path, name: str) -> int:
    """Return the number of rows of a matrix, from the header of its file; a ValueError if it has none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np") as file:
            return int(file.get_slice(name).get_shape()[0])
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged") from error


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config of a folder of `save_pretrained`.

    Raises
    ------
    OSError, ValueError, RecursionError
        There is none, or it is damaged.
    """
    config = folder / CONFIG
    if config.stat().st_size > _MOST_CONFIG_BYTES:
        raise ValueError(f"{config} is too large")
    return _object(json.loads(config.read_bytes()), config)


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of one of Earshot's own files.

    Raises
    ------
    OSError, ValueError, RecursionError
        There is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged") from error
    return _object(json.loads(metadata.get(HEADER, "null")), path)


def _object(content: Any, path: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{path} has no description")  # noqa: TRY004 - a fault of the file
    return content
