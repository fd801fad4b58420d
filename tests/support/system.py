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
"""None that the system gives away by itself: a connection to such a port may meet itself, and another program may get it."""


def require(*commands: str) -> None:
    """Skip the test where a command is missing; fail it where CI=true, which promises to have them all."""
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    sentence = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def free_port() -> int:
    """Find a TCP port of the loopback on which nothing listens, nor will by chance."""
    while True:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder with a path that is short enough for a socket; it goes when nobody puts anything into it any more."""
    folder = Path(tempfile.mkdtemp(prefix="earshot-"))

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    try:
        yield folder
    finally:
        wait_until(gone, f"{folder} to be left alone")
