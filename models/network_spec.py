"""Description of a network that is built on demand: reading a cached engine is faster than building."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from .ast_network import AstConfig, AudioSpectrogramTransformer


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSpec:
    """Configuration, fingerprint and factory of a network.

    Attributes
    ----------
    config : AstConfig
        Geometry of the network.
    fingerprint : str
        Hash of the geometry and the weights.
    build : callable
        Builds the network in float32 and evaluation mode.
    """

    config: AstConfig
    fingerprint: str
    build: Callable[[], AudioSpectrogramTransformer]

    @classmethod
    def from_network(cls, network: AudioSpectrogramTransformer) -> "NetworkSpec":
        """Return the spec of a network that is already built."""
        return cls(network.config, fingerprint(network.config, network.state_dict()), lambda: network)


def fingerprint(config: AstConfig, weights: Mapping[str, Tensor]) -> str:
    """Return a hash of a geometry and its weights."""
    content = hashlib.sha256(repr(asdict(config)).encode())
    for name, values in weights.items():
        content.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        content.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:32]
