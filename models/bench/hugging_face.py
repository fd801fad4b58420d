"""Baseline: Hugging Face's feature extractor and `ASTForAudioClassification`. The only importer of transformers."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ..ast_network import AstConfig

Baseline: TypeAlias = Callable[[NDArray[np.float32]], object]
"""Function of samples float32 (batch, n) that returns scores on the host."""


def is_installed() -> bool:
    """Return True if transformers is installed."""
    return find_spec("transformers") is not None


def baseline(config: AstConfig, device: torch.device, *, half: bool = False) -> Baseline:
    """Make a network of the same geometry with random weights.

    Parameters
    ----------
    config : AstConfig
        Geometry.
    device : torch.device
        Device to run on.
    half : bool
        True for fp16 with fused attention, False for fp32 with eager attention.
    """
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    network = ASTForAudioClassification(
        ASTConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            intermediate_size=config.mlp_width,
            frequency_stride=config.fstride,
            time_stride=config.tstride,
            max_length=config.input_tdim,
            num_mel_bins=config.input_fdim,
            num_labels=config.label_dim,
            attn_implementation="sdpa" if half else "eager",
        )
    )
    dtype = torch.float16 if half else torch.float32
    network = network.eval().to(device, dtype)
    extractor = ASTFeatureExtractor(max_length=config.input_tdim, num_mel_bins=config.input_fdim)

    def tag(samples: NDArray[np.float32]) -> object:
        with torch.inference_mode():
            rows = extractor(list(samples), sampling_rate=16_000, return_tensors="pt")["input_values"]
            return network(rows.to(device, dtype)).logits.float().sigmoid().cpu().numpy()

    return tag
