"""Waiting for what sends no signal of its own."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""Time limit for what usually happens at once; a busy machine may need it, and no test is slower for it."""

START_SECONDS = 120.0
"""Time limit for a start or an end of the program; a busy machine needs a while to import torch."""


def wait_until(condition: Callable[[], object], what: str, timeout_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that sends no signal of its own."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_seconds} s for {what}"
        time.sleep(0.02)
