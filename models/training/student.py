"""Student during training: the Audio Spectrogram Transformer, and auxiliary heads that are dropped afterwards."""

import math

import torch
from torch import Tensor, nn

from ..ast_network import AudioSpectrogramTransformer
from .teachers import yamnet

_COLUMNS, _COLUMN_SHIFT = 6, 3
"""Number of columns of 16 rows in one of the teacher's patches, and between two."""
_RARE = -5.5
"""Initial bias of a class: a probability of 0.4 %."""
_RAREST = 1e-3
"""Minimum distance from 0 and 1 that probabilities are clipped to before computing logits."""
_RIDGE = 1e-2


class Student(nn.Module):
    """AST with auxiliary heads, which match the teacher's patch labels and embeddings from the patches' tokens.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        Network with patches of 16x16 that do not overlap.
    """

    def __init__(self, network: AudioSpectrogramTransformer) -> None:
        super().__init__()
        config = network.config
        assert config.patch == config.fstride == config.tstride == 16
        self.network = network
        self.norm = nn.LayerNorm(config.width)
        self.patch_labels = nn.Linear(config.width, yamnet.CLASSES)
        self.patch_embeddings = nn.Linear(config.width, yamnet.EMBEDDING_WIDTH)
        nn.init.constant_(self.patch_labels.bias, _RARE)

    def forward(
        self, rows: Tensor, positions: Tensor, kept: Tensor, gather: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network on some patches of the rows.

        Parameters
        ----------
        rows : float32 tensor (batch, rows, bins)
            Normalised rows; any number up to the network's.
        positions : int64 tensor (tokens,)
            Indices of the kept patches in the network's full grid.
        kept : int64 tensor (tokens,)
            Indices of the kept patches in the grid of `rows`.
        gather : float32 tensor (patches, tokens)
            Weights of the mean over the kept patches in each of the teacher's.

        Returns
        -------
        float32 tensors (batch, classes), (batch, patches, 521), (batch, patches, 1024)
            Logits of the window, logits and embeddings of the teacher's patches.
        """
        x = self._tokens(rows, positions, kept)
        patches = self.norm(gather @ x[:, 2:])  # (batch, patches, width)
        return self.network.forward_head(x), self.patch_labels(patches), self.patch_embeddings(patches)

    def use_plain_attention(self) -> None:
        """Use attention without fused kernel: on a CPU, oneDNN's matrix products are faster."""
        for block in self.network.v.blocks:
            block.attn.fused_attn = False

    def _tokens(self, rows: Tensor, positions: Tensor, kept: Tensor) -> Tensor:
        """Return the normalised output of the last block: (batch, 2 + tokens, width)."""
        v = self.network.v
        x = v.patch_embed(rows.transpose(1, 2).unsqueeze(1))  # (batch, f * t, width)
        x = x[:, kept] + v.pos_embed[:, 2 + positions]  # (batch, tokens, width)
        prefix = torch.cat((v.cls_token, v.dist_token), 1) + v.pos_embed[:, :2]
        x = torch.cat((prefix.expand(len(x), -1, -1), x), 1)  # (batch, 2 + tokens, width)
        for block in v.blocks:
            x = block(x)
        normed: Tensor = v.norm(x)
        return normed

    def patches(self, rows: Tensor, positions: Tensor, kept: Tensor, gather: Tensor) -> Tensor:
        """Return the input of the auxiliary heads, with the arguments of a call: (batch, patches, width)."""
        normed: Tensor = self.norm(gather @ self._tokens(rows, positions, kept)[:, 2:])
        return normed

    @torch.no_grad()
    def fit_heads(self, patches: Tensor, labels: Tensor, embeddings: Tensor) -> None:
        """Fit the auxiliary heads by least squares, so that random ones do not distort a trained network.

        Parameters
        ----------
        patches, labels, embeddings : float32 tensors (n, width), (n, 521), (n, 1024)
            Input of the heads, and the teacher's probabilities and embeddings.
        """
        inputs = torch.cat((patches, torch.ones_like(patches[:, :1])), 1).double()
        gram = inputs.T @ inputs
        gram.diagonal().add_(_RIDGE * len(inputs))
        targets = torch.cat((labels.logit(_RAREST), embeddings), 1).double()
        solution = torch.linalg.solve(gram, inputs.T @ targets).T.to(patches.dtype)  # (521 + 1024, width + 1)
        for head, part in zip(
            (self.patch_labels, self.patch_embeddings),
            solution.split((yamnet.CLASSES, yamnet.EMBEDDING_WIDTH)),
            strict=True,
        ):
            head.weight.copy_(part[:, :-1])
            head.bias.copy_(part[:, -1])

    def choose_patches(
        self, rows: int, share: float, random: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the patches of a call: `positions`, `kept` and `gather`.

        Fewer rows than the network's get a random place in its grid; a random `share` of all patches is kept (Koutini et al.,
        "Efficient Training of Audio Transformers with Patchout", Interspeech 2022).
        """
        bins, columns = self.network.config.grid
        width = rows // 16
        shift = int(torch.randint(columns - width + 1, (1,), generator=random))
        count = round(share * bins * width)
        kept = torch.randperm(bins * width, generator=random)[:count].sort().values
        bin_, column = kept // width, kept % width
        patches = yamnet.patch_count(rows)
        first = torch.arange(patches)[:, None] * _COLUMN_SHIFT  # (patches, 1)
        gather = ((column >= first) & (column < first + _COLUMNS)).float()
        gather /= gather.sum(1, keepdim=True).clamp_min(1)
        device = self.norm.weight.device
        return (bin_ * columns + column + shift).to(device), kept.to(device), gather.to(device)


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
