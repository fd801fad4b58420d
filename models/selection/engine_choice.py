"""Choice of the engine and the precision that run a network."""

import logging
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeAlias, get_args

import torch
from torch import Tensor

from ..engines import FAST_ENOUGH_SECONDS, Engine, EngineName, Precision
from ..engines.graph_engine import GraphEngine
from ..engines.openvino_engine import VERSION as OPENVINO_VERSION
from ..engines.openvino_engine import OpenVinoEngine, has_bf16
from ..engines.quantization import require_nncf
from ..engines.torch_engine import TorchEngine, pick_device
from ..errors import EngineError
from ..network_spec import NetworkSpec
from ..reference_audio import reference_windows
from ..tagger import Activation
from .engine_benchmark import (
    UNAVAILABLE,
    EngineBenchmark,
    EngineResult,
    compare,
    run,
)
from .machine import machine

_log = logging.getLogger(__name__)


_WINDOWS = 8
_BUDGET_SECONDS = 10.0
"""No further window is run on an engine after this time."""

EngineSpec: TypeAlias = tuple[EngineName, Precision]
Make: TypeAlias = Callable[[EngineSpec], Engine]

_EXACT: EngineSpec = ("openvino", "fp32")


def check_request(device: str, engine: EngineName, precision: Precision) -> None:
    """Check that device, engine and precision are available, before anything is loaded.

    Raises
    ------
    EngineError
        The device, engine or precision does not exist, or they can't be combined.
    """
    if engine not in get_args(EngineName):
        raise EngineError(f"there is no engine '{engine}': give one of {', '.join(get_args(EngineName))}")
    if precision not in get_args(Precision):
        raise EngineError(
            f"there is no precision '{precision}': give one of {', '.join(get_args(Precision))}"
        )
    on_cpu = pick_device(device).type == "cpu"
    if engine == "openvino" and not on_cpu:
        raise EngineError("the openvino engine runs on the CPU: give --device cpu or --engine torch")
    if precision == "int8" and (engine == "torch" or not on_cpu):
        raise EngineError("only the openvino engine on a CPU has int8: give --precision bf16 or fp32")
    if precision == "int8":
        require_nncf()
    if precision == "fp16" and engine == "openvino":
        raise EngineError("the openvino engine has no fp16: give --precision bf16 or fp32")


def make_engine(
    network: NetworkSpec,
    name: str = "",
    *,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    enough_seconds: float = FAST_ENOUGH_SECONDS,
    activation: Activation = "sigmoid",
) -> Engine:
    """Return the engine for a network.

    Nothing is measured unless the precision is ``auto``. On a GPU, that is PyTorch in fp16, as a CUDA graph. On a CPU, it is OpenVINO in single
    precision if that is fast enough, else the fastest engine that keeps the scores; int8 is not among them, because a quantization takes
    minutes, and the scores often change too much. The engines are measured once, and the result is cached.

    Parameters
    ----------
    network : NetworkSpec
        Network to run.
    name : str
        Name of the model, under which the choice is listed; empty to list none.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    engine : {"auto", "torch", "openvino"}
        Engine to use.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        Precision of the matrix products.
    enough_seconds : float
        With ``auto``: longest time for a window in single precision.
    activation : {"sigmoid", "softmax"}
        Function that makes scores of logits.

    Raises
    ------
    EngineError
        The device, engine or precision does not exist, or is not available on this machine.
    """
    check_request(device, engine, precision)
    make = partial(_make, network, device)
    if pick_device(device).type == "cuda":
        return make(("torch", precision))
    if precision != "auto" or engine == "torch":
        return _first(make, _specs_for(engine, precision))
    try:
        exact = make(_EXACT)
    except EngineError as error:
        if engine == "openvino":
            raise
        _log.debug("using PyTorch: %s", error)
        return make(("torch", "fp32"))
    benchmark = EngineBenchmark(name, _conditions(network, activation))
    others, samples = _alternatives(engine), network.window_samples
    return _fastest(make, exact, others, benchmark, samples, enough_seconds, activation=activation)


def _conditions(network: NetworkSpec, activation: Activation) -> str:
    """Return everything that speed and scores on a CPU depend on."""
    return " | ".join(
        (
            machine(torch.device("cpu")),
            f"openvino {OPENVINO_VERSION}",
            network.fingerprint,
            f"{network.window_samples} samples",
            activation,
        )
    )


def _make(network: NetworkSpec, device: str, spec: EngineSpec) -> Engine:
    runner, precision = spec
    if runner == "openvino":
        return OpenVinoEngine(network, precision=precision)
    eager = TorchEngine(network, device=device, precision=precision)
    if eager.device.type == "cpu":
        return eager
    return GraphEngine(eager, window_samples=network.window_samples)


def _alternatives(engine: EngineName) -> list[EngineSpec]:
    """Return the engines on a CPU that may be faster than the exact one."""
    others: list[EngineSpec] = [("torch", "fp32")] if engine == "auto" else []
    return others + ([("openvino", "bf16")] if has_bf16() else [])


def _specs_for(engine: EngineName, precision: Precision) -> list[EngineSpec]:
    """Return the engines that have a precision on a CPU, the faster one first."""
    in_torch: EngineSpec = ("torch", "fp32" if precision == "auto" else precision)
    in_openvino: EngineSpec = ("openvino", precision)
    if engine != "auto":
        return [in_torch if engine == "torch" else in_openvino]
    if precision == "int8":
        return [in_openvino]
    return [in_torch] if precision == "fp16" else [in_openvino, in_torch]


def _first(make: Make, specs: Sequence[EngineSpec]) -> Engine:
    """Return the first engine that is available."""
    for spec in specs[:-1]:
        try:
            return make(spec)
        except EngineError as error:
            _log.debug("%s is not available: %s", _name(spec), error)
    return make(specs[-1])


def _fastest(
    make: Make,
    exact: Engine,
    others: Sequence[EngineSpec],
    benchmark: EngineBenchmark,
    window_samples: int,
    enough_seconds: float,
    *,
    activation: Activation = "sigmoid",
) -> Engine:
    """Return single precision if it is fast enough, else the fastest engine that keeps the scores."""
    engines = {_EXACT: exact}
    windows = cache(partial(_windows, window_samples))
    run_exact = cache(lambda: run(exact, windows(), _BUDGET_SECONDS))
    measured = benchmark.get(_name(_EXACT)) or benchmark.add(_name(_EXACT), EngineResult(run_exact()[0]))
    if measured.seconds <= enough_seconds:
        benchmark.choose(_name(_EXACT))
        return exact
    if any(benchmark.get(_name(spec)) is None for spec in others):
        _log.info("measuring engines for this model once; this takes up to a minute")
        _, expected = run_exact()
        for spec in others:
            try:
                engines[spec] = make(spec)
            except EngineError as error:
                _log.debug("%s: %s", _name(spec), error)
                benchmark.add(_name(spec), UNAVAILABLE)
                continue
            seconds, logits = run(engines[spec], windows()[: len(expected)], _BUDGET_SECONDS)
            found = compare(logits, expected[: len(logits)], activation)
            benchmark.add(_name(spec), EngineResult(seconds, *found))
    best = benchmark.fastest({_name(spec): spec for spec in (_EXACT, *others)})
    return engines.get(best) or make(best)


def _windows(samples: int) -> Tensor:
    """Return windows to measure on, float32 (windows, n); none of them is used for quantization."""
    return reference_windows(samples)[1::2][:_WINDOWS]


def _name(spec: EngineSpec) -> str:
    return " ".join(spec)
