"""Student during training: the Audio Spectrogram Transformer, and auxiliary heads that are dropped afterwards."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..ast_network import AudioSpectrogramTransformer
from .teachers import TeacherNetwork

_PATCH = 16
"""Side of a patch, in rows and in mel bins."""
_RARE = -5.5
"""Initial bias of a class: a probability of 0.4 %."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Patches:
    """Patches that the student sees in a step.

    Attributes
    ----------
    positions, kept : int64 tensors (tokens,)
        Indices of the patches in the network's grid, and in the grid of the step's rows.
    gather : float32 tensor (steps, tokens)
        Weights of the mean over the patches at each of the teacher's features in time.
    seen : int64 tensor
        Those of the features in time at which there are patches.
    """

    positions: Tensor
    kept: Tensor
    gather: Tensor
    seen: Tensor

    def to(self, device: torch.device) -> "Patches":
        """Return the patches on a device."""
        moved = (x.to(device, non_blocking=True) for x in (self.positions, self.kept, self.gather, self.seen))
        positions, kept, gather, seen = moved
        return Patches(positions=positions, kept=kept, gather=gather, seen=seen)


class Student(nn.Module):
    """AST with auxiliary heads, which match the teacher's embedding and its features in time.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        Network with patches of 16x16 that do not overlap.
    teacher : TeacherNetwork or its class
        The teacher.

    Attributes
    ----------
    network : AudioSpectrogramTransformer
        The network, as given.
    heads : nn.ModuleDict
        The auxiliary heads.
    """

    def __init__(
        self, network: AudioSpectrogramTransformer, teacher: TeacherNetwork | type[TeacherNetwork]
    ) -> None:
        super().__init__()
        config = network.config
        assert config.patch == config.fstride == config.tstride == _PATCH
        self.network = network
        self.heads = nn.ModuleDict(
            {
                "embedding": nn.Linear(config.width, teacher.embedding_width),
                "frames": nn.Sequential(
                    nn.LayerNorm(config.width), nn.Linear(config.width, teacher.feature_width)
                ),
            }
        )
        self._step_rows, self._span_rows = teacher.step_rows, teacher.span_rows
        self._run_blocks = self._through_blocks

    def forward(self, rows: Tensor, patches: Patches) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network on some patches of normalised rows float32 (batch, rows, bins), at most as many as the network's.

        Returns
        -------
        tensors (batch, classes), (batch, embedding width), (batch, steps, feature width)
            Logits, embedding, and features at the steps that are `seen`.
        """
        tokens = self._tokens(rows, patches)
        summary = self.network.forward_embedding(tokens)
        steps = patches.gather[patches.seen] @ tokens[:, 2:].float()  # (batch, steps, width)
        return self.network.mlp_head(summary), self.heads["embedding"](summary), self.heads["frames"](steps)

    def use_plain_attention(self) -> None:
        """Use attention without fused kernel: on a CPU, oneDNN's matrix products are faster."""
        for block in self.network.v.blocks:
            block.attn.fused_attn = False

    def compile_blocks(self) -> None:
        """Compile the blocks, once for each number of tokens."""
        self._run_blocks = torch.compile(self._through_blocks, dynamic=False)

    def _through_blocks(self, x: Tensor) -> Tensor:
        for block in self.network.v.blocks:
            x = block(x)
        return x

    def _tokens(self, rows: Tensor, patches: Patches) -> Tensor:
        """Return the normalised output of the last block: (batch, 2 + tokens, width)."""
        v = self.network.v
        x = v.patch_embed(rows.transpose(1, 2).unsqueeze(1))  # (batch, f * t, width)
        x = x[:, patches.kept] + v.pos_embed[:, 2 + patches.positions]  # (batch, tokens, width)
        prefix = torch.cat((v.cls_token, v.dist_token), 1) + v.pos_embed[:, :2]
        x = torch.cat((prefix.expand(len(x), -1, -1), x), 1)  # (batch, 2 + tokens, width)
        normed: Tensor = v.norm(self._run_blocks(x))
        return normed

    def choose_patches(self, rows: int, share: float, random: np.random.Generator) -> Patches:
        """Choose the patches of a step, on the CPU.

        Fewer rows than the network's get a random place in its grid; a random `share` of all patches is kept (Koutini et al.,
        "Efficient Training of Audio Transformers with Patchout", Interspeech 2022).
        """
        bins, columns = self.network.config.grid
        width = rows // _PATCH
        shift = int(random.integers(columns - width, endpoint=True))
        count = round(share * bins * width)
        kept = torch.from_numpy(np.sort(random.permutation(bins * width)[:count]))
        bin_, column = kept // width, kept % width
        first = torch.arange(0, rows - self._span_rows + 1, self._step_rows)[:, None] / _PATCH  # (steps, 1)
        gather = ((column >= first) & (column < first + self._span_rows / _PATCH)).float()
        found = gather.sum(1, keepdim=True)
        return Patches(
            positions=bin_ * columns + column + shift,
            kept=kept,
            gather=gather / found.clamp_min(1),
            seen=found[:, 0].nonzero()[:, 0],
        )


@torch.no_grad()
def initialise(network: AudioSpectrogramTransformer, random: torch.Generator) -> None:
    """Initialise with attention that copies (Trockman and Kolter, "Mimetic Initialization", ICML 2023) and sine and cosine positions."""
    config, v = network.config, network.v
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=random)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for token in (v.cls_token, v.dist_token):
        nn.init.trunc_normal_(token, std=0.02, generator=random)
    nn.init.trunc_normal_(v.patch_embed.proj.weight, std=1 / config.patch, generator=random)
    nn.init.zeros_(v.patch_embed.proj.bias)
    for block in v.blocks:
        _initialise_attention(block.attn.qkv.weight, block.attn.proj.weight, config.heads, random)
    bins, columns = config.grid
    in_bins, in_columns = _waves(bins, config.width // 2), _waves(columns, config.width // 2)
    grid = torch.cat(
        (in_bins[:, None].expand(-1, columns, -1), in_columns[None].expand(bins, -1, -1)), -1
    )  # (bins, columns, width)
    v.pos_embed.zero_()
    v.pos_embed[0, 2:] = 0.5 * grid.flatten(0, 1)
    network.mlp_head[1].bias.fill_(_RARE)  # type: ignore[operator] # a linear layer


def _initialise_attention(qkv: Tensor, proj: Tensor, heads: int, random: torch.Generator) -> None:
    """Set query times key near 0.7 times the identity in each head, and value times projection near -0.4 times it."""
    width = len(proj)
    size = width // heads
    query, key, value = torch.split(qkv, width)
    for head in range(heads):
        span = slice(head * size, (head + 1) * size)
        left, scale, right = torch.linalg.svd(_near_identity(width, 0.7, 0.7, random))
        query[span] = (left[:, :size] * scale[:size].sqrt()).T
        key[span] = (right[:size].T * scale[:size].sqrt()).T
    left, scale, right = torch.linalg.svd(_near_identity(width, 0.4, -0.4, random))
    value.copy_(scale.sqrt()[:, None] * right)
    proj.copy_(left * scale.sqrt())


def _near_identity(width: int, noise: float, identity: float, random: torch.Generator) -> Tensor:
    return noise * torch.randn(width, width, generator=random) / math.sqrt(width) + identity * torch.eye(
        width
    )


def _waves(count: int, width: int) -> Tensor:
    """Return sines and cosines of the positions 0..count: (count, width)."""
    frequency = 10_000 ** (-torch.arange(width // 2) / (width / 2))
    angle = torch.arange(count)[:, None] * frequency
    return torch.cat((angle.sin(), angle.cos()), 1)
