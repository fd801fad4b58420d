"""Engine on plain PyTorch, on the CPU or a CUDA device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from ..errors import EngineError
from ..network_spec import NetworkSpec
from . import Precision, Samples

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EngineError(f"there is no device '{name}': give auto, cpu, cuda or cuda:N") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise EngineError(f"the device '{name}' is not supported: give auto, cpu, cuda or cuda:N")
    if (device.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"this machine has no CUDA device '{name}': give auto or cpu")
    return device


def _pick_precision(precision: Precision, device: torch.device) -> Literal["fp32", "bf16", "fp16"]:
    if precision == "int8":
        raise EngineError("the torch engine has no int8: give fp32, bf16 or fp16")
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    return precision


class TorchEngine:
    """Eager PyTorch.

    Parameters
    ----------
    network : NetworkSpec
        Network and its front end; the network is moved to the device, and its body to the precision.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Precision of the body; features and results stay float32. ``auto`` is fp16 on a GPU and fp32 on a CPU.

    Attributes
    ----------
    device : torch.device
        Device that runs the network.

    Raises
    ------
    EngineError
        The device or precision is not available on this machine.
    """

    def __init__(
        self,
        network: NetworkSpec,
        *,
        device: str = "auto",
        precision: Precision = "fp32",
    ) -> None:
        self.device = pick_device(device)
        chosen = _pick_precision(precision, self.device)
        self._dtype = _DTYPES[chosen]
        self._front_end = network.front_end
        self._network = network.build().requires_grad_(requires_grad=False).to(self.device)
        self._network.body.to(self._dtype)  # the head stays in single precision
        self.description = f"torch {self.device} {chosen}"

    def __call__(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        logits, embeddings = self.launch(samples)
        return logits.cpu(), embeddings.cpu()

    def launch(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Run like a call, but leave the results on the device, possibly still being computed. Pinned samples are copied asynchronously."""
        return self.launch_forward(self.features(samples))

    def features(self, samples: Samples) -> Tensor:
        """Samples float32 (batch, n) -> normalised rows float32 (batch, rows, bins), on the device."""
        with torch.inference_mode():
            return self._front_end(torch.as_tensor(samples).to(self.device, non_blocking=True))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        logits, embeddings = self.launch_forward(rows)
        return logits.cpu(), embeddings.cpu()

    def launch_forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised rows -> logits, embeddings, as `forward`, on the device."""
        # By default, cuDNN rounds the factors of a convolution in fp32 to TF32.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            tokens = self._network.forward_features(rows.to(self._dtype))
            return self._network.forward_head(tokens), self._network.forward_embedding(tokens)

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Make the device the current CUDA device."""
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                yield
        else:
            yield
