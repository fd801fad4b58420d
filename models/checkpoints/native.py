"""Earshot's format: a safetensors file with a JSON header in its metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ..ast_network import AstConfig
from ..errors import CheckpointError
from ..known_labels import HEADER
from ..network_spec import NetworkConfig
from ..tagger import Activation
from .checkpoint import Checkpoint
from .pretrained import FORMATS
from .tensors import write_tensors

FAMILIES: dict[str, type[NetworkConfig]] = {known.config.family: known.config for known in FORMATS.values()}
"""Families of networks by their name in the header."""


def save_checkpoint(checkpoint: Checkpoint, path: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint in Earshot's format.

    Parameters
    ----------
    checkpoint : Checkpoint
        Checkpoint to write; the weights keep their dtype.
    path : Path
        File to write. It is replaced atomically, so that a kill leaves the old file or the new one.
    notes : mapping, optional
        Further JSON values for people, such as the settings of the training.

    Raises
    ------
    OSError
        The file can't be written; an older one is kept.
    """
    header = {
        "family": checkpoint.config.family,
        "config": asdict(checkpoint.config),
        "labels": checkpoint.labels,
        "mean": checkpoint.mean,
        "std": checkpoint.std,
        "activation": checkpoint.activation,
        "thresholds": checkpoint.thresholds,
        "notes": dict(notes or {}),
    }
    metadata = {"format": "pt", HEADER: json.dumps(header, ensure_ascii=False)}
    write_tensors(checkpoint.weights, path, metadata)


def native_checkpoint(path: Path, header_json: str, weights: dict[str, Tensor]) -> Checkpoint:
    """Return the checkpoint in a file that `save_checkpoint` wrote.

    Raises
    ------
    CheckpointError
        The header is damaged.
    """
    try:
        header = json.loads(header_json)
        thresholds = header.get("thresholds")  # missing in files of older versions, as is the family
        return Checkpoint(
            name=path.stem,
            config=FAMILIES[header.get("family", AstConfig.family)](**header["config"]),
            labels=tuple(map(str, header["labels"])),
            weights=weights,
            mean=float(header["mean"]),
            std=float(header["std"]),
            activation=_activation(header["activation"]),
            thresholds=None if thresholds is None else tuple(map(float, thresholds)),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"the header of {path} is damaged ({error}): fetch the file again") from error


def _activation(name: str) -> Activation:
    if name == "sigmoid":
        return "sigmoid"
    if name == "softmax":
        return "softmax"
    raise ValueError(f"unknown activation {name!r}")
