"""Folders written by Hugging Face's `save_pretrained`, and repositories of the Hub."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..catalogue import CONFIG, EXTRACTOR, WEIGHTS
from ..errors import CheckpointError
from ..labels import audioset_classes, with_full_names
from ..tagger import Activation
from .checkpoint import Checkpoint
from .formats import Format
from .pretrained_ast import AST
from .pretrained_ced import CED
from .tensors import read_tensors

_log = logging.getLogger(__name__)

FORMATS = {known.model_type: known for known in (AST, CED)}
"""Families of networks by their name in ``config.json``."""

_MAX_BYTES = 16 * 2**20


def is_pretrained(tensors: Mapping[str, Tensor]) -> bool:
    """Return True if the tensors have Hugging Face's names."""
    return any(key.startswith(known.prefix) for known in FORMATS.values() for key in tensors)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_BYTES))  # more than any config needs
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} can't be read as JSON ({error}): fetch the checkpoint again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object: fetch the checkpoint again")
    return content


def pretrained_checkpoint(folder: Path, name: str | None = None) -> Checkpoint:
    """Read a folder; the feature extractor's file is optional.

    Parameters
    ----------
    folder : Path
        Folder with ``config.json``, ``model.safetensors`` or ``pytorch_model.bin``, and optionally ``preprocessor_config.json``.
    name : str, optional
        Name of the checkpoint; by default that of the folder.

    Raises
    ------
    CheckpointError
        A file is missing or damaged, or the model is of no known family.
    """
    config_file = folder / CONFIG
    weights_file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if not config_file.is_file():
        raise CheckpointError(
            f"{folder} holds no checkpoint: it has no {CONFIG}: give a folder that save_pretrained wrote"
        )
    if weights_file is None:
        if any(folder.glob("*.index.json")):
            raise CheckpointError(
                f"the weights in {folder} are in several files: save them into one with "
                'save_pretrained(..., max_shard_size="5GB")'
            )
        raise CheckpointError(
            f"{folder} holds no checkpoint: it has no {' and no '.join(WEIGHTS)}: fetch them"
        )
    content = _read_json(config_file)
    extractor_file = folder / EXTRACTOR
    extractor = _read_json(extractor_file) if extractor_file.is_file() else {}
    known = _format_of(content, folder)
    _, weights = read_tensors(weights_file)
    with _faults_of(weights_file, f"does not hold the weights of {known.model}"):
        classes = weights[known.head].shape[0]
    with _faults_of(extractor_file, f"does not describe the features of {known.name}"):
        mean, std = known.normalise(extractor)
    with _faults_of(config_file, f"does not describe {known.name}"):
        labels = _labels(content, classes, known)
        config = known.configure(content, extractor, classes)
    with _faults_of(weights_file, f"does not hold the weights of {known.model}"):
        renamed = known.rename(weights, config)
    activation = _activation(content.get("problem_type"), labels, config_file)
    return Checkpoint(
        name=name or folder.resolve().name,
        config=config,
        labels=labels,
        weights=renamed,
        mean=mean,
        std=std,
        activation="sigmoid" if known.always_multi_label else activation,
    )


def _format_of(content: Mapping[str, Any], folder: Path) -> Format:
    kind = content.get("model_type")
    if isinstance(kind, str) and kind in FORMATS:
        return FORMATS[kind]
    code = ", which needs code that comes with it and is never run" if content.get("auto_map") else ""
    models = " or ".join(f"{known.model}" for known in FORMATS.values())
    raise CheckpointError(f"{folder} holds a model of type '{kind}'{code}, not {models}: choose another one")


@contextmanager
def _faults_of(file: Path, complaint: str) -> Iterator[None]:
    """Report errors as faults of a file."""
    try:
        yield
    except KeyError as error:
        raise CheckpointError(f"{file} {complaint} (it has no {error.args[0]}): fetch it again") from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        raise CheckpointError(f"{file} {complaint} ({error}): fetch it again") from error


def _activation(problem: Any, labels: Sequence[str], config_file: Path) -> Activation:
    """Return the activation of a kind of problem; where a config does not name it, sigmoid for AudioSet and else softmax, like transformers."""
    if problem == "multi_label_classification" or (
        problem is None and len(labels) == len(audioset_classes())
    ):
        return "sigmoid"
    if problem is None:
        _log.info(
            "%s has no problem_type: the scores of all classes add up to 1, as in transformers; if several can occur at once, "
            'add "problem_type": "multi_label_classification"',
            config_file,
        )
        return "softmax"
    return "softmax" if problem == "single_label_classification" else "sigmoid"


def _labels(content: Mapping[str, Any], classes: int, known: Format) -> tuple[str, ...]:
    """Return the names of the classes."""
    names = {int(index): str(label) for index, label in content.get("id2label", {}).items()}
    audioset = tuple(entry.name for entry in audioset_classes())
    if not names and known.always_multi_label and classes == len(audioset):
        return audioset
    return with_full_names([names.get(index, f"LABEL_{index}") for index in range(classes)])
