"""Quantization of a model on the user's sounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from .. import frontends
from ..checkpoints import load_checkpoint, window_rows
from ..engines.openvino_engine import OpenVinoEngine
from ..engines.quantization import require_nncf
from ..errors import EngineError
from ..reference_audio import reference_windows
from .engine_benchmark import compare

_MAX_WINDOWS = 300
_MIN_WINDOWS = 2


@dataclass(frozen=True, slots=True)
class QuantizationResult:
    """Result of a quantization.

    Attributes
    ----------
    windows : int
        Number of windows that it was calibrated on.
    difference, agreement : float
        Largest difference of a score from single precision, and share of the five highest classes that stay the same, on the
        bundled sounds.
    """

    windows: int
    difference: float
    agreement: float


def quantize_on(
    model: str, sounds: Sequence[NDArray[np.float32]], *, window_seconds: float | None = None
) -> QuantizationResult:
    """Quantize a model again; its precision int8 uses the result from then on.

    Parameters
    ----------
    model : str
        Model, as for `load_checkpoint`.
    sounds : sequence of float32 (n,)
        Recordings at 16 kHz, mono; they are cut into windows that overlap by half.
    window_seconds : float, optional
        Length of a window, as for `load_tagger`.

    Raises
    ------
    CheckpointError
        The model does not exist.
    EngineError
        NNCF is not installed, the sounds are too short, or the model can't be quantized.
    """
    require_nncf()
    checkpoint = load_checkpoint(model)
    network = checkpoint.network_spec(window_rows(checkpoint, window_seconds))
    samples = network.window_samples
    windows = [
        sound[first : first + samples]
        for sound in sounds
        for first in range(0, len(sound) - samples + 1, samples // 2)
    ][:_MAX_WINDOWS]
    if len(windows) < _MIN_WINDOWS:
        raise EngineError(
            f"too little sound to quantize on: give recordings of {2 * samples / frontends.SAMPLE_RATE_HZ:g} s or more"
        )
    make = partial(OpenVinoEngine, network)
    engines = make(precision="fp32"), make(precision="int8", sounds=torch.from_numpy(np.stack(windows)))
    expected, got = (engine(reference_windows(samples))[0] for engine in engines)
    return QuantizationResult(len(windows), *compare(got, expected, checkpoint.activation))
