"""FFmpeg processes for recordings. They are kept a while, because a start takes longer than most recordings."""

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .process import FFmpegProcess
from .wire import DecodingFailure

_MOST_IDLE = 8
_IDLE_SECONDS = 8.0
"""Age of an idle process that is not used again: it ends by itself after 10 s."""

_idle: list[tuple[float, FFmpegProcess]] = []
_lock = threading.Lock()


@contextmanager
def borrowed() -> Iterator[FFmpegProcess]:
    """Lend a process that waits for a request, and take it back at the end of the block.

    Raises
    ------
    DecodingFailure
        No process can be started.
    """
    process = _take() or FFmpegProcess().__enter__()
    try:
        yield process
    finally:
        if not process.is_free:
            with suppress(DecodingFailure):
                process.stop()
        if not _keep(process):
            process.__exit__(None, None, None)


def _take() -> FFmpegProcess | None:
    while True:
        with _lock:
            if not _idle:
                return None
            since, process = _idle.pop()
        if process.is_running and time.monotonic() - since < _IDLE_SECONDS:
            return process
        process.__exit__(None, None, None)


def _keep(process: FFmpegProcess) -> bool:
    with _lock:
        if not process.is_free or not process.is_running or len(_idle) >= _MOST_IDLE:
            return False
        _idle.append((time.monotonic(), process))
        return True


def end_idle() -> None:
    """End the processes that wait for a request."""
    while (process := _take()) is not None:
        process.__exit__(None, None, None)


atexit.register(end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they belong to the parent
