"""The Audio Spectrogram Transformer (Gong, Chung, Glass: "AST: Audio Spectrogram Transformer", Interspeech 2021).

A vision transformer with a class and a distillation token (DeiT) reads a spectrogram of `input_tdim` rows and
`input_fdim` mel bins as 16x16 patches, which overlap where the strides are below 16. The blocks are timm's; the parameters
carry the names of the original code (``v.…`` and ``mlp_head.…``).
"""

from functools import partial

from timm.layers import PatchDropout
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn

from .geometry import SIZES, AstConfig, Size, adapt_positions

__all__ = ["SIZES", "AstConfig", "AudioSpectrogramTransformer", "Size", "adapt_positions"]


class _PatchEmbedding(nn.Module):
    """Patches of a spectrogram, overlapping where the stride is below their side; stands in for timm's."""

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.grid_size = config.grid
        self.num_patches = config.grid[0] * config.grid[1]
        self.proj = nn.Conv2d(1, config.width, config.patch, (config.fstride, config.tstride))

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)  # (batch, 1, bins, rows) -> (batch, width, f, t)
        return x.flatten(2).transpose(1, 2)  # (batch, f * t, width)


class AudioSpectrogramTransformer(nn.Module):
    """AST, from normalised log-mel rows to logits.

    Parameters
    ----------
    config : AstConfig
        Geometry and size. The weights are random until a state dict is loaded.
    """

    def __init__(self, config: AstConfig) -> None:
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
        """While it trains, look at a random part of each window's patches only.

        Cheaper, and a help against overfitting (Koutini et al., "Efficient Training of Audio Transformers with Patchout", Interspeech 2022).
        The chance is that of torch's global generator.

        Parameters
        ----------
        share : float
            Of the patches to leave out: 0 up to, but not, 1.
        """
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
