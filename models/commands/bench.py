"""The table of the command ``bench``."""

import itertools
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..bench.measuring import Row, Samples
    from ..engines import EngineName, Precision
    from ..tagger import Tagger
    from ..training.dataset import Reader

_log = logging.getLogger(__name__)

USUAL_NETWORKS = ("base-16-16", "base-10-10")
"""Beside `tiny`, where nothing is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure: each of these with each.

    Attributes
    ----------
    models, networks : sequence of str
        What `load_tagger` takes; geometries with random weights.
    device, engine
        As for `load_tagger`.
    precisions : sequence of str
        All that there are here, if empty.
    batches : sequence of int
        Windows at once.
    windows_seconds : sequence of float or None
        Lengths of a window; None for the model's own.
    runs : int
        How many batches of each are timed.
    """

    models: "Sequence[str]"
    networks: "Sequence[str]"
    device: str
    engine: "EngineName"
    precisions: "Sequence[Precision]"
    batches: "Sequence[int]"
    windows_seconds: "Sequence[float | None]"
    runs: int


def bench(plan: Plan, recordings: "Sequence[Path]", read: "Reader", *, as_json: bool) -> None:
    """Measure a plan and print its table.

    Parameters
    ----------
    plan : Plan
        What to measure.
    recordings : sequence of Path
        What to tag.
    read : Reader
        Decodes them.
    as_json : bool
        Whether to print a JSON object.

    Raises
    ------
    ModelError
        A recording can't be read, or a model can't be had, or not so.
    """
    measured = rows(plan, _windows_of(recordings, read), _log.info)
    if as_json:
        typer.echo(_as_json(measured, plan.device))
    else:
        _print_rows(measured, plan.device)


def _windows_of(recordings: "Sequence[Path]", read: "Reader") -> "Samples":
    """Cut recordings into windows of the longest length that overlap by half: float32 (windows, n)."""
    import numpy as np

    from ..fbank import SAMPLE_RATE_HZ
    from ..tagger import LONGEST_WINDOW_SECONDS

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
        It can't be had, or not so.
    """
    from ..bench.measuring import random_checkpoint
    from ..tagger import load_tagger

    with tempfile.TemporaryDirectory() as folder:
        return load_tagger(
            plan.models[0] if plan.models else random_checkpoint(plan.networks[0], Path(folder)),
            device=plan.device,
            engine=plan.engine,
            precision=plan.precisions[0],
            window_seconds=plan.windows_seconds[0],
        )


def rows(plan: Plan, sound: "Samples", tell: Callable[[str], None]) -> "list[Row]":
    """Measure a plan.

    Parameters
    ----------
    plan : Plan
        What to measure.
    sound : float32 (windows, n)
        Recordings, cut into windows of the longest length.
    tell : callable
        Is told what is measured next.

    Raises
    ------
    ModelError
        A model can't be had, or not so.
    """
    from ..bench.measuring import NETWORKS, Task, measure, random_checkpoint
    from ..engines.choice import check_wishes
    from ..errors import EngineError

    if unknown := set(plan.networks) - set(NETWORKS):
        raise EngineError(f"there is no network '{unknown.pop()}': give one of {', '.join(NETWORKS)}")
    precisions = plan.precisions or _all_precisions(plan.device, plan.engine)
    for precision in precisions:
        check_wishes(plan.device, plan.engine, precision)
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        specs = [(model, model) for model in plan.models]
        specs += [(name, str(random_checkpoint(name, Path(folder)))) for name in plan.networks]
        for (name, spec), precision, window, batch in itertools.product(
            specs, precisions, plan.windows_seconds, plan.batches
        ):
            tell(f"{name}, {precision}, batches of {batch}")
            measured.append(
                measure(
                    Task(
                        model=spec,
                        device=plan.device,
                        engine=plan.engine,
                        precision=precision,
                        window_seconds=window,
                        batch=batch,
                        runs=plan.runs,
                        sound=sound,
                        trained=name == spec,
                    )
                )
            )
    return measured


def _all_precisions(device: str, engine: "EngineName") -> "list[Precision]":
    """What this machine has, the most exact first."""
    from ..engines.openvino_engine import has_bf16
    from ..engines.torch_engine import pick_device

    if pick_device(device).type == "cuda":
        return ["fp32", "bf16", "fp16"]
    if engine == "torch":
        return ["fp32"]
    return ["fp32", "bf16", "int8"] if has_bf16() else ["fp32", "int8"]


def machine(device: str) -> str:
    """The machine that figures hold for."""
    import platform

    from .. import remembered
    from ..engines.torch_engine import pick_device

    return f"{remembered.machine(pick_device(device))} | Python {platform.python_version()}"


def _as_json(measured: "Sequence[Row]", device: str) -> str:
    """One object: the machine and the rows."""
    return json.dumps({"machine": machine(device), "rows": [asdict(row) for row in measured]}, indent=2)


def _print_rows(measured: "Sequence[Row]", device: str) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(machine(device)), title_justify="left")
    for heading in ("model", "engine"):
        table.add_column(heading, no_wrap=True)
    for heading in _FIGURES:
        table.add_column(heading, justify="right")
    for row in measured:
        table.add_row(escape(row.model), escape(row.engine), *(show(row) for show in _FIGURES.values()))
    console = Console()
    (console if console.is_terminal else Console(width=190)).print(table)


def _optional(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.1f} ms"


_FIGURES: "dict[str, Callable[[Row], str]]" = {
    "window": lambda row: f"{row.window_seconds:g} s",
    "batch": lambda row: str(row.batch),
    "median": lambda row: _milliseconds(row.median_seconds),
    "p95": lambda row: _milliseconds(row.p95_seconds),
    "windows/s": lambda row: f"{row.windows_per_second:.1f}",
    "sources, 1 s hop": lambda row: str(row.real_time_sources),
    "memory": lambda row: f"{row.megabytes:.0f} MB",
    "of matrix rate": lambda row: f"{row.matrix_share:.0%}",
    "largest difference": lambda row: _optional(row.largest_difference, ".4f"),
    "same top 5": lambda row: _optional(row.top5_agreement, ".1%"),
    "Hugging Face": lambda row: _milliseconds(row.hugging_face_seconds),
    "ratio": lambda row: "-" if row.ratio is None else f"{row.ratio:.2f}x",
    "HF fp16": lambda row: _milliseconds(row.hugging_face_half_seconds),
}
