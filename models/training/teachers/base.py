"""Teachers as the training and the tagger see them: a front end and a network, whatever their kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import TrainingError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Labels:
    """Labels of a batch of windows.

    Attributes
    ----------
    probabilities : float32 tensor (batch, classes)
        Probabilities of the teacher's classes.
    embeddings : float32 tensor (batch, width)
        Summary of the window.
    features : float32 tensor (batch, steps, channels)
        Features in time.
    """

    probabilities: Tensor
    embeddings: Tensor
    features: Tensor


class TeacherFrontEnd(Protocol):
    """Front end of a teacher, in two steps: sounds are mixed between them."""

    @property
    def bins(self) -> int:
        """Number of mel bins."""
        ...

    @property
    def band_hz(self) -> tuple[float, float]:
        """Edges of the lowest and the highest filter."""
        ...

    def mel_energies(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) at 16 kHz -> mel energies float32 (batch, rows, bins), 100 rows a second.

        Energies of sounds that are played at once add up, except for cross terms that average out.
        """
        ...

    def input_rows(self, energies: Tensor) -> Tensor:
        """Mel energies -> input of the network, of the same shape."""
        ...


class TeacherNetwork(nn.Module, ABC):
    """Network of a teacher, with random weights until a state dict is loaded."""

    front_end: ClassVar[TeacherFrontEnd]
    classes: ClassVar[tuple[int, ...]]
    """Positions of the teacher's classes among AudioSet's 527."""
    window_samples: ClassVar[int]
    """Number of samples in the longest window."""
    embedding_width: ClassVar[int]
    feature_width: ClassVar[int]
    step_rows: ClassVar[int]
    """Number of rows between two features in time."""
    span_rows: ClassVar[int]
    """Number of rows that a feature in time describes."""
    last_layer_name: ClassVar[str]
    """Name of the last layer, from embedding to logits, in the state dict."""

    @property
    def last_layer(self) -> nn.Linear:
        """Last layer, from embedding to logits."""
        layer = self.get_submodule(self.last_layer_name)
        assert isinstance(layer, nn.Linear)
        return layer

    @abstractmethod
    def label(self, rows: Tensor) -> Labels:
        """Label windows: rows float32 (batch, rows, bins) from the front end."""

    @abstractmethod
    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) at 16 kHz -> logits of AudioSet's classes float32 (batch, 527), embeddings float32 (batch, width).

        Classes that the teacher lacks have a logit of minus infinity.
        """

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load a state dict, and make the network ready to run in evaluation mode.

        Raises
        ------
        RuntimeError
            The weights belong to another network.
        """
        self.load_state_dict(weights)
        self.eval().requires_grad_(requires_grad=False)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Change the type of the weights that the most arithmetic is done with; inputs and results stay float32."""
        self.to(dtype)


_Network = TypeVar("_Network", bound=TeacherNetwork)


def load_network(
    kind: type[_Network], path: Path, device: torch.device, dtype: torch.dtype = torch.float32
) -> _Network:
    """Read a teacher's weights.

    Parameters
    ----------
    kind : type of TeacherNetwork
        Class of the network.
    path : Path
        Safetensors file.
    device : torch.device
        Device to run on.
    dtype : torch.dtype
        Type of the arithmetic: 16 bits are exact enough for training, not for measurements.

    Raises
    ------
    TrainingError
        The file is missing, broken or belongs to another network.
    """
    network = kind()
    try:
        network.load_weights({key: value.float() for key, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"the teacher's weights {path} can't be read ({reason}): copy the pack again"
        ) from error
    network.to(memory_format=torch.channels_last)
    network.to(device)
    network.set_precision(dtype)
    return network
