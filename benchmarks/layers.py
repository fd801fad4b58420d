"""Time of each kind of layer and precision in OpenVINO, compared with the matrix products at the machine's rate.

    python benchmarks/layers.py [--network base-10-10] [--precision bf16]

The network has random weights. Matrix products are those of fully connected layers and attention; the rate is measured with square
matrices in PyTorch.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import openvino
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.bench.matrices import operations_per_second
from models.bench.measuring import NETWORKS, random_checkpoint
from models.bench.plan import machine
from models.checkpoints import load_checkpoint
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.openvino_runner import OpenVinoRunner
from models.reference_audio import reference_windows

WINDOWS = 6


class Profiled(OpenVinoEngine):
    """Engine with the performance counters of OpenVINO."""

    def _runner(self, model: openvino.Model) -> OpenVinoRunner:
        self._core.set_property("CPU", {"PERF_COUNT": True})
        return super()._runner(model)

    def layers(self) -> dict[tuple[str, str], float]:
        """Return the milliseconds of the last window by kind and implementation."""
        sums: dict[tuple[str, str], float] = defaultdict(float)
        for layer in self._run.request.get_profiling_info():
            sums[layer.node_type, layer.exec_type.rsplit("_", 1)[-1]] += layer.real_time.total_seconds() * 1e3
        return sums


def main() -> None:
    """Run a few windows, and print the times of the last one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", default="base-10-10", choices=sorted(NETWORKS))
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16", "int8"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = load_checkpoint(str(random_checkpoint(options.network, Path(folder))))
        engine = Profiled(checkpoint.network_spec(), precision=options.precision)
    for window in reference_windows(163_840)[:WINDOWS]:
        engine(window[None])
    layers = engine.layers()
    total = sum(layers.values())
    config = checkpoint.config
    operations = 1e9 * config.gigaflop()
    rate = operations_per_second(options.precision, torch.device("cpu"))
    print(f"{options.network}, {engine.description} | {machine('cpu')}")
    for (kind, precision), milliseconds in sorted(layers.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.005 * total:
            print(f"{kind:28} {precision:6} {milliseconds:8.1f} ms {milliseconds / total:7.1%}")
    print(f"{'all layers':35} {total:8.1f} ms")
    print(
        f"{'matrix products at the peak rate':35} {1e3 * operations / rate:8.1f} ms ({rate / 1e9:.0f} Gop/s)"
    )


if __name__ == "__main__":
    main()
