"""Engines that run the forward pass: plain PyTorch, CUDA graphs and OpenVINO."""

from typing import Literal, Protocol, TypeAlias

from torch import Tensor

EngineName: TypeAlias = Literal["auto", "torch", "openvino"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class Engine(Protocol):
    """A network that is ready to run.

    Attributes
    ----------
    description : str
        Engine, device and precision, such as ``torch cpu fp32``.
    """

    description: str

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        ...
