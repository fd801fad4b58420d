"""The tagger: samples in, scores out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .sample_checks import SAMPLE_RATE_HZ, checked_windows

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

Activation: TypeAlias = Literal["sigmoid", "softmax"]


class AnyEngine(Protocol):
    """Engine of any library, as a tagger calls it.

    Attributes
    ----------
    description : str
        Engine, device and precision, such as ``torch cpu fp32``.
    """

    description: str

    def __call__(self, samples: Floats) -> tuple[ArrayLike, ArrayLike]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        ...


class Tagger:
    """A model that is ready to tag.

    Use `load_tagger` to create one. Calls do not change it; one thread at a time may call it.

    Parameters
    ----------
    engine : AnyEngine
        Runs the network.
    name : str
        Name of the model.
    labels : tuple of str
        Names of the classes.
    window_samples : int
        Largest number of samples in a window.
    activation : {"sigmoid", "softmax"}
        Function from logits to scores.
    thresholds : sequence of float, optional
        Threshold of each class.
    fingerprint : str
        Hash of the weights and the geometry.

    Attributes
    ----------
    name, labels, window_samples, activation, fingerprint
        As given.
    thresholds : float32 (classes,) or None
        Calibrated thresholds of the classes, if the model has some.
    engine : AnyEngine
        Engine that runs the network; its `description` names it.
    """

    def __init__(
        self,
        engine: AnyEngine,
        *,
        name: str,
        labels: tuple[str, ...],
        window_samples: int,
        activation: Activation = "sigmoid",
        thresholds: Sequence[float] | None = None,
        fingerprint: str = "",
    ) -> None:
        self.engine = engine
        self.name = name
        self.labels = labels
        self.fingerprint = fingerprint
        self.thresholds = None if thresholds is None else np.array(thresholds, np.float32)
        self.window_samples = window_samples
        self.activation = activation

    def __repr__(self) -> str:
        seconds = self.window_samples / SAMPLE_RATE_HZ
        return f"<Tagger {self.name}: {len(self.labels)} classes, {seconds:g} s windows, {self.engine.description}>"

    def __call__(self, samples: "ArrayLike | Tensor") -> Floats:
        """Score windows.

        Parameters
        ----------
        samples : float32 (batch, n) or (n,)
            16 kHz mono in [-1, 1], at most `window_samples` long. An AST pads shorter windows at the end, as AudioSet's short
            clips were; for a CED they are shorter sounds, and take less time.

        Returns
        -------
        float32 (batch, classes)
            In 0..1, in the order of `labels`; a batch of 1 for a single waveform.

        Raises
        ------
        ValueError
            The shape or type is wrong, a window is too long, or a sample is not finite or far beyond [-1, 1].
        """
        scores, _ = self.scores_and_embeddings(samples)
        return scores

    def scores_and_embeddings(self, samples: "ArrayLike | Tensor") -> tuple[Floats, Floats]:
        """Score windows and compute their embeddings in one pass: float32 (batch, classes), float32 (batch, width). Parameters as for a call."""
        logits, embeddings = self._forward(samples)
        return _activated(logits, self.activation), embeddings

    def logits(self, samples: "ArrayLike | Tensor") -> Floats:
        """Score windows before the activation: float32 (batch, classes). Parameters as for a call."""
        logits, _ = self._forward(samples)
        return logits

    def embed(self, samples: "ArrayLike | Tensor") -> Floats:
        """Compute embeddings of windows: float32 (batch, width), the mean of the class and the distillation token (AST) or of all tokens (CED). Parameters as for a call."""
        _, embeddings = self._forward(samples)
        return embeddings

    def _forward(self, samples: "ArrayLike | Tensor") -> tuple[Floats, Floats]:
        given = samples.detach().cpu() if hasattr(samples, "detach") else samples  # a tensor of PyTorch
        logits, embeddings = self.engine(checked_windows(given, self.window_samples))
        return np.asarray(logits, np.float32), np.asarray(embeddings, np.float32)


def _activated(logits: Floats, activation: Activation) -> Floats:
    """Return scores float32 (batch, classes) of logits."""
    if activation == "softmax":
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
    return np.asarray(
        np.exp(-np.logaddexp(np.float32(0), -logits)), np.float32
    )  # the sigmoid, without overflow
