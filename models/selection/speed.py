"""Estimates of the time that a published model takes on this machine, measured without its weights, and cached.

The time is linear in the number of blocks, so networks of one and of a few blocks are measured.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import frontends
from ..catalogue import Published
from ..checkpoints import FAMILIES
from ..engines import Engine, EngineName
from ..engines.graph_engine import GraphEngine
from ..engines.openvino_engine import OpenVinoEngine
from ..engines.torch_engine import TorchEngine, pick_device
from ..errors import EngineError
from ..network_spec import Network, NetworkConfig, NetworkSpec
from .machine import machine
from .speed_cache import shape_key, speed_cache

_HEAD_WIDTH = 64
"""Components of an attention head in all published models."""
_BLOCKS = 5
"""Number of blocks in the larger network that is measured; with fewer, a disturbance would count several times."""
_RUNS = 20
_BUDGET_SECONDS = 1.5
"""No further run begins after this time. The first run warms up, and is the only one on a very slow machine."""

_log = logging.getLogger(__name__)


class SpeedEstimator:
    """Estimator of the seconds that a tagging of all sources takes: in single precision on a CPU, in half precision on a GPU.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    rows : int
        Rows of a window.
    windows : int
        Number of windows that are tagged at once: as one batch on a GPU, one by one on a CPU.
    engine : {"auto", "torch", "openvino"}
        Engine to use; with ``auto`` the faster one.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """

    def __init__(self, device: str, rows: int, windows: int, engine: EngineName = "auto") -> None:
        self._device = pick_device(device)
        self._rows = rows
        self._batch = windows if self._device.type == "cuda" else 1
        self._batches = windows / self._batch
        self._engines = _engines_for(self._device, engine)
        self._cache = speed_cache()

    def cached(self, entry: Published, limit: float) -> float | None:
        """Return the seconds, from earlier measurements under the same conditions.

        Returns
        -------
        float or None
            None if more measurements are needed to decide if they exceed `limit`.
        """
        results = [self._known(entry, engine, limit) for engine in self._engines]
        known = [seconds * self._batches for seconds in results if seconds is not None]
        fastest = min(known, default=None)
        return fastest if fastest is None or fastest <= limit or len(known) == len(results) else None

    def measure(self, entry: Published, limit: float) -> float:
        """Measure the seconds, unless they are cached, and save them.

        This takes a few seconds for an engine; less if a single block takes longer than `limit`.
        """
        fastest = float("inf")
        for engine in self._engines:
            seconds = self._known(entry, engine, limit)
            if seconds is None:
                result = self._measure(entry, engine, limit)
                self._cache.put(self._conditions(entry, engine), result)
                seconds = result if isinstance(result, float) else result[1]
            fastest = min(fastest, seconds * self._batches)
            if fastest <= limit:
                break
        return fastest

    def _known(self, entry: Published, engine: EngineName, limit: float) -> float | None:
        """Return the cached seconds of a batch; an approximation only if a single block takes longer than `limit`."""
        match self._cache.get(self._conditions(entry, engine)):
            case float() as seconds:
                return seconds
            case [float() as one, float() as seconds] if one * self._batches > limit:
                return seconds
        return None

    def _measure(self, entry: Published, engine: EngineName, limit: float) -> float | list[float]:
        """Return the seconds of a batch on one engine; infinity if the engine is not available.

        If a single block exceeds `limit`, return the seconds of one block and an approximation of all.
        """
        config = config_of(entry).with_rows(self._rows)
        try:
            one = self._time(replace(config, depth=1), engine)
            if one * self._batches > limit:
                return [one, config.depth * one]  # the rest of the network takes little
            block = max(0.0, self._time(replace(config, depth=_BLOCKS), engine) - one) / (_BLOCKS - 1)
        except EngineError as error:
            _log.debug("%s is not measured: %s", engine, error)
            return float("inf")
        return one + (config.depth - 1) * block

    def _time(self, config: NetworkConfig, engine: EngineName) -> float:
        """Return the seconds of one batch, from samples on the host to scores on the host."""
        run = self._engine(_random_network(config), engine)
        samples = _noise(torch.empty(self._batch, self._rows * frontends.FRAME_SHIFT))
        return _fastest(lambda: run(samples))

    def _engine(self, network: Network, engine: EngineName) -> Engine:
        spec = NetworkSpec.from_network(network)
        if engine == "openvino":
            return OpenVinoEngine(spec, precision="fp32", keep=False)
        eager = TorchEngine(spec, device=str(self._device), precision="auto")
        if self._device.type == "cpu":
            return eager
        return GraphEngine(eager, window_samples=self._rows * frontends.FRAME_SHIFT)

    def _conditions(self, entry: Published, engine: EngineName) -> str:
        """Return a cache key of everything that the time depends on."""
        return f"{shape_key(entry, self._rows, self._batch)}{engine} | {machine(self._device)}"


def _engines_for(device: torch.device, engine: EngineName) -> tuple[EngineName, ...]:
    """Return the engines to measure, the one that is usually faster first."""
    if device.type == "cuda":
        return ("torch",)
    return ("openvino", "torch") if engine == "auto" else (engine,)


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
