"""The geometry of a network: all that is known of it before it is built."""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

Size: TypeAlias = Literal["tiny", "small", "base"]

SIZES: dict[Size, tuple[int, int, int]] = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}
"""Width, depth and attention heads of the three sizes of DeiT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AstConfig:
    """All that fixes the network: the header of a checkpoint. `AstConfig.of_size` gives the usual ones.

    Attributes
    ----------
    width, depth, heads, mlp_width : int
        Components of a token, blocks, attention heads, hidden units of a block's perceptron.
    fstride, tstride : int
        Steps between patches along mel bins and rows, 1 to `patch`.
    input_fdim, input_tdim : int
        Mel bins and rows of the input.
    label_dim : int
        Classes.
    patch : int
        Side of a patch, in rows and in mel bins.
    qkv_bias : bool
        Whether the attention's projections have a bias.
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
        """Make the config of a DeiT of the given size; `geometry` are further attributes."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
        width, depth, heads = SIZES[size]
        return cls(width=width, depth=depth, heads=heads, mlp_width=4 * width, **geometry)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along mel bins and along rows."""
        return (
            (self.input_fdim - self.patch) // self.fstride + 1,
            (self.input_tdim - self.patch) // self.tstride + 1,
        )

    @property
    def least_parameters(self) -> int:
        """Numbers in its matrices, to which vectors come."""
        block = 4 * self.width**2 + 2 * self.width * self.mlp_width
        tokens = 2 + self.grid[0] * self.grid[1]
        return self.depth * block + self.width * (tokens + self.patch**2 + self.label_dim)


def adapt_positions(pos_embed: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Fit a positional embedding to another grid of patches, as the original code does: time first.

    Parameters
    ----------
    pos_embed : tensor (1, 2 + f * t, width)
        Two prefix tokens, then the patches, mel bins outermost.
    grid, new_grid : (int, int)
        Patches along mel bins and along rows, before and after.

    Returns
    -------
    tensor (1, 2 + new_f * new_t, width)
        A shorter axis is cut from the middle, a longer one interpolated bilinearly.
    """
    if pos_embed.shape[1] != 2 + grid[0] * grid[1]:
        raise ValueError(f"a positional embedding of {pos_embed.shape[1]} tokens is not one of a {grid} grid")
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
