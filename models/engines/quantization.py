"""Quantization of OpenVINO models from 32 bits to 8, with NNCF. Only this module imports nncf.

NNCF prints, and takes several times the memory of the model. It runs in a separate process.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from ..errors import EngineError

_SMOOTHING = 0.95
"""Share of an activation's range that smoothing moves into the weights; NNCF's default for transformers."""


def has_nncf() -> bool:
    """Return True if NNCF, the extra ``int8``, is installed."""
    return find_spec("nncf") is not None


def require_nncf() -> None:
    """Raise EngineError unless NNCF is installed."""
    if not has_nncf():
        raise EngineError(
            'int8 needs a library that is not installed: run pip install -e ".[int8]" in the checkout, or give --precision fp32'
        )


def quantize(source: Path, rows: Path, target: Path, *, smooth: bool) -> None:
    """Quantize a model in another process, and wait for it.

    Parameters
    ----------
    source, target : Path
        OpenVINO models to read and to write.
    rows : Path
        An ``.npy`` file of normalised rows float32 (windows, rows, bins) to calibrate on.
    smooth : bool
        True to move the range of outlying activations into the weights first (Xiao et al., "SmoothQuant", ICML 2023).

    Raises
    ------
    EngineError
        The network can't be quantized.
    """
    command = [
        sys.executable,
        "-m",
        __name__,
        str(source),
        str(rows),
        str(target),
        *(["smooth"] if smooth else []),
    ]
    folder = Path(__file__).parents[2]
    done = subprocess.run(  # noqa: S603 - this module
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise EngineError(f"this network can't be quantized ({reason}): give --precision fp32")


def main(source: str, rows: str, target: str, *options: str) -> None:
    """Quantize all layers but the first, whose input is not normalised, and the last, whose errors are not averaged out."""
    import nncf

    model = openvino.Core().read_model(source)
    operations = model.get_ordered_ops()
    first = next(node for node in operations if node.get_type_name() == "Convolution")
    last = [node for node in operations if node.get_type_name() == "MatMul"][-1]
    quantized = nncf.quantize(
        model,
        nncf.Dataset(_calibration(Path(rows))),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=[node.get_friendly_name() for node in (first, last)]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(
                matmul=_SMOOTHING if "smooth" in options else -1
            )
        ),
    )
    openvino.save_model(quantized, target, compress_to_fp16=False)


def _calibration(rows: Path) -> list[Any]:
    """Return the windows one at a time (1, rows, bins), as the network takes them."""
    return list(np.load(rows)[:, None])


if __name__ == "__main__":
    main(*sys.argv[1:])
