"""Which engine runs a network."""

import logging
from typing import get_args

from ..errors import EngineError
from ..transformer import AudioSpectrogramTransformer
from . import Engine, EngineName, Precision
from .openvino_engine import OpenVinoEngine
from .torch_engine import TorchEngine, pick_device

_log = logging.getLogger(__name__)


def check_wishes(device: str, engine: EngineName, precision: Precision) -> None:
    """Refuse what can't be had, before anything is loaded.

    Raises
    ------
    EngineError
        The device, engine or precision does not exist, or they do not go together.
    """
    if engine not in get_args(EngineName):
        raise EngineError(f"there is no engine '{engine}': give one of {', '.join(get_args(EngineName))}")
    if precision not in get_args(Precision):
        raise EngineError(
            f"there is no precision '{precision}': give one of {', '.join(get_args(Precision))}"
        )
    if engine == "openvino" and pick_device(device).type != "cpu":
        raise EngineError("the openvino engine runs on the CPU: give --device cpu or --engine torch")


def make_engine(
    network: AudioSpectrogramTransformer,
    *,
    mean: float,
    std: float,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
) -> Engine:
    """Make a network ready to run: on a CPU with OpenVINO where nothing else is asked for, on a GPU with PyTorch.

    Parameters
    ----------
    network : AudioSpectrogramTransformer
        In evaluation mode.
    mean, std : float
        Normalisation of the rows.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    engine : {"auto", "torch", "openvino"}
        What runs it.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        Of the matrix products.

    Raises
    ------
    EngineError
        The device, engine or precision does not exist, or can't be had here.
    """
    check_wishes(device, engine, precision)
    on_cpu = pick_device(device).type == "cpu"
    if engine == "openvino" or (engine == "auto" and on_cpu):
        try:
            return OpenVinoEngine(network, mean=mean, std=std, precision=precision)
        except EngineError as error:
            if engine == "openvino":
                raise
            _log.debug("PyTorch takes over: %s", error)
    return TorchEngine(network, mean=mean, std=std, device=device, precision=precision)
