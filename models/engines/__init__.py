"""How a forward pass runs: one small interface, an engine for each way."""

from typing import Literal, Protocol, TypeAlias

from torch import Tensor

EngineName: TypeAlias = Literal["auto", "torch", "openvino"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16", "int8"]


class Engine(Protocol):
    """A network that is ready to run.

    Attributes
    ----------
    description : str
        For people: engine, device and precision, such as ``torch cpu fp32``.
    """

    description: str

    def features(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins)."""
        ...

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        ...
