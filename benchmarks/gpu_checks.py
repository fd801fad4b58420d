"""Checks and measurements of gpu.py."""

import copy
import gc
import statistics
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.ast_network import AstConfig
from models.bench import hugging_face
from models.ced_network import CedConfig
from models.engines import Engine, Precision
from models.engines.graph_engine import LARGEST_BATCH, GraphEngine, capture_cuda_graph
from models.engines.torch_engine import TorchEngine
from models.network_spec import Network, NetworkConfig, NetworkSpec
from streamer.health.memory import resident_bytes
from streamer.live.channel import Input, Mode
from streamer.live.session import LiveSession, Outputs
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Message, Tagging
from streamer.runtime.threads import ThreadGroup

Samples: TypeAlias = NDArray[np.float32]
Tag: TypeAlias = Callable[[Samples], object]

LOGITS: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.15, "fp16": 0.02}
"""Largest accepted difference of a logit from single precision on the CPU. Those of random weights spread by 1 over the classes."""
GRAPH_LOGITS = 0.01
"""Largest accepted difference of a logit between a CUDA graph and eager kernels, which may be others."""
SCORES = 0.005
"""Largest accepted difference of a score in a batch of streams from that of the window alone."""
LEAK_MEGABYTES = 32.0
"""Largest accepted growth of the program's memory. That of the GPU must not grow at all."""
TARGETS = {("base-10-10", "H100"): (1.5e-3, 1800.0), ("base-10-10", "H200"): (1.5e-3, 1800.0)}
"""Longest time of a window and least windows/s in fp16, by network and by a part of the card's name."""

_HOP = SAMPLE_RATE_HZ
_BLOCK = SAMPLE_RATE_HZ // 10


@dataclass(frozen=True, slots=True)
class Line:
    """Line of the table.

    Attributes
    ----------
    network, what, figure : str
        Network, name of the figure, and the figure with its unit.
    limit : str
        Limit of the figure; empty for one that is only measured.
    failed : bool
        True if the figure is beyond the limit.
    """

    network: str
    what: str
    figure: str
    limit: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Extent of the measurements.

    Attributes
    ----------
    small : bool
        True for small networks of the same families.
    speed_limits : bool
        True if speed is checked.
    parity_windows, runs, hour_windows : int
        Windows to compare, batches to time, and windows to look for a leak in.
    graphs : sequence of int
        Batch sizes of graphs.
    streams, stream_seconds : int
        Live streams, and their length.
    """

    small: bool
    speed_limits: bool
    parity_windows: int
    runs: int
    hour_windows: int
    graphs: Sequence[int]
    streams: int
    stream_seconds: int


FULL = Plan(
    small=False,
    speed_limits=True,
    parity_windows=4,
    runs=100,
    hour_windows=3600,
    graphs=(*range(1, LARGEST_BATCH + 1), LARGEST_BATCH + 3),
    streams=64,
    stream_seconds=8,
)
QUICK = Plan(
    small=True,
    speed_limits=False,
    parity_windows=2,
    runs=3,
    hour_windows=150,
    graphs=(1, 2, LARGEST_BATCH + 1),
    streams=4,
    stream_seconds=3,
)


def networks(*, small: bool) -> dict[str, NetworkConfig]:
    """Return the networks to check, by name: the largest of each family."""
    size: dict[str, Any] = {"width": 48, "depth": 2, "heads": 3, "mlp_width": 96, "input_tdim": 256}
    found: dict[str, NetworkConfig] = {}
    if small:
        found["ast-small"] = AstConfig(fstride=16, tstride=16, **size)
        found["ced-small"] = CedConfig(**size)
    else:
        found["base-10-10"] = AstConfig.of_size("base")
        found["ced-base"] = CedConfig.of_size("base")
    return found


def build(config: NetworkConfig) -> Network:
    """Make a network with random matrices of gain 1, whose logits depend on the sound as those of trained ones do."""
    torch.manual_seed(0)
    network = config.network().eval().requires_grad_(requires_grad=False)
    for values in network.parameters():
        if values.ndim > 1:
            values.normal_(std=values[0].numel() ** -0.5)
    return network


def eager(network: Network, device: str, precision: Precision) -> TorchEngine:
    """Return an engine without graphs for a copy of a network."""
    return TorchEngine(NetworkSpec.from_network(copy.deepcopy(network)), device=device, precision=precision)


def graphs(engine: TorchEngine, window_samples: int) -> GraphEngine:
    """Return an engine with a CUDA graph for each batch size; on a CPU, the same work is done without."""
    capture = capture_cuda_graph if engine.device.type == "cuda" else lambda run: run
    return GraphEngine(engine, window_samples=window_samples, capture=capture)


def sounds(count: int, samples: int) -> Tensor:
    """Return windows of gated tones in noise, each different: float32 (count, samples)."""
    noise = torch.randn(count, samples, generator=torch.Generator().manual_seed(0))
    seconds = torch.arange(samples) / SAMPLE_RATE_HZ
    number = torch.arange(count)[:, None]
    tones = torch.sin(2 * torch.pi * 110 * 2.0 ** (number % 6) * seconds * (1 + 0.02 * number * seconds))
    gates = torch.sin(2 * torch.pi * (0.3 + 0.2 * number) * seconds) > 0
    return (0.3 * gates * tones + 0.03 * (1 + number % 4) * noise).clamp(-1, 1)


def machine(device: str) -> str:
    """Describe the device and PyTorch."""
    if not device.startswith("cuda"):
        return f"{device}, torch {torch.__version__}"
    card = torch.cuda.get_device_properties(device)
    return (
        f"{card.name}, {card.total_memory / 1e9:.0f} GB, torch {torch.__version__}, CUDA {torch.version.cuda}"
    )


def lines(device: str, plan: Plan) -> Iterator[Line]:
    """Check and measure each network; yield the lines of the table as they come."""
    for name, config in networks(small=plan.small).items():
        yield from lines_of(name, config, device, plan)
        if device.startswith("cuda"):
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


def lines_of(name: str, config: NetworkConfig, device: str, plan: Plan) -> Iterator[Line]:
    """Check and measure one network, whose memory is free afterwards."""
    network = build(config)
    window_samples = NetworkSpec.from_network(network).front_end.window_samples
    yield from guarded(name, parity(name, network, device, sounds(plan.parity_windows, window_samples)))
    plain = eager(network, device, "fp16" if device.startswith("cuda") else "fp32")
    captured = graphs(plain, window_samples)
    windows = sounds(max(plan.graphs), window_samples)
    yield from guarded(name, equal_graphs(name, plain, captured, windows, plan.graphs))
    yield from guarded(name, streams(name, captured, window_samples, plan.streams, plan.stream_seconds))
    yield from guarded(name, leak(name, captured, windows, plan.hour_windows, gpu_bytes(device)))
    if device.startswith("cuda"):
        yield Line(name, "most GPU memory", f"{torch.cuda.max_memory_reserved(device) / 1e6:.0f} MB")
    yield from guarded(name, speed(name, captured, hugging_face_of(config, device), windows, device, plan))


def guarded(network: str, found: Iterator[Line]) -> Iterator[Line]:
    """Yield lines; an error of PyTorch or CUDA, such as one of memory, is a failed check."""
    try:
        yield from found
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Line(network, "error", reason, "none", failed=True)


def difference(ours: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference; infinity if a value is not finite or there are others."""
    if ours.shape != expected.shape or not ours.isfinite().all():
        return float("inf")
    return float((ours - expected).abs().max())


def parity(
    name: str,
    network: Network,
    device: str,
    windows: Tensor,
    make: Callable[[Network, str, Precision], Engine] = eager,
) -> Iterator[Line]:
    """Compare each precision with single precision on the CPU."""
    expected, _ = eager(network, "cpu", "fp32")(windows)
    for precision, limit in LOGITS.items():
        found = difference(make(network, device, precision)(windows)[0], expected)
        yield Line(name, f"{precision}: logits differ by", f"{found:.2g}", f"<= {limit:g}", found > limit)


def equal_graphs(
    name: str, plain: Engine, captured: Engine, windows: Tensor, batches: Sequence[int]
) -> Iterator[Line]:
    """Compare graphs with the eager engine, at each batch size and with other windows than at the capture."""
    worst = 0.0
    for batch in batches:
        for part in (windows[:batch], windows.flip(0)[:batch]):
            for ours, expected in zip(captured(part), plain(part), strict=True):
                worst = max(worst, difference(ours, expected))
    what = f"graphs of {batches[0]} to {batches[-1]}: differ by"
    yield Line(name, what, f"{worst:.2g}", f"<= {GRAPH_LOGITS:g}", worst > GRAPH_LOGITS)


def hugging_face_of(config: NetworkConfig, device: str) -> Tag | None:
    """Return Hugging Face's network, in fp16 with fused attention on a GPU; None where it has none or is not installed."""
    if not hugging_face.is_installed() or not isinstance(config, AstConfig):
        return None
    return hugging_face.baseline(config, torch.device(device), half=device.startswith("cuda"))


def speed(
    name: str, engine: Engine, baseline: Tag | None, windows: Tensor, device: str, plan: Plan
) -> Iterator[Line]:
    """Time one window, and full batches, from samples on the host to scores on the host, in turns with Hugging Face."""
    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    longest, least = next(
        (target for (of, part), target in TARGETS.items() if of == name and part in card), (None, None)
    )
    for batch, what, target in ((1, "one window, median", longest), (LARGEST_BATCH, "windows/s", least)):
        samples = windows[:batch].numpy()
        rivals = [scorer(engine), *([baseline] if baseline else [])]
        ours, *theirs = medians(rivals, samples, plan.runs if batch == 1 else max(3, plan.runs // 10))
        limits = [theirs[0]] if theirs and plan.speed_limits else []
        limits += [target if batch == 1 else batch / target] if target and plan.speed_limits else []
        show = milliseconds if batch == 1 else partial(rate, batch)
        compared = f" (Hugging Face {show(theirs[0])}, {theirs[0] / ours:.1f}x)" if theirs else ""
        limit = f"{'<=' if batch == 1 else '>='} {show(min(limits))}" if limits else ""
        yield Line(name, what, show(ours) + compared, limit, bool(limits) and ours > min(limits))
    if not hugging_face.is_installed():
        yield Line(name, "Hugging Face", "not measured: transformers is not installed")


def milliseconds(seconds: float) -> str:
    """Return a time."""
    return f"{1e3 * seconds:.2f} ms"


def rate(batch: int, seconds: float) -> str:
    """Return windows per second."""
    return f"{batch / seconds:.0f}/s"


def scorer(engine: Engine) -> Callable[[Samples], Samples]:
    """Return a function from samples (batch, n) to scores (batch, classes)."""

    def score(samples: Samples) -> Samples:
        scores: Samples = engine(torch.from_numpy(samples))[0].sigmoid().numpy()
        return scores

    return score


def medians(tags: Sequence[Tag], samples: Samples, runs: int) -> list[float]:
    """Return the median seconds of functions that take turns."""
    times: list[list[float]] = [[] for _ in tags]
    for _ in range(runs + 2):
        for tag, seconds in zip(tags, times, strict=True):
            before = time.perf_counter()
            tag(samples)
            seconds.append(time.perf_counter() - before)
    return [statistics.median(seconds[2:]) for seconds in times]  # the first two warm up


class Player:
    """Live source that has just delivered a whole window."""

    live = True
    retry_seconds: float | None = None
    repaired_samples = 0

    def __init__(self, name: str, sound: Samples, window_samples: int) -> None:
        self.name = name
        self._sound, self._first = sound, window_samples
        self._closed = threading.Event()

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield a window at once, then a tenth of a second at a time."""
        began = time.time() - self._first / SAMPLE_RATE_HZ
        yield AudioChunk(self._sound[: self._first], 0, began)
        for start in range(self._first, len(self._sound), _BLOCK):
            block = self._sound[start : start + _BLOCK]
            ends_in = began + (start + len(block)) / SAMPLE_RATE_HZ - time.time()
            if self._closed.wait(max(0.0, ends_in)):
                return
            yield AudioChunk(block, start, began + start / SAMPLE_RATE_HZ)

    def close(self) -> None:
        """End the sound."""
        self._closed.set()


class Kept:
    """Sink that keeps taggings."""

    def __init__(self) -> None:
        self.taggings: list[Tagging] = []

    def accept(self, message: Message) -> None:
        """Keep a tagging."""
        if isinstance(message, Tagging):
            self.taggings.append(message)


def streams(name: str, engine: Engine, window_samples: int, count: int, seconds: int) -> Iterator[Line]:
    """Listen to live streams, all of which have a window due at the same moment, with the program's own session."""
    total = window_samples + seconds * _HOP
    played = sounds(count, total).numpy()
    batches: list[int] = []
    score = scorer(engine)

    def noted(samples: Samples) -> Samples:
        batches.append(len(samples))
        return score(samples)

    kept = Kept()
    inputs = [Input(Player(str(place), played[place], window_samples), _HOP) for place in range(count)]
    session = LiveSession(inputs, noted, Mode(window_samples, limit_samples=total), Outputs([kept]))
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.1)
    steady = [tagging for tagging in kept.taggings if tagging.end_sample > window_samples + _HOP]
    ends = range((window_samples // _HOP + 2) * _HOP, total + 1, _HOP)
    due = {(str(place), end) for place in range(count) for end in ends}
    missed = len(due - {(tagging.source, tagging.end_sample) for tagging in steady})
    yield Line(
        name,
        f"{count} live streams: windows missed",
        f"{missed} of {len(due)}",
        "<= 0",
        missed > 0 or not due,
    )
    for tagging in steady[-1:]:
        window = played[int(tagging.source), tagging.start_sample : tagging.end_sample]
        found = difference(torch.from_numpy(tagging.scores), torch.from_numpy(score(window[None])[0]))
        yield Line(
            name, "  scores differ from one alone by", f"{found:.2g}", f"<= {SCORES:g}", found > SCORES
        )
    latencies = [tagging.latency_seconds for tagging in steady if tagging.latency_seconds is not None]
    if latencies:
        p50, p95 = np.percentile(latencies, (50, 95))
        yield Line(name, "  latency, median and p95", f"{milliseconds(p50)}, {milliseconds(p95)}")
    yield Line(name, "  windows in a batch, mean", f"{statistics.mean(batches or [0]):.1f}")


def gpu_bytes(device: str) -> Callable[[], int]:
    """Return a function that returns the GPU memory that PyTorch holds; 0 on a CPU."""
    if not device.startswith("cuda"):
        return lambda: 0
    return lambda: torch.cuda.memory_allocated(device) + torch.cuda.memory_reserved(device)


def leak(name: str, engine: Engine, windows: Tensor, count: int, gpu: Callable[[], int]) -> Iterator[Line]:
    """Score windows one by one, some of them shorter as those of a young source, and compare the memory."""

    def run(numbers: range) -> None:
        for number in numbers:
            window = windows[number % len(windows)]
            engine((window[: len(window) // 2] if number % 50 == 0 else window)[None])

    run(range(count // 3))  # libraries allocate their buffers
    before = gpu(), resident_bytes() or 0
    run(range(count))
    grown = gpu() - before[0], (resident_bytes() or 0) - before[1]
    what = f"{count} windows: GPU memory grows by"
    yield Line(name, what, f"{grown[0] / 1e6:.1f} MB", "<= 0 MB", grown[0] > 0)
    limit = LEAK_MEGABYTES * 1e6
    yield Line(
        name, "  memory grows by", f"{grown[1] / 1e6:.1f} MB", f"<= {LEAK_MEGABYTES:g} MB", grown[1] > limit
    )
