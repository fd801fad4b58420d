"""A network before it is built, which takes longer than to read one that is kept ready."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from .ast_network import AstConfig, AudioSpectrogramTransformer


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSpec:
    """What a network is, and how to get it.

    Attributes
    ----------
    config : AstConfig
        Its geometry.
    fingerprint : str
        Of its geometry and its weights.
    build : callable
        Returns it in float32 and evaluation mode.
    """

    config: AstConfig
    fingerprint: str
    build: Callable[[], AudioSpectrogramTransformer]

    @classmethod
    def from_network(cls, network: AudioSpectrogramTransformer) -> "NetworkSpec":
        """Return the spec of a network that is already built."""
        return cls(network.config, fingerprint(network.config, network.state_dict()), lambda: network)


def fingerprint(config: AstConfig, weights: Mapping[str, Tensor]) -> str:
    """A short text that differs wherever a geometry or a weight does."""
    content = hashlib.sha256(repr(asdict(config)).encode())
    for name, values in weights.items():
        content.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        content.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()[:32]
