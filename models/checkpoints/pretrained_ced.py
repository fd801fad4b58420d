"""The Hub's CED models: names of parameters and of values in their files.

The code that their configs refer to is not needed, and never run.
"""

import torch
from torch import Tensor

from ..ced_network import SCALE, SHIFT, SIZES, CedConfig
from ..frontends import AUDIOSET_MEAN, AUDIOSET_STD, FRAME_SHIFT, SAMPLE_RATE_HZ
from ..network_spec import NetworkConfig
from .formats import Format, Json, Weights, require_sampling_rate

_BATCH_NORM = "encoder.init_bn."
_BATCH_NORM_EPS = 1e-5
_TIME, _FREQUENCY = "encoder.time_pos_embed", "encoder.freq_pos_embed"
_RENAMED = (
    ("encoder.patch_embed.proj.", "v.patch_embed.proj."),
    ("encoder.blocks.", "v.blocks."),
    ("encoder.norm.", "v.norm."),
    ("outputlayer.", "mlp_head."),
)


def _configure(content: Json, extractor: Json, classes: int) -> CedConfig:
    """Convert a config, with the values of the published models for missing keys; the extractor decides on the features."""
    features = {**content, **{key: value for key, value in extractor.items() if value is not None}}
    for key, only in (("pooling", "mean"), ("hop_size", FRAME_SHIFT), ("center", True)):
        if features.get(key, only) != only:
            raise ValueError(f"its {key} is {features[key]!r}, and only {only!r} is supported")
    bins = int(content.get("n_mels", 64))
    if int(extractor.get("feature_size", bins)) != bins:
        raise ValueError(f"its feature extractor has {extractor['feature_size']} mel bins, not {bins}")
    width, depth, heads = SIZES.get(str(content.get("name")).removeprefix("ced-"), SIZES["base"])
    width, patch = int(content.get("embed_dim", width)), int(content.get("patch_size", 16))
    if patch < 1:
        raise ValueError(f"its patch_size is {patch}, and must be at least 1")
    highest_hz = features.get("f_max")
    return CedConfig(
        width=width,
        depth=int(content.get("depth", depth)),
        heads=int(content.get("num_heads", heads)),
        mlp_width=int(width * float(content.get("mlp_ratio", 4.0))),
        fstride=int(content.get("patch_stride", patch)),
        tstride=int(content.get("patch_stride", patch)),
        input_fdim=bins,
        input_tdim=int(content.get("target_length", 1012)) // patch * patch,
        label_dim=classes,
        patch=patch,
        qkv_bias=bool(content.get("qkv_bias", True)),
        fft=int(features.get("n_fft", 512)),
        frame=int(features.get("win_size", 512)),
        lowest_hz=float(features.get("f_min", 0.0)),
        highest_hz=SAMPLE_RATE_HZ / 2 if highest_hz is None else float(highest_hz),
    )


def _normalise(extractor: Json) -> tuple[float, float]:
    """Check the features; their normalisation is in the weights."""
    require_sampling_rate(extractor, SAMPLE_RATE_HZ)
    return AUDIOSET_MEAN, AUDIOSET_STD


def _rename(weights: Weights, config: NetworkConfig) -> dict[str, Tensor]:
    """Rename parameters, fold the batch normalisation into a scale and a shift, and add up the positions of both axes."""
    renamed = {
        new + key.removeprefix(old): value
        for old, new in _RENAMED
        for key, value in weights.items()
        if key.startswith(old)
    }
    weight, bias, mean, variance = (
        _of_shape(weights, _BATCH_NORM + name, (config.input_fdim,))
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / torch.sqrt(variance + _BATCH_NORM_EPS)
    bins, columns = config.grid
    time = _of_shape(weights, _TIME, (1, config.width, 1, columns))
    frequency = _of_shape(weights, _FREQUENCY, (1, config.width, bins, 1))
    return renamed | {
        SCALE: scale,
        SHIFT: bias - mean * scale,
        "v.patch_embed.positions": time + frequency,
    }


def _of_shape(weights: Weights, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a parameter in single precision; broadcasting would hide a wrong shape, or make it huge."""
    found = tuple(weights[name].shape)
    if found != shape:
        raise ValueError(f"the shape of {name} is {found}, and its config asks for {shape}")
    return weights[name].float()


CED = Format(
    config=CedConfig,
    model_type="ced",
    name="a CED",
    model="a CedForAudioClassification",
    prefix="encoder.init_bn.",
    always_multi_label=True,
    configure=_configure,
    normalise=_normalise,
    rename=_rename,
)
