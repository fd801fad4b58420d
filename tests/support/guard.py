"""A guard that ends what a test session leaves running, however the session ends.

Every program that a test starts inherits a variable that names the session. A process of its own waits until pytest has ended, in
order or not, and then kills each process that has the variable: children, their children, and daemons.
"""

import faulthandler
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

VARIABLE = "PYTEST_SESSION_GUARD"
_WORKER = "PYTEST_XDIST_WORKER"
_PASS_SECONDS = 0.1


class Guard:
    """A plugin of pytest that starts the guard, and writes the stacks of a crash or a hang into a file.

    Parameters
    ----------
    config : pytest.Config
        The session's.
    margin_seconds : float
        Time beyond its limit after which a test that can't be interrupted ends the whole process.
    """

    def __init__(self, config: pytest.Config, margin_seconds: float = 60.0) -> None:
        self._margin_seconds = margin_seconds
        self._worker = os.environ.get(_WORKER)
        self._traces = config.rootpath / ".pytest_cache" / f"stacks-{self._worker or 'main'}.txt"
        self._traces.parent.mkdir(exist_ok=True)
        self._file = self._traces.open("w")
        self._guard: subprocess.Popen[bytes] | None = None
        self._left: list[str] = []
        faulthandler.enable(self._file)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Start the guard; a worker of pytest-xdist has that of the session."""
        if self._worker is None:
            session = secrets.token_hex(8)
            self._guard = subprocess.Popen(
                [sys.executable, __file__, session], stdin=subprocess.PIPE, start_new_session=True
            )
            os.environ[VARIABLE] = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Write all stacks and exit where a test hangs in code that a time limit can't interrupt."""
        limit = _limit_seconds(item)
        if limit:
            faulthandler.dump_traceback_later(limit + self._margin_seconds, file=self._file, exit=True)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Kill what is left."""
        if self._guard is not None:
            self._left = kill_all(os.environ[VARIABLE])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was left, and the files with stacks."""
        for command in self._left:
            terminalreporter.write_line(f"killed at the end: {command}")
        for file in sorted(self._traces.parent.glob("stacks-*.txt")):
            if file.stat().st_size:
                terminalreporter.write_line(f"stacks of a crash or a hang: {file}")

    def pytest_unconfigure(self) -> None:
        """Let the guard go."""
        faulthandler.disable()
        self._file.close()
        if self._guard is not None:
            self._guard.communicate()


def _limit_seconds(item: pytest.Item) -> float:
    """Return the time limit of a test; 0 where it has none."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getoption("timeout") or 0)


def marked(session: str) -> list[psutil.Process]:
    """Return the running processes that a session has started, except this one and its ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid not in own and process.environ().get(VARIABLE) == session:
                found.append(process)
    return found


def kill_all(session: str) -> list[str]:
    """Kill all processes of a session, and return their command lines."""
    commands = []
    passes_without_any = 0
    while passes_without_any < 2:  # a process that is just starting has no variables yet
        processes = marked(session)
        for process in processes:
            with suppress(psutil.Error):
                commands.append(" ".join(process.cmdline()))
                process.kill()
        psutil.wait_procs(processes, timeout=1.0)
        passes_without_any = 0 if processes else passes_without_any + 1
        time.sleep(_PASS_SECONDS)
    return [command for command in commands if "multiprocessing" not in command]


if __name__ == "__main__":
    sys.stdin.read()
    kill_all(sys.argv[1])
