"""Hugging Face's `ASTForAudioClassification`: names of parameters and of values in its files."""

import re

import torch
from torch import Tensor

from .. import frontends
from ..ast_network import POSITIONS, AstConfig
from ..network_spec import NetworkConfig
from .formats import Format, Json, Weights, require_sampling_rate


def _normalisation(extractor: Json) -> tuple[float, float]:
    """Return mean and deviation of a feature extractor's file; (0, 0.5) leaves rows unchanged."""
    require_sampling_rate(extractor, frontends.SAMPLE_RATE_HZ)
    if not extractor.get("do_normalize", True):
        return 0.0, 0.5
    return float(extractor.get("mean", frontends.AUDIOSET_MEAN)), float(
        extractor.get("std", frontends.AUDIOSET_STD)
    )


def _configure(content: Json, _extractor: Json, classes: int) -> AstConfig:
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


def _rename(weights: Weights, _config: NetworkConfig) -> dict[str, Tensor]:
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


AST = Format(
    config=AstConfig,
    model_type="audio-spectrogram-transformer",
    name="an AST",
    model="an ASTForAudioClassification",
    prefix="audio_spectrogram_transformer.",
    always_multi_label=False,
    configure=_configure,
    normalise=_normalisation,
    rename=_rename,
)
