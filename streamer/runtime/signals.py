"""Signals that end the program cleanly, or make it reload its settings."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Return a function that is true after SIGINT or SIGTERM, for a clean end; a second signal ends the process at once."""
    received: list[int] = []

    def record(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def hangups() -> Iterator[Callable[[], bool]]:
    """Return a function that is true once after each SIGHUP, which asks for a reload. Losing the terminal still ends the program."""
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    if number is None or signal.getsignal(number) == signal.SIG_IGN:  # started by nohup
        yield lambda: False
        return
    had_terminal = _has_terminal()
    received: list[int] = []

    def record(number: int, _frame: FrameType | None) -> None:
        if had_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        else:
            received.append(number)

    def requested() -> bool:
        if not received:
            return False
        received.clear()  # before the settings are read, so that no later request is lost
        return True

    previous = signal.signal(number, record)
    try:
        yield requested
    finally:
        signal.signal(number, previous)


def _has_terminal() -> bool:
    """Return True if the process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
