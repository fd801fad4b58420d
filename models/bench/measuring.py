"""Measurement of one model in a process of its own, run as a tagger runs it."""

import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..ast_network import AstConfig
from ..ced_network import SIZES, CedConfig
from ..checkpoints import Checkpoint, load_checkpoint, save_checkpoint, window_rows
from ..engines import EngineName, Precision
from ..engines.torch_engine import pick_device
from ..labels import audioset_classes
from ..local import load_tagger
from ..network_spec import NetworkConfig
from ..selection.engine_benchmark import compare
from ..tagger import Tagger
from . import hugging_face, matrices

Samples = NDArray[np.float32]

NETWORKS: dict[str, NetworkConfig] = {
    **{f"ced-{size}": CedConfig.of_size(size) for size in SIZES},
    **{
        f"base-{step}-{step}": AstConfig.of_size("base", fstride=step, tstride=step)
        for step in (10, 12, 14, 16)
    },
    "small-16-16": AstConfig.of_size("small", fstride=16, tstride=16),
    "tiny-16-16": AstConfig.of_size("tiny", fstride=16, tstride=16),
}
"""Networks that are measured with random weights, on which speed does not depend."""

_PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One measurement.

    Attributes
    ----------
    model : str
        Model for `load_tagger`.
    device, engine, precision, window_seconds
        As for `load_tagger`.
    batch : int
        Number of windows in a batch.
    runs : int
        Number of batches to time.
    sound : float32 (windows, n)
        Recordings, cut into windows of the longest length, to tag and to compare scores on.
    trained : bool
        True if the scores are meaningful.
    """

    model: str
    device: str
    engine: EngineName
    precision: Precision
    window_seconds: float | None
    batch: int
    runs: int
    sound: Samples
    trained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one measurement; times run from samples on the host to scores on the host.

    Attributes
    ----------
    model, engine : str
        Model and engine.
    window_seconds : float
        Length of a window.
    batch : int
        Number of windows in a batch.
    median_seconds, p95_seconds : float
        Median and 95th percentile of the time of a batch.
    windows_per_second : float
        Throughput over all batches.
    real_time_sources : int
        Number of live sources with a hop of 1 s that this equals.
    megabytes : float
        Memory of the process while it runs: the program, PyTorch and the model.
    gpu_megabytes : float or None
        Most GPU memory that PyTorch allocated.
    matrix_share : float
        Operations of the network per second, divided by those of matrix products in the same precision.
    largest_difference, top5_agreement : float or None
        Scores compared with PyTorch in single precision; None for random weights.
    hugging_face_seconds, ratio : float or None
        Median time of a batch in Hugging Face's eager fp32 network of the same geometry (AST-base for other families), in turns with ours; that
        time divided by ours.
    hugging_face_half_seconds, half_ratio : float or None
        Median time and ratio in fp16 with fused attention, on a GPU.
    """

    model: str
    engine: str
    window_seconds: float
    batch: int
    median_seconds: float
    p95_seconds: float
    windows_per_second: float
    real_time_sources: int
    megabytes: float
    gpu_megabytes: float | None
    matrix_share: float
    largest_difference: float | None
    top5_agreement: float | None
    hugging_face_seconds: float | None
    ratio: float | None
    hugging_face_half_seconds: float | None
    half_ratio: float | None


def measure(task: Task) -> Row:
    """Measure in a new process.

    Raises
    ------
    ModelError
        The model can't be loaded, or not with this device, engine or precision.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, task).result()


def random_checkpoint(name: str, folder: Path) -> Path:
    """Write a checkpoint of one of `NETWORKS`, with random weights that are the same each time."""
    config = NETWORKS[name]
    torch.manual_seed(0)
    weights = config.network().state_dict()
    path = folder / f"{name}.safetensors"
    labels = tuple(entry.name for entry in audioset_classes())
    save_checkpoint(Checkpoint(name=name, config=config, labels=labels, weights=weights), path)
    return path


def _measure(task: Task) -> Row:
    tagger = load_tagger(
        task.model,
        device=task.device,
        engine=task.engine,
        precision=task.precision,
        window_seconds=task.window_seconds,
    )
    device = pick_device(task.device)
    sound = task.sound[:, : tagger.window_samples]
    batches = [sound[np.arange(first, first + task.batch) % len(sound)] for first in range(task.runs + 1)]
    tagger(batches[0])
    megabytes = _resident_megabytes()
    checkpoint = load_checkpoint(task.model)
    rows = window_rows(checkpoint, task.window_seconds)
    config = checkpoint.network_spec(rows).config
    halves = (False, True) if device.type == "cuda" else (False,)
    installed = hugging_face.is_installed()
    geometry = config if isinstance(config, AstConfig) else AstConfig.of_size("base")
    baselines = [hugging_face.baseline(geometry, device, half=half) for half in halves if installed]
    for run_baseline in baselines:
        run_baseline(batches[0])
    ours: list[float] = []
    theirs: list[list[float]] = [[] for _ in baselines]
    for batch in batches[1:]:
        ours.append(_seconds(tagger, batch))
        for times, run_baseline in zip(theirs, baselines, strict=True):
            times.append(_seconds(run_baseline, batch))
    median = statistics.median(ours)
    medians = [statistics.median(times) for times in theirs] + [None, None]
    difference = _difference(tagger, task, sound) if task.trained else (None, None)
    rate = matrices.operations_per_second(_precision_of(tagger.engine.description), device)
    operations = 1e9 * config.gigaflop(rows)
    windows_per_second = task.batch * len(ours) / sum(ours)
    return Row(
        model=tagger.name,
        engine=tagger.engine.description,
        window_seconds=tagger.window_samples / 16_000,
        batch=task.batch,
        median_seconds=median,
        p95_seconds=float(np.percentile(ours, 95)),
        windows_per_second=windows_per_second,
        real_time_sources=int(windows_per_second),
        megabytes=megabytes,
        gpu_megabytes=torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None,
        matrix_share=operations * windows_per_second / rate,
        largest_difference=difference[0],
        top5_agreement=difference[1],
        hugging_face_seconds=medians[0],
        ratio=None if medians[0] is None else medians[0] / median,
        hugging_face_half_seconds=medians[1],
        half_ratio=None if medians[1] is None else medians[1] / median,
    )


def _seconds(tag: hugging_face.Baseline, batch: Samples) -> float:
    before = time.perf_counter()
    tag(batch)
    return time.perf_counter() - before


def _difference(tagger: Tagger, task: Task, sound: Samples) -> tuple[float, float]:
    """Compare scores with those of PyTorch in single precision."""
    exact = load_tagger(
        task.model, device="cpu", engine="torch", precision="fp32", window_seconds=task.window_seconds
    )
    ours, expected = (np.concatenate([part.logits(window) for window in sound]) for part in (tagger, exact))
    return compare(torch.from_numpy(ours), torch.from_numpy(expected), exact.activation)


def _precision_of(description: str) -> str:
    return next(precision for precision in _PRECISIONS if precision in description)


def _resident_megabytes() -> float:
    """Return the memory of this process; its peak where the system reports nothing else."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
