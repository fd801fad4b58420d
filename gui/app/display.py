"""Checks that a window can be opened, without loading Qt into this process."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from ..errors import DisplayError

_PROBE = "from PySide6.QtWidgets import QApplication; QApplication([])"
_PROBE_SECONDS = 30


def require_display() -> None:
    """Check that a window can be opened.

    Raises
    ------
    DisplayError
        The packages for the window are not installed, or there is no display.
    """
    with display_check() as wait:
        wait()


@contextmanager
def display_check() -> Iterator[Callable[[], None]]:
    """Begin to check that a window can be opened.

    Qt aborts the process if there is no display or a system library is missing, so this tries it in a child process.

    Yields
    ------
    callable
        Function that waits for the result, and raises a `DisplayError` if no window can be opened.

    """
    if problem := _problem_at_once():
        yield partial(_fail, problem)
        return
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own code
        [sys.executable, "-c", _PROBE],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as probe:
        try:
            yield partial(_require_success, probe)
        finally:
            probe.kill()


def _problem_at_once() -> str:
    """Return what rules out a window for certain; empty if nothing does."""
    if not all(importlib.util.find_spec(name) for name in ("PySide6", "pyqtgraph")):
        return 'the packages for the window are not installed: run pip install -e ".[gui]" in the checkout'
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in variables):
        return "there is no display"
    return ""


def _fail(problem: str) -> NoReturn:
    raise DisplayError(problem)


def _require_success(probe: subprocess.Popen[str]) -> None:
    """Wait for the child; raise a `DisplayError` if it has failed."""
    try:
        _, stderr = probe.communicate(timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DisplayError("the display does not respond") from error
    if probe.returncode:
        raise DisplayError(f"a window can't be opened here ({_reason(stderr)})")


def _reason(stderr: str) -> str:
    """Return the line of Qt's or Python's output that says what is missing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "needed to load" in line or "could not connect" in line]
    if not errors:
        errors = [line for line in lines if "Error:" in line]
    return (errors or lines or ["Qt gives no reason"])[0].removeprefix("qt.qpa.xcb: ").rstrip(".")
