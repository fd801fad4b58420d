"""Explanations of tags: attention roll-out over the spectrogram."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the conventional name

from . import frontends
from .ast_network import AudioSpectrogramTransformer, require_ast
from .checkpoints import Checkpoint
from .engines.torch_engine import pick_device
from .errors import CheckpointError, SoundError
from .network_spec import NetworkConfig

Floats = NDArray[np.float32]

_PREFIX_TOKENS = 2
"""Number of prefix tokens: the class and the distillation token, whose mean is classified."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explanation:
    """Explanation of a window's tag.

    Attributes
    ----------
    label : str
        Label of the tag.
    score : float
        Score of the tag, 0..1.
    spectrogram : float32 (rows, bins)
        Log-mel energies (natural logarithm), lowest mel bin first; padded rows are zeros.
    relevance : float32 (rows, bins)
        Relevance of each cell for the tag, 0..1.
    sound_rows : int
        Number of rows with sound, at least one; the rows after them are padding.
    start_seconds : float
        Start of the window in its recording.
    """

    label: str
    score: float
    spectrogram: Floats
    relevance: Floats
    sound_rows: int
    start_seconds: float = 0.0


def explain(
    checkpoint: Checkpoint,
    samples: Floats,
    *,
    label: str | None = None,
    rows: int | None = None,
    start_seconds: float = 0.0,
    device: str = "cpu",
) -> Explanation:
    """Explain one tag of one window.

    Parameters
    ----------
    checkpoint : Checkpoint
        Model; it is always computed in fp32.
    samples : float32 (n,)
        16 kHz mono in [-1, 1], at most a window long; shorter sound is padded as by a tagger.
    label : str, optional
        Class to explain; by default the one with the highest score.
    rows : int, optional
        Rows of the window, 100 a second; by default the checkpoint's.
    start_seconds : float
        Start of the window in its recording, for the time axis.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    SoundError
        The sound is shorter than one frame (25 ms).
    CheckpointError
        The model has no such class.
    ValueError
        `samples` is not one waveform of at most a window.
    """
    network = require_ast(checkpoint.build(rows), checkpoint.name, "explained").to(pick_device(device))
    config = network.config
    if samples.ndim != 1 or len(samples) > config.input_tdim * frontends.FRAME_SHIFT:
        raise ValueError(
            f"samples must be one waveform of at most {config.input_tdim * frontends.FRAME_SHIFT} samples, not {samples.shape}"
        )
    if len(samples) < frontends.FRAME_LENGTH:
        raise SoundError("the sound is shorter than 25 ms: give a longer one")
    features = frontends.fbank(torch.from_numpy(samples)[None], config.input_fdim)
    normalised = frontends.input_rows(features, config.input_tdim, checkpoint.mean, checkpoint.std)
    normalised = normalised.to(next(network.parameters()).device)
    with torch.inference_mode():
        logits = network(normalised)[0]
        scores = logits.softmax(-1) if checkpoint.activation == "softmax" else logits.sigmoid()
    index = int(scores.argmax()) if label is None else _index_of(label, checkpoint)
    return Explanation(
        label=checkpoint.labels[index],
        score=float(scores[index]),
        spectrogram=frontends.input_rows(features[0], config.input_tdim, mean=0.0, std=0.5).numpy(),
        relevance=over_cells(attention_rollout(network, normalised, index), config),
        sound_rows=min(features.shape[1], config.input_tdim),
        start_seconds=start_seconds,
    )


def _index_of(label: str, checkpoint: Checkpoint) -> int:
    if label not in checkpoint.labels:
        raise CheckpointError(f"'{checkpoint.name}' has no class '{label}': give one of its labels")
    return checkpoint.labels.index(label)


def attention_rollout(network: AudioSpectrogramTransformer, rows: Tensor, label: int) -> Floats:
    """Roll out the attention that supports one class.

    Attention roll-out (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020) multiplies the
    blocks' attention, each with the identity added for the residual connection. It is the same for all classes, so
    this function uses the form of Chefer, Gur and Wolf ("Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", ICCV 2021, equations 5 and 6), which weights the attention ``A`` of each head with the gradient of
    the class's logit with respect to it, and keeps the positive part::

        A_bar = mean over heads of max(0, dlogit/dA * A)
        R = I
        R = R + A_bar R, from the first block to the last

    The result is the mean, at the patches, of the rows of ``R`` for the class and the distillation token, which the
    head reads. Only those two rows are computed: ``R`` is the product of ``I + A_bar``, the last
    block's leftmost, so they are updated from the last block to the first, in the order of the gradients.
    The activations stay in memory until then: 1.7 GB for AST-base at strides of 10 and 10.24 s.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        Network in float32, on any device; it is not changed.
    rows : float32 tensor (1, input_tdim, input_fdim)
        Normalised log-mel rows, on the network's device.
    label : int
        Index of the class.

    Returns
    -------
    float32 (f, t)
        Relevance of the patches, mel bins along the first axis, divided by the largest: 0..1. All zeros if no
        attention supports the class.

    Raises
    ------
    ValueError
        `rows` is not one window, or there is no such class.
    """
    config = network.config
    _check_rollout(config, rows, label)
    patches = config.grid[0] * config.grid[1]
    relevance = torch.eye(_PREFIX_TOKENS, _PREFIX_TOKENS + patches, device=rows.device)

    def roll_out(attention: Tensor, gradient: Tensor) -> None:
        nonlocal relevance
        weighted = (
            (gradient * attention).clamp_min(0).mean(1)[0]
        )  # (1, heads, tokens, tokens) -> (tokens, tokens)
        relevance = relevance + relevance @ weighted

    with torch.inference_mode(mode=False), torch.enable_grad(), _watching_attention(network, roll_out):
        leaf = rows.detach().clone().requires_grad_()
        logit = network(leaf)[0, label]
        torch.autograd.grad(logit, leaf)
    at_patches = relevance[:, _PREFIX_TOKENS:].mean(0).reshape(config.grid)
    largest = at_patches.max()
    array: Floats = (at_patches / largest if largest > 0 else at_patches).cpu().numpy()
    return array


def _check_rollout(config: NetworkConfig, rows: Tensor, label: int) -> None:
    """Check the arguments of `attention_rollout`."""
    if rows.shape != (1, config.input_tdim, config.input_fdim):
        raise ValueError(
            f"rows must be (1, {config.input_tdim}, {config.input_fdim}), not {tuple(rows.shape)}"
        )
    if not 0 <= label < config.label_dim:
        raise ValueError(f"label must be 0 to {config.label_dim - 1}, not {label}")


@contextmanager
def _watching_attention(
    network: AudioSpectrogramTransformer, watch: Callable[[Tensor, Tensor], None]
) -> Iterator[None]:
    """Call `watch` with each block's attention (1, heads, tokens, tokens) and its gradient, as the gradients are computed.

    timm's blocks compute the attention explicitly if `fused_attn` is off, and then pass it through `attn_drop`.
    """
    attentions = [block.attn for block in network.v.blocks]
    fused = [attention.fused_attn for attention in attentions]

    def hook(_dropout: torch.nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept = output.detach()
        output.register_hook(lambda gradient: watch(kept, gradient))  # type: ignore[no-untyped-call]

    handles = [attention.attn_drop.register_forward_hook(hook) for attention in attentions]
    try:
        for attention in attentions:
            attention.fused_attn = False
        yield
    finally:
        for attention, was_fused, handle in zip(attentions, fused, handles, strict=True):
            attention.fused_attn = was_fused
            handle.remove()


def over_cells(patches: Floats, config: NetworkConfig) -> Floats:
    """Spread the values of patches over the cells that they cover.

    Parameters
    ----------
    patches : float32 (f, t)
        Values of the patches in the grid of `config`.
    config : AstConfig
        Config with the size and strides of the patches, rows and mel bins.

    Returns
    -------
    float32 (rows, bins)
        Mean of the patches that cover a cell; 0 for cells after the last whole patch.
    """
    values = torch.from_numpy(patches)[None, None]  # (1, 1, f, t)
    ones = torch.ones(1, 1, config.patch, config.patch)
    strides = (config.fstride, config.tstride)
    total = F.conv_transpose2d(values, ones, stride=strides)
    count = F.conv_transpose2d(torch.ones_like(values), ones, stride=strides)
    mean = total / count  # every cell up to the last patch is covered, as no stride is longer than a patch
    missing_bins, missing_rows = config.input_fdim - mean.shape[2], config.input_tdim - mean.shape[3]
    cells: Floats = F.pad(mean, (0, missing_rows, 0, missing_bins))[0, 0].T.contiguous().numpy()
    return cells
