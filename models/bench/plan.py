"""Plan of measurements: each model in each precision, window length and batch size."""

import itertools
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engines import EngineName, Precision
    from ..tagger import Tagger
    from ..training.dataset import Reader
    from .measuring import Row, Samples

_log = logging.getLogger(__name__)

DEFAULT_NETWORKS = ("ced-tiny", "base-16-16", "base-10-10")
"""Networks to measure beside `tiny` by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Measurements to make: all combinations of these.

    Attributes
    ----------
    models, networks : sequence of str
        Models for `load_tagger`; names of `NETWORKS`, which get random weights.
    device, engine
        As for `load_tagger`.
    precisions : sequence of str
        Precisions; if empty, all that this machine has.
    batches : sequence of int
        Numbers of windows in a batch.
    windows_seconds : sequence of float or None
        Lengths of a window; None takes the model's.
    runs : int
        Batches to time, of each combination.
    """

    models: "Sequence[str]"
    networks: "Sequence[str]"
    device: str
    engine: "EngineName"
    precisions: "Sequence[Precision]"
    batches: "Sequence[int]"
    windows_seconds: "Sequence[float | None]"
    runs: int


def windows_of(recordings: "Sequence[Path]", read: "Reader") -> "Samples":
    """Cut recordings into windows of the longest length that overlap by half: float32 (windows, n)."""
    import numpy as np

    from ..sample_checks import LONGEST_WINDOW_SECONDS, SAMPLE_RATE_HZ

    length = round(LONGEST_WINDOW_SECONDS * SAMPLE_RATE_HZ)
    windows = []
    for sound in map(read, recordings):
        padded = np.pad(sound, (0, max(0, length - len(sound))))
        windows.append(np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 2])
    return np.concatenate(windows)


def first_tagger(plan: Plan) -> "Tagger":
    """Load the first model of a plan, or else its first network, in the first precision and window length.

    Raises
    ------
    ModelError
        It can't be loaded, or not with this device, engine or precision.
    """
    from ..local import load_tagger
    from .measuring import random_checkpoint

    _require_networks(plan.networks)
    with tempfile.TemporaryDirectory() as folder:
        return load_tagger(
            plan.models[0] if plan.models else random_checkpoint(plan.networks[0], Path(folder)),
            device=plan.device,
            engine=plan.engine,
            precision=plan.precisions[0],
            window_seconds=plan.windows_seconds[0],
        )


def rows(plan: Plan, sound: "Samples", on_start: Callable[[str], None]) -> "list[Row]":
    """Measure a plan.

    Parameters
    ----------
    plan : Plan
        Measurements to make.
    sound : float32 (windows, n)
        Recordings, cut into windows of the longest length.
    on_start : callable
        Receives a description of each measurement before it begins.

    Raises
    ------
    ModelError
        Nothing can be measured: a model can't be loaded, or not with this device, engine or precision.
    """
    from ..checkpoints import require_known
    from ..errors import CheckpointError, EngineError
    from ..selection.engine_choice import check_request
    from .measuring import Task, measure, random_checkpoint

    _require_networks(plan.networks)
    for model in plan.models:
        require_known(model)  # before hours of measuring others
    precisions = plan.precisions or _all_precisions(plan.device, plan.engine)
    for precision in precisions:
        check_request(plan.device, plan.engine, precision)
    measured, failure = [], None
    with tempfile.TemporaryDirectory() as folder:
        addresses = [(model, model) for model in plan.models]
        addresses += [(name, str(random_checkpoint(name, Path(folder)))) for name in plan.networks]
        for (name, address), precision, window, batch in itertools.product(
            addresses, precisions, plan.windows_seconds, plan.batches
        ):
            on_start(f"{name}, {precision}, batches of {batch}")
            task = Task(
                model=address,
                device=plan.device,
                engine=plan.engine,
                precision=precision,
                window_seconds=window,
                batch=batch,
                runs=plan.runs,
                sound=sound,
                trained=name == address,
            )
            try:
                measured.append(measure(task))
            except (CheckpointError, EngineError) as error:  # such as a window that it does not take
                failure = error
                _log.warning("%s, %s is left out: %s", name, precision, error)
    if failure is not None and not measured:
        raise failure
    return measured


def _require_networks(names: "Sequence[str]") -> None:
    from ..errors import EngineError
    from .measuring import NETWORKS

    if unknown := set(names) - set(NETWORKS):
        raise EngineError(f"there is no network '{unknown.pop()}': give one of {', '.join(NETWORKS)}")


def _all_precisions(device: str, engine: "EngineName") -> "list[Precision]":
    """Return the precisions of this machine, the most exact first."""
    from ..engines.openvino_engine import has_bf16
    from ..engines.quantization import has_nncf
    from ..engines.torch_engine import pick_device

    if pick_device(device).type == "cuda":
        return ["fp32", "bf16", "fp16"]
    if engine == "torch":
        return ["fp32"]
    precisions: list[Precision] = ["fp32"]
    precisions += ["bf16"] if has_bf16() else []
    return precisions + (["int8"] if has_nncf() else [])


def machine(device: str) -> str:
    """Describe the machine: processor, libraries, versions."""
    import platform

    from ..engines.torch_engine import pick_device
    from ..selection.machine import machine as describe

    return f"{describe(pick_device(device))} | Python {platform.python_version()}"
