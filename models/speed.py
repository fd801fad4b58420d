"""How long a published AST would take on this machine, measured without its weights and remembered.

The time is linear in the number of blocks, so that networks of one and of three tell it.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor

from . import fbank
from .catalogue import Published
from .engines.torch_engine import TorchEngine, pick_device
from .transformer import AstConfig, AudioSpectrogramTransformer

_RUNS = 5
_BUDGET_SECONDS = 0.6
"""No further run of a network begins after this time. The first run warms up, and is the only one on a very slow machine."""
_REMEMBERED_SECONDS = 7 * 24 * 3600.0
"""A measurement may have been disturbed, so that none counts for ever."""


class Speedometer:
    """Tells what a tagging of all sources would take, in seconds.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    rows : int
        Rows of a window.
    windows : int
        How many are tagged at once. A GPU is given all of them; a CPU takes them one after the other, so that one is timed.

    Raises
    ------
    EngineError
        There is no such device here.
    """

    def __init__(self, device: str, rows: int, windows: int) -> None:
        self._device = pick_device(device)
        self._rows = rows
        self._batch = windows if self._device.type == "cuda" else 1
        self._batches = windows / self._batch
        self._memory = _Memory(Path(platformdirs.user_cache_dir("earshot")) / "speed.json")

    def recall(self, entry: Published) -> float | None:
        """Seconds of an earlier measurement under the same conditions, if there was one."""
        seconds = self._memory.get(self._conditions(entry))
        return None if seconds is None else seconds * self._batches

    def measure(self, entry: Published, limit: float) -> float:
        """Seconds, measured now and remembered. It takes about two seconds; less where a single block takes longer than `limit`."""
        config = AstConfig.of_size(
            "base",
            fstride=entry.fstride,
            tstride=entry.tstride,
            input_tdim=self._rows,
            label_dim=entry.classes,
        )
        one = self._time(replace(config, depth=1))
        block = one  # about: what is not in the blocks takes little
        if one * self._batches <= limit:
            block = max(0.0, self._time(replace(config, depth=3)) - one) / 2
        seconds = one + (config.depth - 1) * block
        self._memory.put(self._conditions(entry), seconds)
        return seconds * self._batches

    def _time(self, config: AstConfig) -> float:
        """Seconds of one batch, from samples on the host to scores on the host."""
        engine = TorchEngine(
            _random_network(config),
            mean=fbank.AUDIOSET_MEAN,
            std=fbank.AUDIOSET_STD,
            device=str(self._device),
        )
        samples = _noise(torch.empty(self._batch, self._rows * fbank.FRAME_SHIFT))
        return _fastest(lambda: engine(samples))

    def _conditions(self, entry: Published) -> str:
        """All that the time depends on, as far as it can be named."""
        cuda = self._device.type == "cuda"
        return " | ".join(
            (
                torch.cuda.get_device_name(self._device) if cuda else _processor(),
                f"{torch.get_num_threads()} threads",
                f"torch {torch.__version__}",
                f"base {entry.fstride}-{entry.tstride}",
                f"{self._rows} rows",
                f"batch {self._batch}",
            )
        )


def _random_network(config: AstConfig) -> AudioSpectrogramTransformer:
    """A network whose weights cost nothing to make; numbers of a usual size, since zeros run faster on a GPU."""
    with torch.device("meta"):
        network = AudioSpectrogramTransformer(config)
    network.to_empty(device="cpu")
    for weights in network.parameters():
        _noise(weights.detach())
    return network.eval()


def _noise(tensor: Tensor) -> Tensor:
    return tensor.uniform_(-0.05, 0.05, generator=torch.Generator().manual_seed(0))


def _fastest(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of a few runs: what else the machine does makes them longer only."""
    fastest, begun = float("inf"), time.perf_counter()
    for _ in range(_RUNS):
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        fastest = min(fastest, now - before)
        if now - begun > _BUDGET_SECONDS:
            break
    return fastest


def _processor() -> str:
    """Name of the CPU; Linux keeps it where `platform` does not look."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class _Memory:
    """Seconds by conditions in a JSON file, which may be missing, damaged or unwritable: then all is measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, conditions: str) -> float | None:
        return self._fresh().get(conditions, (None, 0.0))[0]

    def put(self, conditions: str, seconds: float) -> None:
        content = self._fresh() | {conditions: (seconds, time.time())}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _fresh(self) -> dict[str, tuple[float, float]]:
        """What was measured lately: seconds, and when."""
        now = time.time()
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            measured = {str(key): (float(seconds), float(when)) for key, (seconds, when) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return {key: value for key, value in measured.items() if 0 <= now - value[1] < _REMEMBERED_SECONDS}
