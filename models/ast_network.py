"""Audio Spectrogram Transformer (Gong, Chung, Glass: "AST: Audio Spectrogram Transformer", Interspeech 2021).

A vision transformer with a class token and a distillation token (DeiT) reads a spectrogram of `input_tdim` rows and
`input_fdim` mel bins as 16x16 patches, which overlap if the strides are below 16. The blocks are timm's; the parameters
have the names of the original code (``v.…`` and ``mlp_head.…``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .frontends import AstFrontEnd
from .known_family import only_an_ast
from .network_spec import Network, NetworkConfig

Size: TypeAlias = Literal["tiny", "small", "base"]

SIZES: dict[Size, tuple[int, int, int]] = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}
"""Width, depth and attention heads of the three sizes of DeiT."""


POSITIONS = "v.pos_embed"
"""Name of the positional embedding in the state dict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AstConfig(NetworkConfig):
    """Configuration of an AST. `AstConfig.of_size` returns the standard ones.

    LayerNorm's epsilon in the blocks is 1e-6 in timm and 1e-12 in Hugging Face, in the head 1e-5 and 1e-12.
    """

    family: ClassVar[str] = "ast"
    prefix_tokens: ClassVar[int] = 2
    fixed_rows: ClassVar[bool] = True

    fstride: int = 10
    tstride: int = 10
    input_fdim: int = 128
    input_tdim: int = 1024

    @classmethod
    def of_size(cls, size: Size, **geometry: Any) -> "AstConfig":
        """Return the config of a DeiT of a size; `geometry` are further attributes."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
        width, depth, heads = SIZES[size]
        return cls(width=width, depth=depth, heads=heads, mlp_width=4 * width, **geometry)

    def network(self) -> "AudioSpectrogramTransformer":
        """Make the network, with random weights."""
        return AudioSpectrogramTransformer(self)

    def front_end(self, rows: int, weights: Mapping[str, Tensor], mean: float, std: float) -> AstFrontEnd:  # noqa: ARG002 - a family's interface
        """Make the front end; `mean` and `std` normalise the log-mel rows."""
        return AstFrontEnd(rows=rows, bins=self.input_fdim, mean=mean, std=std)

    def with_rows(self, rows: int) -> Self:
        """Return the config with another number of rows."""
        return replace(self, input_tdim=rows)

    def adapted(self, weights: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
        """Return the state dict with the positional embedding of another config."""
        return {**weights, POSITIONS: adapt_positions(weights[POSITIONS], self.grid, config.grid)}


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


class AudioSpectrogramTransformer(Network):
    """The AST network, from normalised log-mel rows to logits. Its tokens begin with the class and the distillation token.

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

    def forward_embedding(self, tokens: Tensor) -> Tensor:
        """Tokens -> float32 (batch, width): the mean of the class and the distillation token."""
        return (tokens[:, 0].float() + tokens[:, 1].float()) / 2


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


def require_ast(network: Network, name: str, task: str) -> AudioSpectrogramTransformer:
    """Return a network that is an AST.

    Parameters
    ----------
    network : Network
        Network of any family.
    name, task : str
        Name of the model, and the task in words, such as "fine-tuned".

    Raises
    ------
    CheckpointError
        It is of another family.
    """
    if not isinstance(network, AudioSpectrogramTransformer):
        raise only_an_ast(name, task)
    return network
