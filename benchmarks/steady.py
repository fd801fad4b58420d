"""Speed of the tagger over time: windows without a pause, minute by minute.

python benchmarks/steady.py [--minutes 10] [--model tiny] [--precision auto]
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models import load_tagger
from models.bench.plan import machine
from models.reference_audio import reference_windows
from streamer.health.memory import resident_bytes


def main() -> None:
    """Tag windows, and print a line a minute."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--model", default="tiny", help="name or path")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16", "int8"))
    parser.add_argument("--hop", type=float, default=0.0, help="seconds from window to window; 0: no pause")
    options = parser.parse_args()
    tagger = load_tagger(options.model, precision=options.precision)
    windows = reference_windows(tagger.window_samples).numpy()
    print(f"{tagger.name}, {tagger.engine.description} | {machine('auto')}")
    print("minute  windows     median        p95   memory")
    medians = []
    for minute in range(options.minutes):
        times: list[float] = []
        end = time.perf_counter() + 60.0
        while time.perf_counter() < end:
            before = time.perf_counter()
            tagger(windows[len(times) % len(windows)])
            times.append(time.perf_counter() - before)
            time.sleep(max(0.0, options.hop - times[-1]))
        medians.append(statistics.median(times))
        memory = (resident_bytes() or 0) / 1e6
        print(
            f"{minute + 1:6} {len(times):8} {1e3 * medians[-1]:7.1f} ms {1e3 * np.percentile(times, 95):7.1f} ms {memory:5.0f} MB",
            flush=True,
        )
    print(f"median of the last minute, relative to the first: {medians[-1] / medians[0]:.3f}")


if __name__ == "__main__":
    main()
