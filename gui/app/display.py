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

    Qt aborts the process if there is no display or a system library is missing, so this tries it in a child process.

    Raises
    ------
    DisplayError
        The packages for the window are not installed, or there is no display.
    """
    if not all(importlib.util.find_spec(name) for name in ("PySide6", "pyqtgraph")):
        raise DisplayError(
            'the packages for the window are not installed; run pip install -e ".[gui]" in the checkout, or use --headless'
        )
    if sys.platform == "linux" and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        raise DisplayError("there is no display; use --headless to listen without a window")
    try:
        probe = subprocess.run(  # noqa: S603 - our own interpreter and our own code
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
            "the display does not respond; use --headless to listen without a window"
        ) from error
    if probe.returncode:
        raise DisplayError(
            f"a window can't be opened here ({_reason(probe.stderr)}); use --headless to listen without one"
        )


def _reason(stderr: str) -> str:
    """Return the line of Qt's or Python's output that says what is missing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "needed to load" in line or "could not connect" in line]
    if not errors:
        errors = [line for line in lines if "Error:" in line]
    return (errors or lines or ["Qt gives no reason"])[0].removeprefix("qt.qpa.xcb: ").rstrip(".")
