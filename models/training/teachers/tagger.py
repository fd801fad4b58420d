"""Teachers as taggers: through the same `Tagger` as any model."""

from pathlib import Path

import torch
from torch import Tensor

from ... import frontends
from ...engines import Samples
from ...engines.torch_engine import pick_device
from ...labels import audioset_classes
from ...tagger import Tagger
from . import TEACHERS
from .base import TeacherNetwork, load_network


class TeacherEngine:
    """Engine that runs a teacher.

    Parameters
    ----------
    network : TeacherNetwork
        The teacher, on its device.
    device : torch.device
        Device that runs it.
    """

    def __init__(self, network: TeacherNetwork, device: torch.device) -> None:
        self._network, self._device = network, device
        self.description = f"torch {device} fp32"

    def __call__(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, 527), embeddings float32 (batch, width), on the CPU."""
        with torch.inference_mode():
            logits, embeddings = self._network.listen(torch.as_tensor(samples).to(self._device))
        return logits.cpu(), embeddings.cpu()


def load_teacher_tagger(
    name: str, weights: Path, *, window_seconds: float | None = None, device: str = "auto"
) -> Tagger:
    """Load a teacher as a tagger of AudioSet's classes.

    Parameters
    ----------
    name : str
        Name in `TEACHERS`.
    weights : Path
        Safetensors file, or a folder, such as an audio pack, with a file of its usual name.
    window_seconds : float, optional
        Length of the longest window, at most the teacher's own; that by default.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    TrainingError
        The weights can't be read.
    EngineError
        The device is not available on this machine.
    KeyError
        There is no such teacher.
    """
    teacher, chosen = TEACHERS[name], pick_device(device)
    network = load_network(
        teacher.network, weights / teacher.weights if weights.is_dir() else weights, chosen
    )
    longest = network.window_samples
    rows = round((window_seconds or longest / frontends.SAMPLE_RATE_HZ) * frontends.ROWS_PER_SECOND)
    return Tagger(
        TeacherEngine(network, chosen),
        name=name,
        labels=tuple(entry.name for entry in audioset_classes()),
        window_samples=min(longest, rows * frontends.FRAME_SHIFT),
    )
