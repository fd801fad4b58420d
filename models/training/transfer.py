"""Starting points for training: from ImageNet, or from another AST (Gong et al. 2021, sections 2.2 and 3).

The weights are adapted to the new geometry as in the original code: the patch projection of an image network is summed over its three
colours, the positional embedding is cut from the middle or interpolated bilinearly, time first, class and distillation token
are kept, and a new head (LayerNorm, linear) replaces the old one.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..ast_network import POSITIONS, AstConfig, adapt_positions
from ..checkpoints import Checkpoint, load_checkpoint, require_known
from ..checkpoints.tensors import read_tensors
from ..errors import CheckpointError
from ..known_family import only_an_ast, require_ast_before_loading
from ..network_spec import NetworkConfig

IMAGENET = "imagenet"

DEIT = {
    "tiny": "deit_tiny_distilled_patch16_224",
    "small": "deit_small_distilled_patch16_224",
    "base": "deit_base_distilled_patch16_224",
    "base384": "deit_base_distilled_patch16_384",
}
"""Names in timm of DeiT with a distillation token (Touvron et al. 2021)."""
_REPOSITORY = "timm/{}.fb_in1k"
"""Repository on the Hugging Face Hub with their weights, trained on ImageNet."""
_DEFAULT = "base384"
_HEAD_WIDTH = 64
"""Width of an attention head in every DeiT."""
_PREFIX_TOKENS = 2
_PROJECTION = "patch_embed.proj.weight"
_CLASSIFIERS = ("head.", "head_dist.")


def starting_point(
    init: str,
    labels: Sequence[str],
    *,
    fstride: int | None = None,
    tstride: int | None = None,
    rows: int | None = None,
    offline: bool = False,
    seed: int = 0,
) -> Checkpoint:
    """Make a network for a set of labels from another one.

    Parameters
    ----------
    init : str
        ``imagenet``, ``imagenet:tiny|small|base|base384`` or ``imagenet:FILE`` (weights of a distilled DeiT, as safetensors or ``.pth``);
        or any model for `load_checkpoint`.
    labels : sequence of str
        Classes, in the order of the new logits. A model that already has these keeps its head.
    fstride, tstride, rows : int, optional
        Strides between patches, and rows of the input; by default those of `init`, else 10, 10 and 1024.
    offline : bool
        True to use only files on this machine.
    seed : int
        Seed of the new head.

    Raises
    ------
    CheckpointError
        There is no such starting point, it can't be fetched or read, or the geometry is impossible.
    """
    geometry = {"fstride": fstride, "tstride": tstride, "input_tdim": rows}
    overrides = {name: value for name, value in geometry.items() if value is not None}
    random = torch.Generator().manual_seed(seed)
    kind, _, detail = init.partition(":")
    try:
        if kind == IMAGENET:
            checkpoint = _from_imagenet(detail or _DEFAULT, overrides, offline)
        else:
            checkpoint = _with_geometry(load_checkpoint(init, offline=offline), overrides)
    except ValueError as error:
        raise CheckpointError(f"'{init}' can't start such a network: {error}") from error
    return _with_labels(checkpoint, tuple(labels), random)


def require_starting_point(init: str, *, offline: bool = False) -> None:
    """Refuse what `starting_point` can't start from, before it is fetched or read.

    Raises
    ------
    CheckpointError
        It does not exist or is not an AST, or its description can't be fetched (`HubError`).
    """
    kind, _, detail = init.partition(":")
    if kind != IMAGENET:
        require_known(init)
        require_ast_before_loading(init, "fine-tuned", offline=offline)
    elif detail and detail not in DEIT:
        _file_of_imagenet(detail)


def _file_of_imagenet(name: str) -> Path:
    path = Path(name)
    with suppress(RuntimeError, ValueError):  # "~name" of an unknown user stays as it is
        path = path.expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"there are no ImageNet weights '{name}': give {IMAGENET}:NAME with one of {', '.join(DEIT)}, or {IMAGENET}:FILE"
        )
    return path


def _from_imagenet(name: str, geometry: Mapping[str, Any], offline: bool) -> Checkpoint:
    """Return a DeiT as an AST without a head."""
    if name in DEIT:
        from .. import hub

        folder = hub.fetch(_REPOSITORY.format(DEIT[name]), networks=(DEIT[name],), offline=offline)
        path = folder / "model.safetensors"
    else:
        path = _file_of_imagenet(name)
    _, tensors = read_tensors(path)
    try:
        config = _config_of_deit(tensors, geometry)
        side = math.isqrt(tensors["pos_embed"].shape[1] - _PREFIX_TOKENS)
        weights = {f"v.{key}": value for key, value in tensors.items() if not key.startswith(_CLASSIFIERS)}
        weights[f"v.{_PROJECTION}"] = tensors[_PROJECTION].sum(1, keepdim=True)
        weights[POSITIONS] = adapt_positions(tensors["pos_embed"], (side, side), config.grid)
    except LookupError as error:
        raise CheckpointError(
            f"{path} is not a DeiT with a distillation token (it has no {error}): give the weights of a distilled DeiT"
        ) from error
    return Checkpoint(name=name, config=config, labels=("",), weights=weights)


def _config_of_deit(tensors: Mapping[str, Tensor], geometry: Mapping[str, Any]) -> AstConfig:
    width, _, patch, _ = tensors[_PROJECTION].shape
    return AstConfig(
        width=tensors["dist_token"].shape[-1],
        depth=len({key.split(".")[1] for key in tensors if key.startswith("blocks.")}),
        heads=max(1, width // _HEAD_WIDTH),
        mlp_width=tensors["blocks.0.mlp.fc1.weight"].shape[0],
        patch=patch,
        label_dim=1,
        **geometry,
    )


def _with_geometry(checkpoint: Checkpoint, geometry: Mapping[str, Any]) -> Checkpoint:
    """Return the same network for other strides or another length."""
    if not isinstance(checkpoint.config, AstConfig):
        raise only_an_ast(checkpoint.name, "fine-tuned")
    config = replace(checkpoint.config, **geometry)
    weights = {key: value.float() for key, value in checkpoint.weights.items()}
    weights[POSITIONS] = adapt_positions(weights[POSITIONS], checkpoint.config.grid, config.grid)
    return replace(checkpoint, config=config, weights=weights)


def _with_labels(checkpoint: Checkpoint, labels: tuple[str, ...], random: torch.Generator) -> Checkpoint:
    """Return the same network for other labels: with its reordered head if the labels are the same, else with a new one.

    Thresholds are dropped, because they apply only to the scores of the original weights.
    """
    config = replace(checkpoint.config, label_dim=len(labels))
    weights = dict(checkpoint.weights)
    if sorted(labels) == sorted(checkpoint.labels):
        order = [checkpoint.labels.index(label) for label in labels]
        for name in ("mlp_head.1.weight", "mlp_head.1.bias"):
            weights[name] = weights[name][order]
    else:
        weights |= _new_head(config, random)
    return replace(checkpoint, config=config, labels=labels, weights=weights, thresholds=None)


def _new_head(config: NetworkConfig, random: torch.Generator) -> dict[str, Tensor]:
    """Return LayerNorm and linear layer with PyTorch's initialisation."""
    bound = 1 / math.sqrt(config.width)
    return {
        "mlp_head.0.weight": torch.ones(config.width),
        "mlp_head.0.bias": torch.zeros(config.width),
        "mlp_head.1.weight": nn.init.uniform_(
            torch.empty(config.label_dim, config.width), -bound, bound, generator=random
        ),
        "mlp_head.1.bias": nn.init.uniform_(torch.empty(config.label_dim), -bound, bound, generator=random),
    }
