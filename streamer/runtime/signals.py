"""Signals that ask a program to end in order, or to read its settings again."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Note the first SIGINT or SIGTERM, so that all is ended in order; a second one ends the process at once."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def hangups() -> Iterator[Callable[[], bool]]:
    """Note SIGHUP, which asks for the settings to be read again; true once after it. The loss of the terminal ends the program as before."""
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    if number is None or signal.getsignal(number) == signal.SIG_IGN:  # as nohup has it
        yield lambda: False
        return
    had_terminal = _has_terminal()
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if had_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
        else:
            received.append(number)

    def asked() -> bool:
        if not received:
            return False
        received.clear()  # nothing is lost: whoever asks from here on is answered by the settings as they are then
        return True

    previous = signal.signal(number, note)
    try:
        yield asked
    finally:
        signal.signal(number, previous)


def _has_terminal() -> bool:
    """Whether there is a terminal that belongs to this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
