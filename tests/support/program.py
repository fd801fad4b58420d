"""Program as its users start it, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, AnyStr, Self

from support.waiting import START_SECONDS

ROOT = Path(__file__).resolve().parents[2]


def clean_environment(folder: Path) -> dict[str, str]:
    """Return an environment without the user's settings, display and network, and without slow measurements of engines."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EARSHOT_", "QT_"))}
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        kept.pop(name, None)
    return kept | {
        "EARSHOT_PRECISION": "fp32",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONWARNINGS": "error",
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
    }


def command(*options: str) -> list[str]:
    return [sys.executable, str(ROOT / "run_live.py"), *options]


class ChildProcess(subprocess.Popen[AnyStr]):
    """Process that is killed at the end of its ``with`` block if it still runs.

    `subprocess.Popen` waits there instead, so that a failed assertion about a program would become a hang.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        super().__exit__(kind, error, trace)


class Program:
    """Running Earshot whose output is read continuously.

    Parameters
    ----------
    options : str
        On its command line.
    environment : dict of str to str
        Of the process.
    """

    def __init__(self, *options: str, environment: dict[str, str]) -> None:
        self.taggings: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._process = subprocess.Popen(
            command("--json", "--model", "tiny", *options),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [threading.Thread(target=read) for read in (self._read_taggings, self._read_log)]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(START_SECONDS)
        for reader in self._readers:
            reader.join(START_SECONDS)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def command_line(self) -> str:
        """Command line, which every user of the machine can read."""
        return Path(f"/proc/{self._process.pid}/cmdline").read_text()

    def newest(self, source: str) -> int:
        """Stream index of the newest tagging of a source; 0 before the first."""
        own = [line["end_seconds"] for line in self.taggings if line["source"] == source]
        return round(own[-1] * 16_000) if own else 0

    def logged(self, words: str) -> bool:
        return any(words in line for line in self.log)

    def interrupt(self) -> int:
        """End the program as Ctrl-C does; return its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.wait(START_SECONDS)

    def wait(self, seconds: float) -> int:
        return self._process.wait(seconds)

    def _read_taggings(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as written:
            for line in written:
                self.taggings.append(json.loads(line))

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as written:
            for line in written:
                self.log.append(line.decode().rstrip())
