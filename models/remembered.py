"""What was measured on this machine, remembered for a while."""

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import platformdirs
import torch


class Memory:
    """Values by conditions in a JSON file, which may be missing, damaged or unwritable: then all is measured again.

    Parameters
    ----------
    file : Path
        Where they are kept.
    seconds : float
        How long a value counts: a measurement may have been disturbed.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self._path = file
        self._seconds = seconds

    @classmethod
    def in_cache(cls, name: str, seconds: float) -> Self:
        """One in the user's cache."""
        return cls(Path(platformdirs.user_cache_dir("earshot")) / name, seconds)

    def get(self, conditions: str) -> Any:
        """What was put under these conditions; None if nothing was, or long ago."""
        return self._fresh().get(conditions, (None, 0.0))[0]

    def put(self, conditions: str, value: Any) -> None:
        """Remember a value that JSON can hold."""
        content = self._fresh() | {conditions: (value, time.time())}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            part.replace(self._path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _fresh(self) -> dict[str, tuple[Any, float]]:
        """What was put lately, and when."""
        now = time.time()
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            kept = {str(key): (value, float(when)) for key, (value, when) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return {key: entry for key, entry in kept.items() if 0 <= now - entry[1] < self._seconds}


def machine(device: torch.device) -> str:
    """What speed depends on, besides the model."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{name} | {torch.get_num_threads()} threads | torch {torch.__version__}"


def processor() -> str:
    """Name of the CPU; Linux keeps it where `platform` does not look."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
