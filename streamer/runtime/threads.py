"""The only file that starts or joins threads. The first error wins and reaches main."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)


class _Member(threading.Thread):
    """A thread of a `ThreadGroup`."""


def left_behind() -> bool:
    """Return True if a thread of a group still runs after its group was stopped.

    If it comes back from native code while the interpreter ends, it takes the process down with it.
    """
    return any(isinstance(thread, _Member) for thread in threading.enumerate())


class ThreadGroup:
    """The program's threads, ended together: in reverse order of their start, within a time.

    Leaving the ``with`` block stops everyone and raises the first error that a thread met.

    Parameters
    ----------
    patience_seconds : float
        How long all threads together may take to end; who is still busy then is left behind (threads are
        daemons, so they don't hold the process).
    """

    def __init__(self, patience_seconds: float = 1.8) -> None:
        self._patience_seconds = patience_seconds
        self._members: list[tuple[threading.Thread, Callable[[], None]]] = []
        self._error: BaseException | None = None
        self._changed = threading.Event()
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._error is not None and error is None:
            raise self._error

    @property
    def failed(self) -> bool:
        """Whether a thread has ended with an error."""
        return self._error is not None

    def start(self, name: str, work: Callable[[], None], end: Callable[[], None]) -> None:
        """Start a thread.

        Parameters
        ----------
        name : str
            Of the thread.
        work : callable
            What it does; an exception that escapes it is kept for main.
        end : callable
            Makes `work` return soon; called from main, any number of times.
        """
        thread = _Member(target=self._work, args=(work,), name=name, daemon=True)
        with self._starting:
            thread.start()
            working = [member for member in self._members if member[0].is_alive()]
            self._members = [*working, (thread, end)]

    def wait(self, seconds: float) -> None:
        """Sleep until a thread has ended, or the time is over."""
        self._changed.wait(seconds)
        self._changed.clear()

    def working(self, name: str) -> bool:
        """Whether the thread of that name still runs."""
        return any(thread.name == name and thread.is_alive() for thread, _ in self._members)

    def stop(self) -> None:
        """End all threads, the last started first, and join them."""
        deadline = time.monotonic() + self._patience_seconds
        while self._members:
            thread, end = self._members.pop()
            end()
            share = (deadline - time.monotonic()) / (len(self._members) + 1)
            thread.join(max(0.05, share))
            if thread.is_alive():
                _log.debug("left %s behind", thread.name)

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the end of a thread: main raises it
            self._error = self._error or error
        finally:
            self._changed.set()
