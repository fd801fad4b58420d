"""Commands, ports and folders of the system."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.waiting import wait_until

_PORTS = range(10_000, 32_000)
"""Ports outside the ephemeral range, so that no other program gets one by chance."""


def require(*commands: str) -> None:
    """Skip the test if a command is missing; fail it with CI=true, where all must be installed."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        lacking(f"not installed: {', '.join(missing)}")


def lacking(sentence: str) -> None:
    """Skip the test, because something is missing; fail it with CI=true, where all must be there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def free_port() -> int:
    """Find a free TCP port of the loopback that no other program gets by chance."""
    while True:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder with a path short enough for a socket; delete it once nothing writes into it."""
    folder = Path(tempfile.mkdtemp(prefix="earshot-"))

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    try:
        yield folder
    finally:
        wait_until(gone, f"{folder} to be left alone")
