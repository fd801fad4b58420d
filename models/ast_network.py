"""Audio Spectrogram Transformer (Gong, Chung, Glass: "AST: Audio Spectrogram Transformer", Interspeech 2021).

A vision transformer with a class token and a distillation token (DeiT) reads a spectrogram of `input_tdim` rows and
`input_fdim` mel bins as 16x16 patches, which overlap if the strides are below 16. The blocks are timm's; the parameters
have the names of the original code (``v.…`` and ``mlp_head.…``).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

Size: TypeAlias = Literal["tiny", "small", "base"]

SIZES: dict[Size, tuple[int, int, int]] = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}
"""Width, depth and attention heads of the three sizes of DeiT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AstConfig:
    """Configuration of the network, saved in the header of a checkpoint. `AstConfig.of_size` returns the standard ones.

    Attributes
    ----------
    width, depth, heads, mlp_width : int
        Components of a token, number of blocks, attention heads, and hidden units of a block's perceptron.
    fstride, tstride : int
        Steps between patches along mel bins and rows, 1 to `patch`.
    input_fdim, input_tdim : int
        Mel bins and rows of the input.
    label_dim : int
        Number of classes.
    patch : int
        Side of a patch, in rows and in mel bins.
    qkv_bias : bool
        True if the attention's projections have a bias.
    norm_eps, head_norm_eps : float
        LayerNorm's epsilon in the blocks (timm 1e-6, Hugging Face 1e-12) and in the head (1e-5, 1e-12).

    Raises
    ------
    ValueError
        A value is out of range.
    """

    width: int
    depth: int
    heads: int
    mlp_width: int
    fstride: int = 10
    tstride: int = 10
    input_fdim: int = 128
    input_tdim: int = 1024
    label_dim: int = 527
    patch: int = 16
    qkv_bias: bool = True
    norm_eps: float = 1e-6
    head_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        sizes = (
            *(self.width, self.depth, self.heads, self.mlp_width, self.patch, self.label_dim),
            *(self.fstride, self.tstride, self.input_fdim, self.input_tdim),
        )
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError("sizes and strides must be whole numbers")
        if not all(math.isfinite(eps) and eps >= 0.0 for eps in (self.norm_eps, self.head_norm_eps)):
            raise ValueError("the epsilons of layer norms must be finite and not negative")
        if min(self.width, self.depth, self.heads, self.mlp_width, self.patch, self.label_dim) < 1:
            raise ValueError("width, depth, heads, mlp_width, patch and label_dim must be at least 1")
        if self.width % self.heads:
            raise ValueError(f"the width, {self.width}, must be a multiple of the heads, {self.heads}")
        if not (1 <= self.fstride <= self.patch and 1 <= self.tstride <= self.patch):
            raise ValueError(f"strides must be 1 to {self.patch}, not {self.fstride} and {self.tstride}")
        if min(self.input_fdim, self.input_tdim) < self.patch:
            raise ValueError(
                f"the input must be at least {self.patch}x{self.patch}, not {self.input_fdim}x{self.input_tdim}"
            )

    @classmethod
    def of_size(cls, size: Size, **geometry: Any) -> "AstConfig":
        """Return the config of a DeiT of a size; `geometry` are further attributes."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
        width, depth, heads = SIZES[size]
        return cls(width=width, depth=depth, heads=heads, mlp_width=4 * width, **geometry)

    @property
    def grid(self) -> tuple[int, int]:
        """Number of patches along mel bins and along rows."""
        return (
            (self.input_fdim - self.patch) // self.fstride + 1,
            (self.input_tdim - self.patch) // self.tstride + 1,
        )

    @property
    def min_parameters(self) -> int:
        """Number of parameters in the matrices, without the vectors."""
        block = 4 * self.width**2 + 2 * self.width * self.mlp_width
        tokens = 2 + self.grid[0] * self.grid[1]
        return self.depth * block + self.width * (tokens + self.patch**2 + self.label_dim)


class _PatchEmbedding(nn.Module):
    """Embedding of a spectrogram's patches, which overlap if the stride is below their side; replaces timm's."""

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.grid_size = config.grid
        self.num_patches = config.grid[0] * config.grid[1]
        self.proj = nn.Conv2d(1, config.width, config.patch, (config.fstride, config.tstride))

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)  # (batch, 1, bins, rows) -> (batch, width, f, t)
        return x.flatten(2).transpose(1, 2)  # (batch, f * t, width)


class AudioSpectrogramTransformer(nn.Module):
    """The AST network, from normalised log-mel rows to logits.

    Parameters
    ----------
    config : AstConfig
        Geometry and size. The weights are random until a state dict is loaded.
    """

    def __init__(self, config: AstConfig) -> None:
        from timm.models.deit import VisionTransformerDistilled

        super().__init__()
        self.config = config
        self.v = VisionTransformerDistilled(
            img_size=(config.input_fdim, config.input_tdim),
            patch_size=config.patch,
            in_chans=1,
            num_classes=0,
            embed_dim=config.width,
            depth=config.depth,
            num_heads=config.heads,
            mlp_ratio=config.mlp_width / config.width,
            qkv_bias=config.qkv_bias,
            embed_layer=lambda **_: _PatchEmbedding(config),
            norm_layer=partial(nn.LayerNorm, eps=config.norm_eps),
        )
        self.mlp_head = nn.Sequential(
            nn.LayerNorm(config.width, eps=config.head_norm_eps), nn.Linear(config.width, config.label_dim)
        )

    def drop_patches(self, share: float) -> None:
        """Use only a random part of each window's patches in training.

        This is faster and reduces overfitting (Koutini et al., "Efficient Training of Audio Transformers with Patchout", Interspeech 2022).
        The patches are drawn with torch's global generator.

        Parameters
        ----------
        share : float
            Share of the patches to drop, at least 0 and below 1.
        """
        from timm.layers import PatchDropout

        dropping = PatchDropout(share, num_prefix_tokens=2) if share else nn.Identity()
        self.v.patch_drop = dropping.train(self.training)

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised rows (batch, input_tdim, input_fdim) -> tokens (batch, 2 + f * t, width), class and distillation first."""
        x = x.transpose(1, 2).unsqueeze(1)  # (batch, 1, bins, rows)
        tokens: Tensor = self.v.forward_features(x)
        return tokens

    def forward_embedding(self, tokens: Tensor) -> Tensor:
        """Tokens -> (batch, width): the mean of the class and the distillation token."""
        return (tokens[:, 0] + tokens[:, 1]) / 2

    def forward_head(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, 2 + f * t, width) -> logits (batch, label_dim)."""
        logits: Tensor = self.mlp_head(self.forward_embedding(tokens))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Normalised rows (batch, input_tdim, input_fdim) -> logits (batch, label_dim)."""
        return self.forward_head(self.forward_features(x))


def adapt_positions(pos_embed: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Adapt a positional embedding to another grid of patches, like the original code: time first.

    Parameters
    ----------
    pos_embed : tensor (1, 2 + f * t, width)
        Positional embedding: two prefix tokens, then the patches, mel bins outermost.
    grid, new_grid : (int, int)
        Patches along mel bins and along rows, before and after.

    Returns
    -------
    tensor (1, 2 + new_f * new_t, width)
        Adapted embedding: the middle of a shorter axis, bilinear interpolation of a longer one.
    """
    if pos_embed.shape[1] != 2 + grid[0] * grid[1]:
        raise ValueError(
            f"a positional embedding of {pos_embed.shape[1]} tokens does not fit a grid of {grid}"
        )
    if grid == new_grid:
        return pos_embed
    prefix, patches = pos_embed[:, :2], pos_embed[:, 2:]
    patches = patches.transpose(1, 2).reshape(1, -1, *grid)  # (1, width, f, t)
    for axis, size in ((3, new_grid[1]), (2, new_grid[0])):
        old = patches.shape[axis]
        if size <= old:
            patches = patches.narrow(axis, old // 2 - size // 2, size)
        else:
            shape = (patches.shape[2], size) if axis == 3 else (size, patches.shape[3])
            patches = F.interpolate(patches, size=shape, mode="bilinear")
    return torch.cat((prefix, patches.flatten(2).transpose(1, 2)), 1)
