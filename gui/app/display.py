"""Checks that a window can be opened, without loading Qt into this process."""

import importlib.util
import os
import subprocess
import sys

from ..errors import DisplayError

_PROBE = "from PySide6.QtWidgets import QApplication; QApplication([])"
_PROBE_SECONDS = 30


def require_display() -> None:
    """Check that a window can be opened.

    Qt ends the process where it meets no display or lacks a system library; so this tries in a process of its own.

    Raises
    ------
    DisplayError
        The window's packages are not installed, or there is no display.
    """
    if not all(importlib.util.find_spec(name) for name in ("PySide6", "pyqtgraph")):
        raise DisplayError(
            'the window\'s packages are not installed: run pip install "earshot[gui]", or use --headless'
        )
    if sys.platform == "linux" and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        raise DisplayError("there is no display to open a window on: use --headless to listen without one")
    try:
        probe = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DisplayError(
            "the display does not answer: use --headless to listen without a window"
        ) from error
    if probe.returncode:
        raise DisplayError(
            f"a window can't be opened here ({_reason(probe.stderr)}): use --headless to listen without one"
        )


def _reason(stderr: str) -> str:
    """Return the line of Qt's or Python's complaint that says what is missing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if "needed to load" in line or "could not connect" in line]
    if not telling:
        telling = [line for line in lines if "Error:" in line]
    return (telling or lines or ["Qt gives no reason"])[0].removeprefix("qt.qpa.xcb: ").rstrip(".")
