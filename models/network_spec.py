"""Networks as the engines see them: a front end, a network and its configuration, whatever the family.

A family of networks is a `NetworkConfig`, which makes the other two.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from .catalogue import gigaflop
from .frontends import AUDIOSET_MEAN, AUDIOSET_STD


class FrontEnd(Protocol):
    """Function from samples to the rows that a network reads, in float32 on any device."""

    @property
    def window_samples(self) -> int:
        """Number of samples in a full window, the largest that it takes."""
        ...

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins)."""
        ...


class Network(nn.Module, ABC):
    """Network from normalised rows to logits: one of timm's vision transformers, ``v``, and a head, ``mlp_head``."""

    config: "NetworkConfig"
    v: Any
    mlp_head: nn.Sequential

    @property
    def body(self) -> nn.Module:
        """Module that may run in half precision: all but the head."""
        body: nn.Module = self.v
        return body

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised rows (batch, rows, bins) -> tokens (batch, tokens, width), the lowest mel bins first."""
        x = x.transpose(1, 2).unsqueeze(1)  # (batch, 1, bins, rows)
        tokens: Tensor = self.v.forward_features(x)
        return tokens

    @abstractmethod
    def forward_embedding(self, tokens: Tensor) -> Tensor:
        """Tokens -> their summary float32 (batch, width)."""

    def forward_head(self, tokens: Tensor) -> Tensor:
        """Tokens -> logits float32 (batch, label_dim)."""
        logits: Tensor = self.mlp_head(self.forward_embedding(tokens))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Normalised rows (batch, rows, bins) -> logits (batch, label_dim)."""
        return self.forward_head(self.forward_features(x))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig(ABC):
    """Configuration of a transformer over patches of a spectrogram, saved in the header of a checkpoint.

    Attributes
    ----------
    width, depth, heads, mlp_width : int
        Components of a token, number of blocks, attention heads, and hidden units of a block's perceptron.
    fstride, tstride : int
        Steps between patches along mel bins and rows, 1 to `patch`.
    input_fdim, input_tdim : int
        Mel bins and rows of the input; the most rows if `fixed_rows` is False.
    label_dim : int
        Number of classes.
    patch : int
        Side of a patch, in rows and in mel bins.
    qkv_bias : bool
        True if the attention's projections have a bias.
    norm_eps, head_norm_eps : float
        LayerNorm's epsilon in the blocks and in the head.

    Raises
    ------
    ValueError
        A value is out of range.
    """

    family: ClassVar[str]
    """Name of the family in the header of a checkpoint."""
    prefix_tokens: ClassVar[int]
    """Number of tokens before those of the patches."""
    fixed_rows: ClassVar[bool]
    """True if all windows have `input_tdim` rows."""

    width: int
    depth: int
    heads: int
    mlp_width: int
    fstride: int
    tstride: int
    input_fdim: int
    input_tdim: int
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

    @property
    def grid(self) -> tuple[int, int]:
        """Number of patches along mel bins and along rows."""
        return (
            (self.input_fdim - self.patch) // self.fstride + 1,
            (self.input_tdim - self.patch) // self.tstride + 1,
        )

    def gigaflop(self, rows: int | None = None) -> float:
        """Return the cost of a window of so many rows, by default the most, as `catalogue.gigaflop`."""
        columns = ((rows or self.input_tdim) - self.patch) // self.tstride + 1
        return gigaflop(self.width, self.depth, self.prefix_tokens + self.grid[0] * columns)

    @property
    def min_parameters(self) -> int:
        """Number of parameters in the matrices, without the vectors."""
        block = 4 * self.width**2 + 2 * self.width * self.mlp_width
        tokens = self.prefix_tokens + self.grid[0] * self.grid[1]
        return self.depth * block + self.width * (tokens + self.patch**2 + self.label_dim)

    @abstractmethod
    def network(self) -> Network:
        """Make the network, with random weights."""

    @abstractmethod
    def front_end(self, rows: int, weights: Mapping[str, Tensor], mean: float, std: float) -> FrontEnd:
        """Make the front end.

        Parameters
        ----------
        rows : int
            Rows of a full window, 100 a second.
        weights : mapping of str to tensor
            State dict of the network.
        mean, std : float
            Normalisation of the rows, if it is not in the weights.
        """

    @abstractmethod
    def with_rows(self, rows: int) -> Self:
        """Return the config of the network for windows of so many rows.

        Raises
        ------
        ValueError
            The network can't take such windows.
        """

    def adapted(self, weights: Mapping[str, Tensor], config: "NetworkConfig") -> dict[str, Tensor]:  # noqa: ARG002 - for families with fixed rows
        """Return the state dict for a config that `with_rows` made."""
        return dict(weights)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSpec:
    """Network that is built on demand: reading a cached engine is faster than building.

    Attributes
    ----------
    config : NetworkConfig
        Geometry of the network.
    fingerprint : str
        Hash of the geometry and the weights.
    front_end : FrontEnd
        Front end that makes its input.
    window_samples : int
        Number of samples in a full window.
    build : callable
        Builds the network in float32 and evaluation mode.
    """

    config: NetworkConfig
    fingerprint: str
    front_end: FrontEnd
    window_samples: int
    build: Callable[[], Network]

    @classmethod
    def from_network(
        cls, network: Network, *, mean: float = AUDIOSET_MEAN, std: float = AUDIOSET_STD
    ) -> "NetworkSpec":
        """Return the spec of a network that is already built; `mean` and `std` normalise its rows."""
        config, weights = network.config, network.state_dict()
        front_end = config.front_end(config.input_tdim, weights, mean, std)
        return cls(config, fingerprint(config, weights), front_end, front_end.window_samples, lambda: network)


def fingerprint(config: NetworkConfig, weights: Mapping[str, Tensor]) -> str:
    """Return a hash of a geometry and its weights."""
    content = hashlib.sha256(repr(asdict(config)).encode())
    for name, values in weights.items():
        content.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        content.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:32]
