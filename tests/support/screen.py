"""A virtual screen of the session's own, so that windows of one worker take no focus from those of another."""

import os
import shutil
import subprocess

import pytest


class Screen:
    """A plugin of pytest that starts Xvfb for each worker, and where there is no screen.

    Parameters
    ----------
    config : pytest.Config
        The session's.
    """

    def __init__(self, config: pytest.Config) -> None:
        is_worker = hasattr(config, "workerinput")
        has_workers = bool(config.getoption("numprocesses", None))
        has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
        is_virtual = "QT_QPA_PLATFORM" in os.environ or shutil.which("Xvfb") is None
        self._is_needed = not is_virtual and (is_worker or not (has_workers or has_screen))
        self._server: subprocess.Popen[bytes] | None = None

    def pytest_sessionstart(self) -> None:
        """Start it, and make it the screen of this process."""
        if self._is_needed:
            command = "Xvfb -displayfd 1 -screen 0 1280x1024x24 -nolisten tcp -noreset"
            self._server = subprocess.Popen(
                command.split(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._server.stdout is not None
            os.environ["DISPLAY"] = f":{int(self._server.stdout.readline())}"
            os.environ.pop("WAYLAND_DISPLAY", None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.terminate()
            self._server.communicate()
