"""Classes of a model on this machine, read without its weights and without PyTorch: enough to show a window."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import catalogue
from .catalogue import CONFIG
from .labels import audioset_classes

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
            return _labels_of_config(path / CONFIG)
        if path.is_file() and path.suffix == ".safetensors":
            return _labels_of_header(path)
    return None


def _labels_of_config(config: Path) -> Sequence[str]:
    """Return the classes of a folder of `save_pretrained`; a ValueError or the like if they are not complete."""
    if config.stat().st_size > _MOST_CONFIG_BYTES:
        raise ValueError(f"{config} is too large")
    names = {int(index): str(label) for index, label in json.loads(config.read_bytes())["id2label"].items()}
    return tuple(names[index] for index in range(len(names)))


def _labels_of_header(path: Path) -> Sequence[str] | None:
    """Return the classes of one of Earshot's own files."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except SafetensorError:
        return None
    return tuple(map(str, json.loads(metadata[HEADER])["labels"])) if HEADER in metadata else None
