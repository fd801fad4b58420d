"""Engines that run the forward pass: plain PyTorch, CUDA graphs and OpenVINO."""

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

EngineName: TypeAlias = Literal["auto", "torch", "openvino"]
Samples: TypeAlias = "NDArray[np.float32] | Tensor"
"""Samples float32 (batch, n) on the CPU."""
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16", "int8"]

FAST_ENOUGH_SECONDS = 0.25
"""Time for a window at which single precision is fast enough for every use."""


class Engine(Protocol):
    """A network of PyTorch that is ready to run.

    Attributes
    ----------
    description : str
        Engine, device and precision, such as ``torch cpu fp32``.
    """

    description: str

    def __call__(self, samples: Samples) -> "tuple[Tensor, Tensor]":
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        ...
