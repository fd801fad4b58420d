"""Checkpoints: from what a user names to a config, labels, normalisation and weights.

Three formats come in (the first two so far): Earshot's own, one safetensors file whose header carries everything else as JSON; a folder
written by Hugging Face's `ASTForAudioClassification.save_pretrained`. Nothing is ever unpickled.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import fbank
from .errors import CheckpointError
from .transformer import AstConfig, AudioSpectrogramTransformer, adapt_positions

Activation: TypeAlias = Literal["sigmoid", "softmax"]

EMBEDDED = "tiny"
"""The checkpoint that is always there."""

_HEADER = "earshot"
_POSITIONS = "v.pos_embed"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Checkpoint:
    """Everything that a tagger needs.

    Attributes
    ----------
    name : str
        What the user called it.
    config : AstConfig
        The network.
    labels : tuple of str
        Names of the classes, in the order of the logits.
    weights : dict of str to tensor
        State dict of `AudioSpectrogramTransformer`.
    mean, std : float
        Normalisation of the log-mel rows.
    activation : {"sigmoid", "softmax"}
        From logits to scores: sigmoid where several classes may hold at once.
    """

    name: str
    config: AstConfig
    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    mean: float = fbank.AUDIOSET_MEAN
    std: float = fbank.AUDIOSET_STD
    activation: Activation = "sigmoid"

    def __post_init__(self) -> None:
        if len(self.labels) != self.config.label_dim:
            raise CheckpointError(
                f"the checkpoint '{self.name}' has {len(self.labels)} labels for {self.config.label_dim} classes: "
                "its files do not belong together"
            )
        if not self.std > 0:
            raise CheckpointError(
                f"the checkpoint '{self.name}' gives a standard deviation of {self.std}, which must be above 0"
            )

    def build(self, rows: int | None = None) -> AudioSpectrogramTransformer:
        """Make the network, in float32 and evaluation mode.

        Parameters
        ----------
        rows : int, optional
            Rows of the input, if not the checkpoint's own: the positional embedding is adapted.

        Raises
        ------
        CheckpointError
            Weights are missing, surplus or of another shape.
        """
        config, weights = self.config, dict(self.weights)
        if not all(value.isfinite().all() for value in weights.values()):
            raise CheckpointError(
                f"the weights of '{self.name}' hold numbers that are not finite: its training has failed, take another"
            )
        with torch.device("meta"):
            network = AudioSpectrogramTransformer(config)
        try:
            network.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
        except RuntimeError as error:
            detail = re.sub(r"\s+", " ", str(error))[:300]
            raise CheckpointError(
                f"the weights of '{self.name}' do not fit their own description ({detail}): fetch or export them again"
            ) from error
        if rows is not None and rows != config.input_tdim:
            network = _with_rows(network, rows)
        return network.eval()


def _with_rows(network: AudioSpectrogramTransformer, rows: int) -> AudioSpectrogramTransformer:
    """The same network for another number of rows."""
    config = replace(network.config, input_tdim=rows)
    weights = network.state_dict()
    weights[_POSITIONS] = adapt_positions(weights[_POSITIONS], network.config.grid, config.grid)
    with torch.device("meta"):
        adapted = AudioSpectrogramTransformer(config)
    adapted.load_state_dict(weights, assign=True)
    return adapted


def load_checkpoint(spec: str) -> Checkpoint:
    """Find and read a checkpoint.

    Parameters
    ----------
    spec : str
        ``tiny``, a safetensors file that this module wrote, or a folder written by `save_pretrained`.

    Raises
    ------
    CheckpointError
        There is no such checkpoint, or it can't be read.
    """
    if spec == EMBEDDED:
        return _read_own(Path(str(files(__package__) / "assets" / "tiny.safetensors")), EMBEDDED)
    path = Path(spec).expanduser()
    if path.is_dir():
        return _read_pretrained(path)
    if path.is_file():
        return _read_own(path, path.stem)
    raise CheckpointError(
        f"there is no model '{spec}': take '{EMBEDDED}', or the path of a folder written by save_pretrained "
        "or of a safetensors file written by Earshot"
    )


def save_checkpoint(checkpoint: Checkpoint, path: Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write Earshot's own format: one safetensors file with a JSON header under the key ``earshot``.

    Parameters
    ----------
    checkpoint : Checkpoint
        The weights are written in the dtype they have.
    path : Path
        Written beside and renamed, so that a kill leaves the old file or the new one.
    notes : mapping, optional
        Further JSON values for people (how it was trained).
    """
    header = {
        "config": asdict(checkpoint.config),
        "labels": checkpoint.labels,
        "mean": checkpoint.mean,
        "std": checkpoint.std,
        "activation": checkpoint.activation,
        "notes": dict(notes or {}),
    }
    part = path.with_name(path.name + ".part")
    weights = {key: value.detach().cpu().contiguous() for key, value in checkpoint.weights.items()}
    save_file(weights, part, metadata={"format": "pt", _HEADER: json.dumps(header, ensure_ascii=False)})
    part.replace(path)


def _read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} can't be read as safetensors ({error}): it is broken or of another format, fetch it again"
        ) from error


def _read_own(path: Path, name: str) -> Checkpoint:
    metadata, weights = _read_safetensors(path)
    if _HEADER not in metadata:
        raise CheckpointError(
            f"{path} does not say what network it holds: give the folder that save_pretrained wrote it into"
        )
    try:
        header = json.loads(metadata[_HEADER])
        return Checkpoint(
            name=name,
            config=AstConfig(**header["config"]),
            labels=tuple(map(str, header["labels"])),
            weights=weights,
            mean=float(header["mean"]),
            std=float(header["std"]),
            activation=_activation(header["activation"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"the header of {path} is damaged ({error}): fetch the file again") from error


def _activation(name: str) -> Activation:
    if name == "sigmoid":
        return "sigmoid"
    if name == "softmax":
        return "softmax"
    raise ValueError(f"unknown activation {name!r}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} can't be read as JSON ({error}): fetch the checkpoint again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object: fetch the checkpoint again")
    return content


def _read_pretrained(folder: Path) -> Checkpoint:
    """A folder of `ASTForAudioClassification.save_pretrained`, with or without the feature extractor's file."""
    config_file, weights_file = folder / "config.json", folder / "model.safetensors"
    for file in (config_file, weights_file):
        if not file.is_file():
            raise CheckpointError(f"{folder} holds no checkpoint: there is no {file.name} in it")
    content = _read_json(config_file)
    extractor_file = folder / "preprocessor_config.json"
    extractor = _read_json(extractor_file) if extractor_file.is_file() else {}
    if content.get("model_type") != "audio-spectrogram-transformer":
        raise CheckpointError(
            f"{folder} holds a model of type '{content.get('model_type')}', not an ASTForAudioClassification"
        )
    _, weights = _read_safetensors(weights_file)
    try:
        labels = _labels(content, weights)
        mean, std = _normalisation(extractor)
        return Checkpoint(
            name=folder.resolve().name,
            config=_config_of_pretrained(content, len(labels)),
            labels=labels,
            weights=_rename_pretrained(weights),
            mean=mean,
            std=std,
            activation="softmax"
            if content.get("problem_type") == "single_label_classification"
            else "sigmoid",
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{config_file} does not describe an AST ({error}): fetch it again") from error


def _normalisation(extractor: Mapping[str, Any]) -> tuple[float, float]:
    """Mean and deviation of a feature extractor's file; one that does not normalise leaves rows as they are."""
    if int(extractor.get("sampling_rate", fbank.SAMPLE_RATE_HZ)) != fbank.SAMPLE_RATE_HZ:
        raise ValueError(f"its features are made at {extractor['sampling_rate']} Hz, and not at 16 kHz")
    if not extractor.get("do_normalize", True):
        return 0.0, 0.5
    return float(extractor.get("mean", fbank.AUDIOSET_MEAN)), float(extractor.get("std", fbank.AUDIOSET_STD))


def _labels(content: Mapping[str, Any], weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    names = {int(index): str(label) for index, label in content.get("id2label", {}).items()}
    classes = weights["classifier.dense.weight"].shape[0]
    return tuple(names.get(index, f"LABEL_{index}") for index in range(classes))


def _config_of_pretrained(content: Mapping[str, Any], classes: int) -> AstConfig:
    """Hugging Face's names and defaults (`transformers.ASTConfig`), which a config file may leave out."""
    if content.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"the activation is {content['hidden_act']!r}, and only 'gelu' is an AST's")
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


_RENAMED = (
    (r"^audio_spectrogram_transformer\.", ""),
    (r"^embeddings\.cls_token$", "v.cls_token"),
    (r"^embeddings\.distillation_token$", "v.dist_token"),
    (r"^embeddings\.position_embeddings$", _POSITIONS),
    (r"^embeddings\.patch_embeddings\.projection\.", "v.patch_embed.proj."),
    (r"^encoder\.layer\.(\d+)\.layernorm_before\.", r"v.blocks.\1.norm1."),
    (r"^encoder\.layer\.(\d+)\.layernorm_after\.", r"v.blocks.\1.norm2."),
    (r"^encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.", r"v.blocks.\1.attn.\2."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"v.blocks.\1.attn.proj."),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense\.", r"v.blocks.\1.mlp.fc1."),
    (r"^encoder\.layer\.(\d+)\.output\.dense\.", r"v.blocks.\1.mlp.fc2."),
    (r"^layernorm\.", "v.norm."),
    (r"^classifier\.layernorm\.", "mlp_head.0."),
    (r"^classifier\.dense\.", "mlp_head.1."),
)


def _rename_pretrained(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's parameter names to ours; query, key and value become one matrix, as in timm."""
    renamed = {}
    for key, value in weights.items():
        for pattern, name in _RENAMED:
            key = re.sub(pattern, name, key)  # noqa: PLW2901 - rewritten step by step
        renamed[key] = value
    for key in [key for key in renamed if ".attn.query." in key]:
        parts = [renamed.pop(key.replace("query", part)) for part in ("query", "key", "value")]
        renamed[key.replace("query", "qkv")] = torch.cat(parts)
    return renamed
