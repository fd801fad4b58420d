"""The whole computation, from samples to results, as one CUDA graph, so that a GPU never waits for Python."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from . import Samples
from .torch_engine import TorchEngine

Capture: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
"""Function that records work on fixed buffers, and returns a function that repeats it."""

LARGEST_BATCH = 32
"""Largest batch of a graph; larger batches are split, because they are no faster and take memory."""
_WARM_UPS = 3
"""Runs before a capture, during which libraries choose their kernels and get their memory (torch.cuda.graph's documentation)."""


def capture_cuda_graph(run: Callable[[], None]) -> Callable[[], None]:
    """Record the kernels that `run` launches on the current device; return a function that launches them all at once and waits."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()

    def replay() -> None:
        graph.replay()
        torch.cuda.current_stream().synchronize()

    return replay


class GraphEngine:
    """Engine with one graph for each batch size, captured at its first use: copy in, features, network, copy out.

    Shorter windows, which occur only in a source's first seconds, use the eager engine.

    Parameters
    ----------
    engine : TorchEngine
        Engine to capture.
    window_samples : int
        Length of a full window.
    capture : callable
        Function that captures a graph.
    """

    def __init__(
        self, engine: TorchEngine, *, window_samples: int, capture: Capture = capture_cuda_graph
    ) -> None:
        self._engine = engine
        self._window_samples = window_samples
        self._capture = capture
        self._graphs: dict[int, _Graph] = {}
        self.description = f"{engine.description}, CUDA graph"

    def __call__(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) -> logits float32 (batch, classes), embeddings float32 (batch, width), on the CPU."""
        samples = torch.as_tensor(samples)
        if samples.shape[1] != self._window_samples:
            return self._engine(samples)
        with self._engine.on_device():
            parts = [self._graph(len(part))(part) for part in torch.split(samples, LARGEST_BATCH)]
        logits, embeddings = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(embeddings)

    def _graph(self, batch: int) -> "_Graph":
        if batch not in self._graphs:
            self._graphs[batch] = _Graph.captured(self._engine, (batch, self._window_samples), self._capture)
        return self._graphs[batch]


@dataclass(frozen=True, slots=True)
class _Graph:
    """Graph of one batch size, between buffers on the host."""

    samples: Tensor
    results: tuple[Tensor, Tensor]
    replay: Callable[[], None]

    @classmethod
    def captured(cls, engine: TorchEngine, shape: tuple[int, int], capture: Capture) -> "_Graph":
        """Run once to learn the shapes, allocate buffers that the GPU can access, and capture."""
        buffer = partial(torch.empty, pin_memory=engine.device.type == "cuda")
        samples = buffer(shape).zero_()
        results = tuple(buffer(result.shape) for result in engine(samples))

        def run() -> None:
            for target, result in zip(results, engine.launch(samples), strict=True):
                target.copy_(result, non_blocking=True)

        return cls(samples, (results[0], results[1]), capture(run))

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        self.samples.copy_(samples)
        self.replay()
        logits, embeddings = self.results
        return logits.clone(), embeddings.clone()
