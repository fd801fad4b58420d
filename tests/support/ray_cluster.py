"""Ray cluster with real workers, in processes of its own that all end with it."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from .marked_processes import MarkedProcesses
from .program import ROOT
from .ray_driver_mark import MARK
from .waiting import wait_until

_COMMAND_SECONDS = 240.0
TOKEN = "token-of-the-test"


class RayCluster:
    """Head and workers.

    Parameters
    ----------
    folder : Path
        Short path of an empty folder for Ray's files.

    Attributes
    ----------
    port : int
        Port of the workers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes = MarkedProcesses()
        self.port = free_port()
        self._driver: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Address of the workers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, workers: int = 2, most: int = 3, **options: Any) -> None:
        """Start a head and workers with a model; parameters of `WorkerOptions`."""
        environment = os.environ | {
            **self._processes.environment,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "PYTHONWARNINGS": "ignore",
            "EARSHOT_MODEL_TOKEN": TOKEN,
            "RAY_TMPDIR": str(self._folder),
            **deployed_environment(),
            **own_ingress(self._folder / "h"),
            "RAY_health_check_timeout_ms": "2000",  # a test shares its machine with others
        }
        with (self._folder / "driver.log").open("w") as log:
            self._driver = subprocess.Popen(
                [sys.executable, "-m", "support.ray_driver"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.do("start", port=self.port, workers=workers, most=most, **options)

    def do(self, command: str, **arguments: Any) -> None:
        """Have the driver carry out a command."""
        assert self._driver is not None
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._driver.stdin.flush()
        deadline = time.monotonic() + _COMMAND_SECONDS
        while True:
            ready, _, _ = select.select([self._driver.stdout], [], [], deadline - time.monotonic())
            assert ready, f"no reply to {command}"
            line = self._driver.stdout.readline()
            assert line, f"the driver has ended: {(self._folder / 'driver.log').read_text()[-2000:]}"
            if line.startswith(MARK):
                reply = json.loads(line.removeprefix(MARK))
                assert not reply, reply
                return

    @property
    def workers(self) -> list[psutil.Process]:
        """Processes that have a model."""
        return [process for process in self.processes() if _name(process).startswith("ray::ServeReplica")]

    @property
    def raylets(self) -> list[psutil.Process]:
        """Processes that stand for a machine, the head's included."""
        return [process for process in self.processes() if _name(process).endswith("/raylet")]

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the cluster."""
        return self._processes.alive()

    def stop(self) -> None:
        """End all processes, each by its id, and remove their files."""
        self._processes.end(self._reap_driver)
        if self._driver is not None:
            for stream in (self._driver.stdin, self._driver.stdout):
                with suppress(OSError):
                    stream.close()  # type: ignore[union-attr]
            self._driver.wait(60)
            self._driver = None
        shutil.rmtree(self._folder, ignore_errors=True)
        wait_until(lambda: not _is_open(self.port), "the port to be free")

    def _reap_driver(self) -> None:
        if self._driver is not None:
            with suppress(subprocess.TimeoutExpired):
                self._driver.wait(0.1)


def deployed_environment() -> dict[str, str]:
    """Return Ray's variables in `deploy/ray/environment.sh`, without those that concern tokens."""
    text = (ROOT / "deploy/ray/environment.sh").read_text(encoding="utf-8")
    found = dict(re.findall(r"^export (RAY_(?!AUTH)\w+)='?([^'\n]+?)'?$", text, re.MULTILINE))
    assert len(found) > 6
    return found


def own_ingress(folder: Path) -> dict[str, str]:
    """Return variables that keep HAProxy's files in a folder, made for them, and give it ports of its own."""
    folder.mkdir(parents=True, exist_ok=True)  # with a short path: that of a socket has at most 97 characters
    return {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
    }


def free_port() -> int:
    """Find a free TCP port above 20,000; Ray's own processes take those from 10,002 on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error, IndexError):
        return process.cmdline()[0]
    return ""
