"""No program that a test starts outlives the session, and a hang leaves the stacks in a file."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from support.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def session(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a session of its own, with one test that starts a program which detaches itself; its process is in a file."""
    (folder / "conftest.py").write_text(
        "from support.guard import Guard\n\n\ndef pytest_configure(config):\n"
        "    config.pluginmanager.register(Guard(config, margin_seconds=1.0))\n"
    )
    start = """
import ctypes, os, signal, subprocess, time

def test_of_a_program():
    program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open("started", "w") as file:
        file.write(str(program.pid))
"""
    (folder / "test_program.py").write_text(start + textwrap.indent(test, "    "))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [
            sys.executable,
            *["-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "xdist"],
            *options,
        ],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def is_running(folder: Path) -> bool:
    try:
        return psutil.Process(int((folder / "started").read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("test", "options"),
    [
        ("pass", ()),
        ("assert False", ()),
        ("time.sleep(1000)", ("--timeout=1",)),
        ("os.kill(os.getpid(), signal.SIGKILL)", ()),
        ("time.sleep(1000)", ("--timeout=1", "-n1")),
        ("os.kill(os.getpid(), signal.SIGKILL)", ("-n1",)),
    ],
    ids=[
        "it passes",
        "it fails",
        "its limit strikes",
        "pytest is killed",
        "a worker's limit strikes",
        "a worker is killed",
    ],
)
def test_a_program_that_a_test_leaves_is_killed(test: str, options: tuple[str, ...], tmp_path: Path) -> None:
    session(tmp_path, test, *options)
    wait_until(lambda: not is_running(tmp_path), "the program to be killed")


def test_programs_that_are_left_are_named(tmp_path: Path) -> None:
    assert "killed at the end: sleep 1000" in session(tmp_path, "pass").stdout


def test_a_hang_that_no_time_limit_interrupts_ends_the_session_and_leaves_stacks(tmp_path: Path) -> None:
    hang = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\nctypes.PyDLL(None).sleep(1000)"
    ended = session(tmp_path, hang, "--timeout=1")
    assert ended.returncode == 1
    assert "test_of_a_program" in (tmp_path / ".pytest_cache" / "stacks-main.txt").read_text()
    wait_until(lambda: not is_running(tmp_path), "the program to be killed")
