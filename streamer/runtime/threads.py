"""Threads that end together. The first error is raised in the main thread."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)


class _Member(threading.Thread):
    """Thread of a `ThreadGroup`."""


def threads_remain() -> bool:
    """Return True if a thread is still running after its group was stopped.

    If it returns from native code while the interpreter shuts down, the process crashes.
    """
    return any(isinstance(thread, _Member) for thread in threading.enumerate())


class ThreadGroup:
    """Threads that are stopped together, the last started first, within a time limit.

    Leaving the ``with`` block stops all threads and raises the first error of any of them.

    Parameters
    ----------
    timeout_seconds : float
        Time limit for all threads together. A thread that is still busy then is abandoned: threads are daemons, so
        they don't keep the process alive.
    """

    def __init__(self, timeout_seconds: float = 1.8) -> None:
        self._timeout_seconds = timeout_seconds
        self._members: list[tuple[threading.Thread, Callable[[], None], float]] = []
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
        """True if a thread has ended with an error."""
        return self._error is not None

    def start(
        self, name: str, run: Callable[[], None], stop: Callable[[], None], *, patience_seconds: float = 0.0
    ) -> None:
        """Start a thread.

        Parameters
        ----------
        name : str
            Name of the thread.
        run : callable
            Body of the thread; an exception is kept for the main thread.
        stop : callable
            Makes `run` return soon; called from the main thread, any number of times.
        patience_seconds : float
            Time to wait for the end of this thread, if that is longer than its share of the time limit: others need its last
            results.
        """
        thread = _Member(target=self._run, args=(run,), name=name, daemon=True)
        with self._starting:
            thread.start()
            running = [member for member in self._members if member[0].is_alive()]
            self._members = [*running, (thread, stop, patience_seconds)]

    def wait(self, seconds: float) -> None:
        """Sleep until a thread ends, at most for this time."""
        self._changed.wait(seconds)
        self._changed.clear()

    def is_running(self, name: str) -> bool:
        """Return True if a thread of this name is running."""
        return any(thread.name == name and thread.is_alive() for thread, *_ in self._members)

    def stop(self) -> None:
        """Stop and join all threads, the last started first."""
        deadline = time.monotonic() + self._timeout_seconds
        while self._members:
            thread, stop, patience_seconds = self._members.pop()
            stop()
            began = time.monotonic()
            share = (deadline - began) / (len(self._members) + 1)
            thread.join(max(0.05, share, patience_seconds))
            deadline += max(0.0, time.monotonic() - began - max(0.0, share))  # the others don't lose theirs
            if thread.is_alive():
                _log.debug("abandoned the thread %s, which is still busy", thread.name)

    def _run(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - the end of a thread: the main thread raises it
            self._error = self._error or error
        finally:
            self._changed.set()
