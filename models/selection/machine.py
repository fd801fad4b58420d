"""Description of this machine, as far as speed depends on it."""

import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def machine(device: "torch.device") -> str:
    """Return a description of the processor or GPU, the threads and the version of PyTorch."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{name} | {torch.get_num_threads()} threads | torch {torch.__version__}"


def processor() -> str:
    """Return the name of the CPU; on Linux, `platform` does not know it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
