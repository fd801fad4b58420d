"""Description of this machine, as far as speed depends on it."""

import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def machine(device: "torch.device") -> str:
    """What speed depends on, besides the model."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{name} | {torch.get_num_threads()} threads | torch {torch.__version__}"


def processor() -> str:
    """Name of the CPU; Linux keeps it where `platform` does not look."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
