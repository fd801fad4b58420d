"""Processes of one family, however they are started: they inherit a variable of the environment."""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_VARIABLE = "EARSHOT_TEST_PROCESSES"
_END_SECONDS = 60.0


class MarkedProcesses:
    """Processes with a mark in their environment, and their children.

    Attributes
    ----------
    environment : dict of str to str
        The mark.
    """

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._seen: set[psutil.Process] = set()
        self.environment = {_VARIABLE: self._mark}

    def alive(self) -> list[psutil.Process]:
        """Return those that live; some hide their environment behind a new title, so children are remembered."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process in self._seen or process.environ().get(_VARIABLE) == self._mark:
                    self._seen |= {process, *process.children(recursive=True)}
        self._seen = {process for process in self._seen if _is_alive(process)}
        return sorted(self._seen, key=lambda process: process.pid)

    def end(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Kill all, each by its id; `meanwhile` is called after each attempt."""
        deadline = time.monotonic() + _END_SECONDS
        while processes := self.alive():
            assert time.monotonic() < deadline, processes
            for process in processes:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            meanwhile()
            time.sleep(0.1)


class Unit:
    """Command that starts again whenever it ends, as a unit of systemd with ``Restart=always`` and ``KillMode=control-group``.

    Parameters
    ----------
    command : str
        On its command line.
    environment : dict of str to str
        Of the process.
    log : Path
        File for what it prints.
    """

    def __init__(self, *command: str, environment: Mapping[str, str], log: Path) -> None:
        self._command, self._log = command, log
        self.processes = MarkedProcesses()
        self._environment = os.environ | environment | self.processes.environment
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the command, and keep it running."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._keep_running)
        self._thread.start()

    def stop(self) -> None:
        """Kill all processes of the command at once."""
        self._stopped.set()
        self.processes.end()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
            self.processes.end()

    def _keep_running(self) -> None:
        while not self._stopped.is_set():
            with self._log.open("a") as log:
                process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            process.wait()
            self.processes.end()
            self._stopped.wait(1.0)


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
