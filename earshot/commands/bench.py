"""The command ``bench``."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..options import takes
from ..recordings import read_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from models.bench.measuring import Row
    from models.bench.plan import Plan
    from streamer.commands.capacity import Load

_log = logging.getLogger(__name__)


@takes("bench")
def bench(context: typer.Context, *, streams: bool, recording: list[Path] | None, as_json: bool) -> None:
    """Measure the speed of models on this machine.

    Compares with Hugging Face's implementation if transformers is installed.
    """
    from streamer.sources import DEMO_PATH

    plan = _plan(context.params, streams=streams)
    recordings = recording or [DEMO_PATH]
    if streams:
        _measure_streams(plan, recordings[0], context.params, as_json=as_json)
    else:
        _measure(plan, recordings, as_json=as_json)


def _plan(options: "dict[str, Any]", *, streams: bool) -> "Plan":
    from models.bench.plan import DEFAULT_NETWORKS, Plan

    models, networks = options["model"], options["network"]
    return Plan(
        models=models or ([] if networks else ["tiny"]),
        networks=networks or ([] if models else DEFAULT_NETWORKS),
        device=options["device"],
        engine=options["engine"],
        precisions=options["precision"] or (["auto"] if streams else []),
        batches=options["batch"] or [1],
        windows_seconds=options["window"] or [None],
        runs=options["runs"],
    )


def _measure(plan: "Plan", recordings: "Sequence[Path]", *, as_json: bool) -> None:
    """Measure a plan and print its figures."""
    from models.bench.plan import machine, rows, windows_of

    measured = rows(plan, windows_of(recordings, read_recording), _log.info)
    if as_json:
        content = {"machine": machine(plan.device), "rows": [asdict(row) for row in measured]}
        typer.echo(json.dumps(content, indent=2))
    else:
        _print_rows(measured, machine(plan.device))


def _print_rows(measured: "Sequence[Row]", machine: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(machine), title_justify="left")
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


def _measure_streams(plan: "Plan", recording: Path, options: "dict[str, Any]", *, as_json: bool) -> None:
    """Find the number of live sources that the first model of a plan keeps up with, and print it."""
    from models.bench.plan import first_tagger, machine
    from streamer.commands.capacity import capacity
    from streamer.messages import SAMPLE_RATE_HZ
    from streamer.sources.recording import Recording

    Recording(recording.name, recording, live=True).check()
    tagger = first_tagger(plan)
    hop = options["hop"]
    loads = capacity(
        tagger,
        window_samples=tagger.window_samples,
        hop_samples=round(hop * SAMPLE_RATE_HZ),
        recording=recording,
        seconds=options["seconds"],
        most=options["most"],
    )
    title = f"{tagger.name}, {tagger.engine.description}, a hop of {hop:g} s | {machine(plan.device)}"
    (_write_loads if as_json else _print_loads)(loads, title)


def _print_loads(loads: "Iterable[Load]", title: str) -> None:
    """Print a line as soon as a number of sources is measured, and the highest at the end."""
    sys.stdout.write(f"{title}\n\nsources  windows  dropped  latency p50      p95  cores\n")
    best = 0
    for load in loads:
        sys.stdout.write(
            f"{load.sources:7}  {load.windows:7}  {load.dropped_windows:7}  {load.latency_p50_seconds:9.3f} s"
            f"  {load.latency_p95_seconds:5.3f} s  {load.cores:5.2f}\n"
        )
        sys.stdout.flush()
        best = max(best, load.sources) if load.kept else best
    sys.stdout.write(f"\nThis machine keeps up with {best} live sources.\n")


def _write_loads(loads: "Iterator[Load]", title: str) -> None:
    done = list(loads)
    best = max((load.sources for load in done if load.kept), default=0)
    content = {"machine": title, "sources": best, "loads": [asdict(load) for load in done]}
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
