"""CED (Dinkel, Wang, Yan, Zhang, Wang: "CED: Consistent Ensemble Distillation for Audio Tagging", ICASSP 2024).

A vision transformer without prefix tokens reads a spectrogram of 64 mel bins as 16x16 patches; the mean of all tokens is classified. A shorter
window has fewer patches, and the positions of its first ones. The blocks are timm's. The spectrogram's batch normalisation is part of the
front end: its statistics become a scale and a shift of each mel bin, in single precision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .frontends import FRAME_SHIFT, ROWS_PER_SECOND, SAMPLE_RATE_HZ
from .mel_banks import htk_bank
from .network_spec import Network, NetworkConfig
from .sample_checks import SHORTEST_WINDOW_SECONDS

SIZES: dict[str, tuple[int, int, int]] = {
    "tiny": (192, 12, 3),
    "mini": (256, 12, 4),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
}
"""Width, depth and attention heads of the four published sizes."""

SCALE, SHIFT = "bin_scale", "bin_shift"
"""Names of the normalisation of mel bins in the state dict."""

_FLOOR = 1e-10
"""Lower limit of energies: -100 dB."""
_RANGE_DB = 120.0
"""Largest distance of a cell from the loudest one of its window."""
_LONGEST_FRAME = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CedConfig(NetworkConfig):
    """Configuration of a CED. `CedConfig.of_size` returns the published ones.

    Attributes
    ----------
    fft, frame : int
        Points of the Fourier transform, and samples in a frame, at most as many.
    lowest_hz, highest_hz : float
        Range of the mel bins.
    """

    family: ClassVar[str] = "ced"
    prefix_tokens: ClassVar[int] = 0
    fixed_rows: ClassVar[bool] = False

    fstride: int = 16
    tstride: int = 16
    input_fdim: int = 64
    input_tdim: int = 1008
    fft: int = 512
    frame: int = 512
    lowest_hz: float = 0.0
    highest_hz: float = 8000.0

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        if not (self.fstride == self.tstride == self.patch):
            raise ValueError(
                f"the patches must not overlap, and their strides are {self.fstride} and {self.tstride}"
            )
        if self.input_fdim % self.patch:
            raise ValueError(f"the mel bins, {self.input_fdim}, must be a multiple of {self.patch}")
        if not all(isinstance(length, int) for length in (self.fft, self.frame)):
            raise ValueError("the length of a frame must be a whole number of samples")
        if not 1 <= self.frame <= self.fft <= _LONGEST_FRAME:
            raise ValueError(
                f"a frame must have at most as many samples as its Fourier transform, and that at most {_LONGEST_FRAME} points, "
                f"not {self.frame} and {self.fft}"
            )
        if not 0 <= self.lowest_hz < self.highest_hz <= SAMPLE_RATE_HZ / 2:
            raise ValueError(
                f"the mel bins must be within 0 and {SAMPLE_RATE_HZ // 2} Hz, not {self.lowest_hz:g} to {self.highest_hz:g} Hz"
            )

    @classmethod
    def of_size(cls, size: str, **geometry: Any) -> "CedConfig":
        """Return the config of a published size; `geometry` are further attributes."""
        width, depth, heads = SIZES[size]
        return cls(width=width, depth=depth, heads=heads, mlp_width=4 * width, **geometry)

    def network(self) -> "CedNetwork":
        """Make the network, with random weights."""
        return CedNetwork(self)

    def front_end(self, rows: int, weights: Mapping[str, Tensor], mean: float, std: float) -> "CedFrontEnd":  # noqa: ARG002 - a family's interface
        """Make the front end; the normalisation of mel bins is in the weights."""
        neutral = torch.ones(self.input_fdim), torch.zeros(self.input_fdim)
        scale, shift = (
            weights.get(name, missing).detach().float().cpu()
            for name, missing in zip((SCALE, SHIFT), neutral, strict=True)
        )  # missing ones are reported when the network is built
        return CedFrontEnd(window_samples=rows * FRAME_SHIFT, config=self, scale=scale, shift=shift)

    def with_rows(self, rows: int) -> Self:
        """Return this config, which is the same for all windows up to the longest."""
        if not self.patch <= rows <= self.input_tdim:
            shortest = max(SHORTEST_WINDOW_SECONDS, self.patch / ROWS_PER_SECOND)
            longest = self.input_tdim / ROWS_PER_SECOND
            raise ValueError(f"give a window of {shortest:g} to {longest:g} s")
        return self


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CedFrontEnd:
    """Front end of a CED: log-mel energies in dB, as many rows as whole patches need.

    The energies equal torchaudio's `MelSpectrogram` and `AmplitudeToDB(top_db=120)` of each window alone; within a batch, `AmplitudeToDB` would
    cut a quiet window off at the level of a loud one.

    Attributes
    ----------
    window_samples : int
        Number of samples in a full window.
    config : CedConfig
        Geometry.
    scale, shift : float32 tensor (bins,)
        Normalisation of the mel bins.
    """

    window_samples: int
    config: CedConfig
    scale: Tensor
    shift: Tensor
    _placed: dict[torch.device, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins): 16 for each patch, at least one patch.

        Sounds that are shorter than a patch are padded at the end.
        """
        config = self.config
        shortest = max((config.patch - 1) * FRAME_SHIFT, config.fft // 2 + 1)
        energies = log_mel(F.pad(samples, (0, max(0, shortest - samples.shape[-1]))), config)
        rows = min(energies.shape[1] // config.patch * config.patch, config.input_tdim)
        scale, shift = self._on(samples.device)
        return energies[:, :rows] * scale + shift

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return scale and shift on a device, copied once: a CUDA graph can't hold a copy from the host."""
        if device not in self._placed:
            self._placed[device] = self.scale.to(device), self.shift.to(device)
        return self._placed[device]


def log_mel(samples: Tensor, config: CedConfig) -> Tensor:
    """Compute log-mel energies.

    Parameters
    ----------
    samples : float32 tensor (batch, n)
        16 kHz mono in [-1, 1], on any device, longer than half a frame.
    config : CedConfig
        Geometry of the frames and mel bins.

    Returns
    -------
    float32 tensor (batch, 1 + n // 160, bins)
        Energies in dB, at most 120 dB below the loudest of the window.
    """
    spectrum = torch.stft(
        samples,
        config.fft,
        FRAME_SHIFT,
        config.frame,
        _hann(config.frame, samples.device),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )  # (batch, fft / 2 + 1, rows)
    bank = _mel_bank(config.fft, config.input_fdim, config.lowest_hz, config.highest_hz, samples.device)
    energies = spectrum.abs().square().transpose(1, 2) @ bank  # (batch, rows, bins)
    decibels = 10.0 * energies.clamp_min(_FLOOR).log10()
    return torch.maximum(decibels, decibels.amax((1, 2), keepdim=True) - _RANGE_DB)


@lru_cache(maxsize=8)
def _hann(length: int, device: torch.device) -> Tensor:
    return torch.hann_window(length, device=device)


@lru_cache(maxsize=8)
def _mel_bank(fft: int, bins: int, lowest_hz: float, highest_hz: float, device: torch.device) -> Tensor:
    """Return triangular filters on the HTK mel scale: (fft / 2 + 1, bins)."""
    bank = htk_bank(bins, fft=fft, rate_hz=SAMPLE_RATE_HZ, lowest_hz=lowest_hz, highest_hz=highest_hz)
    return bank.to(device)


class _PatchEmbedding(nn.Module):
    """Embedding of patches with their positions, those of the first columns for a shorter window; replaces timm's."""

    def __init__(self, config: CedConfig) -> None:
        super().__init__()
        self.grid_size = config.grid
        self.num_patches = config.grid[0] * config.grid[1]
        self.proj = nn.Conv2d(1, config.width, config.patch, config.patch)
        self.positions = nn.Parameter(0.02 * torch.randn(1, config.width, *config.grid))

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)  # (batch, 1, bins, rows) -> (batch, width, f, t)
        x = x + self.positions[..., : x.shape[-1]]
        return x.flatten(2).transpose(1, 2)  # (batch, f * t, width)


class CedNetwork(Network):
    """The CED network, from normalised log-mel rows to logits.

    Parameters
    ----------
    config : CedConfig
        Geometry and size. The weights are random until a state dict is loaded.
    """

    def __init__(self, config: CedConfig) -> None:
        from timm.models.vision_transformer import VisionTransformer

        super().__init__()
        self.config: CedConfig = config
        self.v = VisionTransformer(
            img_size=(config.input_fdim, config.input_tdim),
            patch_size=config.patch,
            in_chans=1,
            num_classes=0,
            global_pool="avg",
            class_token=False,
            pos_embed="none",
            fc_norm=False,
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
        self.register_buffer(SCALE, torch.ones(config.input_fdim))
        self.register_buffer(SHIFT, torch.zeros(config.input_fdim))

    def forward_embedding(self, tokens: Tensor) -> Tensor:
        """Tokens -> float32 (batch, width): the mean of all tokens."""
        return tokens.float().mean(1)
