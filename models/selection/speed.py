"""Estimates of the time that a published model takes on this machine, measured without its weights, and cached.

The time is linear in the number of blocks, so networks of one and of three blocks are measured.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import frontends
from ..catalogue import Published
from ..checkpoints import FAMILIES
from ..engines import Engine, Precision
from ..engines.graph_engine import GraphEngine
from ..engines.openvino_engine import OpenVinoEngine, has_bf16
from ..engines.torch_engine import TorchEngine, pick_device
from ..network_spec import Network, NetworkConfig, NetworkSpec
from .json_cache import JsonCache
from .machine import machine

_HEAD_WIDTH = 64
"""Components of an attention head in all published models."""
_RUNS = 5
_BUDGET_SECONDS = 0.6
"""No further run begins after this time. The first run warms up, and is the only one on a very slow machine."""
_LIFETIME_SECONDS = 7 * 24 * 3600.0
"""Lifetime of a measurement, which may have been disturbed."""


class SpeedEstimator:
    """Estimator of the seconds that a tagging of all sources takes.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    rows : int
        Rows of a window.
    windows : int
        Number of windows that are tagged at once: as one batch on a GPU, one by one on a CPU.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """

    def __init__(self, device: str, rows: int, windows: int) -> None:
        self._device = pick_device(device)
        self._rows = rows
        self._batch = windows if self._device.type == "cuda" else 1
        self._batches = windows / self._batch
        self._cache = JsonCache.in_user_cache("speed.json", _LIFETIME_SECONDS)

    def cached(self, entry: Published) -> float | None:
        """Return the seconds of an earlier measurement under the same conditions; None if there is none."""
        seconds = self._cache.get(self._conditions(entry))
        return seconds * self._batches if isinstance(seconds, float) else None

    def measure(self, entry: Published, limit: float) -> float:
        """Measure the seconds, and save them.

        This takes about two seconds; less if a single block takes longer than `limit`.
        """
        config = config_of(entry).with_rows(self._rows)
        one = self._time(replace(config, depth=1))
        block = one  # an approximation: the rest of the network takes little
        if one * self._batches <= limit:
            block = max(0.0, self._time(replace(config, depth=3)) - one) / 2
        seconds = one + (config.depth - 1) * block
        self._cache.put(self._conditions(entry), seconds)
        return seconds * self._batches

    def _time(self, config: NetworkConfig) -> float:
        """Return the seconds of one batch, from samples on the host to scores on the host."""
        engine = self._engine(_random_network(config))
        samples = _noise(torch.empty(self._batch, self._rows * frontends.FRAME_SHIFT))
        return _fastest(lambda: engine(samples))

    def _engine(self, network: Network) -> Engine:
        """Return the likely engine. It is never int8, whose accuracy depends on the weights."""
        spec = NetworkSpec.from_network(network)
        if self._device.type == "cpu":
            precision: Precision = "bf16" if has_bf16() else "fp32"
            return OpenVinoEngine(spec, precision=precision, keep=False)
        eager = TorchEngine(spec, device=str(self._device), precision="auto")
        return GraphEngine(eager, window_samples=self._rows * frontends.FRAME_SHIFT)

    def _conditions(self, entry: Published) -> str:
        """Return a cache key of everything that the time depends on."""
        return f"{machine(self._device)} | {entry.family} {entry.width} {entry.fstride}-{entry.tstride} | {self._rows} rows | batch {self._batch}"


def config_of(entry: Published) -> NetworkConfig:
    """Return the config of a published model, without its files."""
    return FAMILIES[entry.family](
        width=entry.width,
        depth=entry.depth,
        heads=entry.width // _HEAD_WIDTH,
        mlp_width=4 * entry.width,
        fstride=entry.fstride,
        tstride=entry.tstride,
        input_fdim=entry.bins,
        input_tdim=entry.rows,
        label_dim=entry.classes,
    )


def _random_network(config: NetworkConfig) -> Network:
    """Return a network with cheap random weights of realistic size: zeros run faster on a GPU."""
    with torch.device("meta"):
        network = config.network()
    network.to_empty(device="cpu")
    for weights in network.state_dict().values():
        _noise(weights)
    return network.eval()


def _noise(tensor: Tensor) -> Tensor:
    return tensor.uniform_(-0.05, 0.05, generator=torch.Generator().manual_seed(0))


def _fastest(run: Callable[[], Any]) -> float:
    """Return the seconds of the fastest of a few runs: other work on the machine only makes runs longer."""
    fastest, begun = float("inf"), time.perf_counter()
    for _ in range(_RUNS):
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        fastest = min(fastest, now - before)
        if now - begun > _BUDGET_SECONDS:
            break
    return fastest
