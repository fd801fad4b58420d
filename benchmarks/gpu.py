"""All that needs a GPU, checked and measured in one command.

    python benchmarks/gpu.py [--device cuda] [--quick]

It runs from a checkout, on the libraries in `NEEDED` alone; nothing is downloaded, as the networks have random weights. With transformers
installed, it also measures Hugging Face's networks. The exit code is 1 if a check fails. Without a GPU, ``--device cpu --quick`` tries the
script itself.
"""

import argparse
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from gpu_checks import Line

NEEDED = ("numpy", "torch", "torchaudio", "torchvision", "timm", "huggingface_hub", "safetensors", "yaml")
"""Libraries of the networks and features, and those that these import."""

_WIDTHS = (12, 40, 38, 16)


def main() -> None:
    """Run all checks and print a line for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument(
        "--quick", action="store_true", help="small networks and short runs; speed is not checked"
    )
    options = parser.parse_args()
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f"gpu.py: {', '.join(missing)} can't be imported: install {'them' if missing[1:] else 'it'}")
    import torch

    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("gpu.py: there is no CUDA device here: try the script itself with --device cpu --quick")
    import gpu_checks

    from models.engines.torch_engine import pick_device
    from models.errors import EngineError

    try:
        device = str(pick_device(options.device))
    except EngineError as error:
        sys.exit(f"gpu.py: {error}")
    started = time.perf_counter()
    print(gpu_checks.machine(device))
    print_row("network", "what", "figure", "limit", "")
    failed = 0
    for line in gpu_checks.lines(device, gpu_checks.QUICK if options.quick else gpu_checks.FULL):
        failed += line.failed
        print_line(line)
    print(f"{failed} failed checks, {time.perf_counter() - started:.0f} s")
    sys.exit(1 if failed else 0)


def print_line(line: "Line") -> None:
    """Print a line of the table."""
    verdict = ("FAILED" if line.failed else "ok") if line.limit else ""
    print_row(line.network, line.what, line.figure, line.limit, verdict)


def print_row(*cells: str) -> None:
    """Print cells in columns; the last is as wide as it is."""
    columns = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    print("  ".join([*columns, cells[-1]]).rstrip(), flush=True)


if __name__ == "__main__":
    main()
