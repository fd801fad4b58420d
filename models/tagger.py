"""Samples in, scores out: what the rest of Earshot, and anybody's Python, calls."""

from typing import get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from . import fbank
from .checkpoints import Activation, load_checkpoint
from .engines import Engine, EngineName, Precision
from .engines.torch_engine import TorchEngine
from .errors import EngineError

Floats = NDArray[np.float32]

SHORTEST_WINDOW_SECONDS = 1.0
LONGEST_WINDOW_SECONDS = 10.24

_LOUDEST = 16.0
"""What is far beyond full scale is in another unit."""


class Tagger:
    """An Audio Spectrogram Transformer that is ready to tag.

    Use `load_tagger` to make one. Calls do not change it; one thread at a time may call it.

    Parameters
    ----------
    engine : Engine
        Runs the network.
    name : str
        What the model is called.
    labels : tuple of str
        Names of the classes.
    rows : int
        Rows of the network's input: 100 a second.
    activation : {"sigmoid", "softmax"}
        From logits to scores.

    Attributes
    ----------
    name, labels
        As given.
    window_samples : int
        The most samples that one call looks at.
    engine : Engine
        The engine; its `description` is for people.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str,
        labels: tuple[str, ...],
        rows: int,
        activation: Activation = "sigmoid",
    ) -> None:
        self.engine = engine
        self.name = name
        self.labels = labels
        self.window_samples = rows * fbank.FRAME_SHIFT
        self._activation = activation

    def __call__(self, samples: ArrayLike | Tensor) -> Floats:
        """Score windows.

        Parameters
        ----------
        samples : float32 (batch, n) or (n,)
            16 kHz mono in [-1, 1]; at most `window_samples` long. Shorter windows are padded at the end, as a short
            AudioSet clip was.

        Returns
        -------
        float32 (batch, classes)
            In 0..1, in the order of `labels`; a batch of 1 for a single waveform.

        Raises
        ------
        ValueError
            The shape or type is wrong, a window is too long, or a sample is not finite or far beyond [-1, 1].
        """
        logits = torch.from_numpy(self.logits(samples))
        scores = logits.softmax(-1) if self._activation == "softmax" else logits.sigmoid()
        return self._array(scores)

    def logits(self, samples: ArrayLike | Tensor) -> Floats:
        """Score windows before the activation: float32 (batch, classes). Parameters as for a call."""
        logits, _ = self._forward(samples)
        return self._array(logits)

    def embed(self, samples: ArrayLike | Tensor) -> Floats:
        """Describe windows: float32 (batch, width), the mean of the class and the distillation token. Parameters as for a call."""
        _, embeddings = self._forward(samples)
        return self._array(embeddings)

    def _forward(self, samples: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
        return self.engine.forward(self.engine.features(self._checked(samples)))

    def _checked(self, samples: ArrayLike | Tensor) -> Tensor:
        given = np.asarray(samples.detach().cpu() if isinstance(samples, Tensor) else samples)
        if not np.issubdtype(given.dtype, np.floating):
            raise ValueError(
                f"samples must be floating-point numbers in [-1, 1], not {given.dtype}: divide int16 by 32768"
            )
        array = np.atleast_2d(given.astype(np.float32))
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"samples must be (batch, n) or (n,) with at least one of each, not {np.shape(samples)}"
            )
        if array.shape[0] > array.shape[1]:
            raise ValueError(
                f"samples of shape {array.shape} hold more windows than samples: transpose them, or average the channels"
            )
        if array.shape[1] > self.window_samples:
            raise ValueError(
                f"a window has at most {self.window_samples} samples ({self.window_samples / fbank.SAMPLE_RATE_HZ:g} s), "
                f"not {array.shape[1]}: cut the sound into windows"
            )
        if not np.isfinite(array).all():
            raise ValueError("samples must be finite numbers: replace NaN and infinity by 0")
        if np.abs(array).max() > _LOUDEST:
            raise ValueError("samples must be in [-1, 1]: divide what was int16 by 32768")
        return torch.from_numpy(np.ascontiguousarray(array))

    @staticmethod
    def _array(tensor: Tensor) -> Floats:
        array: Floats = tensor.numpy()
        return array


def load_tagger(
    model: str = "tiny",
    *,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    window_seconds: float = LONGEST_WINDOW_SECONDS,
) -> Tagger:
    """Load a model and make it ready to tag.

    Parameters
    ----------
    model : str
        ``tiny`` (embedded, needs no network), or a path: a folder written by
        `ASTForAudioClassification.save_pretrained`, or a file that Earshot wrote.
    device : str
        ``auto`` (a CUDA device where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
    engine : {"auto", "torch", "openvino"}
        What runs the network.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        Of the matrix products; ``auto`` is fp32 on a CPU, fp16 on a GPU.
    window_seconds : float
        1 to 10.24: the longest window. A shorter one than the model was made for adapts its positional embedding; a
        model made for less keeps its own length.

    Raises
    ------
    CheckpointError
        There is no such model, or it can't be read.
    EngineError
        The device, engine or precision can't be had here.
    ValueError
        `window_seconds` is out of range.
    """
    if not SHORTEST_WINDOW_SECONDS <= window_seconds <= LONGEST_WINDOW_SECONDS:
        raise ValueError(
            f"window_seconds must be {SHORTEST_WINDOW_SECONDS:g} to {LONGEST_WINDOW_SECONDS:g}, not {window_seconds}"
        )
    if engine not in get_args(EngineName):
        raise EngineError(f"there is no engine '{engine}': give one of {', '.join(get_args(EngineName))}")
    if precision not in get_args(Precision):
        raise EngineError(
            f"there is no precision '{precision}': give one of {', '.join(get_args(Precision))}"
        )
    if engine == "openvino":
        raise EngineError("the openvino engine is not part of this version: give --engine torch")
    checkpoint = load_checkpoint(model)
    rows = min(checkpoint.config.input_tdim, round(window_seconds * fbank.SAMPLE_RATE_HZ / fbank.FRAME_SHIFT))
    return Tagger(
        TorchEngine(
            checkpoint.build(rows),
            mean=checkpoint.mean,
            std=checkpoint.std,
            device=device,
            precision=precision,
        ),
        name=checkpoint.name,
        labels=checkpoint.labels,
        rows=rows,
        activation=checkpoint.activation,
    )
