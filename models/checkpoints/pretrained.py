"""Folders written by Hugging Face's `ASTForAudioClassification.save_pretrained`."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import frontends
from ..ast_network import POSITIONS, AstConfig
from ..catalogue import CONFIG, EXTRACTOR, WEIGHTS
from ..errors import CheckpointError
from ..labels import audioset_classes
from .checkpoint import Activation, Checkpoint
from .tensors import read_tensors

_log = logging.getLogger(__name__)

_MAX_BYTES = 16 * 2**20


def is_pretrained(tensors: Mapping[str, Tensor]) -> bool:
    """Return True if the tensors have Hugging Face's names."""
    return any(key.startswith("audio_spectrogram_transformer.") for key in tensors)


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
        A file is missing or damaged, or the model is not an AST.
    """
    config_file = folder / CONFIG
    weights_file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if not config_file.is_file():
        raise CheckpointError(
            f"{folder} holds no checkpoint: it has no {CONFIG}: give a folder that save_pretrained wrote"
        )
    if weights_file is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint: it has no {' and no '.join(WEIGHTS)}: fetch them"
        )
    content = _read_json(config_file)
    extractor_file = folder / EXTRACTOR
    extractor = _read_json(extractor_file) if extractor_file.is_file() else {}
    if content.get("model_type") != "audio-spectrogram-transformer":
        raise CheckpointError(
            f"{folder} holds a model of type '{content.get('model_type')}', not an ASTForAudioClassification: choose another one"
        )
    _, weights = read_tensors(weights_file)
    with _faults_of(weights_file, "does not hold the weights of an ASTForAudioClassification"):
        classes = weights["classifier.dense.weight"].shape[0]
        renamed = _rename_pretrained(weights)
    with _faults_of(extractor_file, "does not describe the features of an AST"):
        mean, std = _normalisation(extractor)
    with _faults_of(config_file, "does not describe an AST"):
        labels = _labels(content, classes)
        config = _config_of_pretrained(content, classes)
    return Checkpoint(
        name=name or folder.resolve().name,
        config=config,
        labels=labels,
        weights=renamed,
        mean=mean,
        std=std,
        activation=_activation(content.get("problem_type"), labels, config_file),
    )


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


def _normalisation(extractor: Mapping[str, Any]) -> tuple[float, float]:
    """Return mean and deviation of a feature extractor's file; (0, 0.5) leaves rows unchanged."""
    if int(extractor.get("sampling_rate", frontends.SAMPLE_RATE_HZ)) != frontends.SAMPLE_RATE_HZ:
        raise ValueError(f"its features are computed at {extractor['sampling_rate']} Hz, not at 16 kHz")
    if not extractor.get("do_normalize", True):
        return 0.0, 0.5
    return float(extractor.get("mean", frontends.AUDIOSET_MEAN)), float(
        extractor.get("std", frontends.AUDIOSET_STD)
    )


def _labels(content: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    names = {int(index): str(label) for index, label in content.get("id2label", {}).items()}
    return tuple(names.get(index, f"LABEL_{index}") for index in range(classes))


def _config_of_pretrained(content: Mapping[str, Any], classes: int) -> AstConfig:
    """Convert a config, with the defaults of `transformers.ASTConfig` for missing keys."""
    if content.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"the activation is {content['hidden_act']!r}, and an AST has 'gelu'")
    return AstConfig(
        width=int(content.get("hidden_size", 768)),
        depth=int(content.get("num_hidden_layers", 12)),
        heads=int(content.get("num_attention_heads", 12)),
        mlp_width=int(content.get("intermediate_size", 3072)),
        fstride=int(content.get("frequency_stride", 10)),
        tstride=int(content.get("time_stride", 10)),
        input_fdim=int(content.get("num_mel_bins", 128)),
        input_tdim=int(content.get("max_length", 1024)),
        label_dim=classes,
        patch=int(content.get("patch_size", 16)),
        qkv_bias=bool(content.get("qkv_bias", True)),
        norm_eps=float(content.get("layer_norm_eps", 1e-12)),
        head_norm_eps=float(content.get("layer_norm_eps", 1e-12)),
    )


_BLOCK = r"^(?:encoder\.layer|layers)\.(\d+)\."
"""Start of a block's parameter name, in files and in networks of transformers 5."""
_RENAMED = (
    (r"^audio_spectrogram_transformer\.", ""),
    (r"^embeddings\.cls_token$", "v.cls_token"),
    (r"^embeddings\.distillation_token$", "v.dist_token"),
    (r"^embeddings\.position_embeddings$", POSITIONS),
    (r"^embeddings\.patch_embeddings\.projection\.", "v.patch_embed.proj."),
    (_BLOCK + r"layernorm_before\.", r"v.blocks.\1.norm1."),
    (_BLOCK + r"layernorm_after\.", r"v.blocks.\1.norm2."),
    (_BLOCK + r"attention\.(?:attention\.(query|key|value)|(q|k|v)_proj)\.", r"v.blocks.\1.attn.\2\3."),
    (_BLOCK + r"attention\.(?:output\.dense|o_proj)\.", r"v.blocks.\1.attn.proj."),
    (_BLOCK + r"(?:intermediate\.dense|mlp\.fc1)\.", r"v.blocks.\1.mlp.fc1."),
    (_BLOCK + r"(?:output\.dense|mlp\.fc2)\.", r"v.blocks.\1.mlp.fc2."),
    (r"^layernorm\.", "v.norm."),
    (r"^classifier\.layernorm\.", "mlp_head.0."),
    (r"^classifier\.dense\.", "mlp_head.1."),
)


def _rename_pretrained(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename Hugging Face's parameters to ours, and join query, key and value to one matrix, as in timm."""
    renamed = {}
    for key, value in weights.items():
        for pattern, name in _RENAMED:
            key = re.sub(pattern, name, key)  # noqa: PLW2901 - rewritten step by step
        renamed[key] = value
    for names in (("query", "key", "value"), ("q", "k", "v")):
        for key in [key for key in renamed if f".attn.{names[0]}." in key]:
            parts = [renamed.pop(key.replace(f".{names[0]}.", f".{name}.")) for name in names]
            renamed[key.replace(f".{names[0]}.", ".qkv.")] = torch.cat(parts)
    return renamed
