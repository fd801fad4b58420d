"""Progress of downloads, on standard error."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from .. import standard_output

_log = logging.getLogger(__name__)

_observer: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Callable[[str, int, int], None]) -> Iterator[None]:
    """Give the progress of downloads in this thread to a function instead: repository, bytes fetched, and their total."""
    before = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(before)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the bytes fetched so far: a bar on a terminal; otherwise a log line for each tenth."""
    if (observer := _observer.get()) is not None:
        yield lambda done: observer(title, done, total)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _TenthsLogged(title, total)
        return
    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(
        TextColumn("{task.description}"),
        *columns,
        console=console,
        redirect_stdout=standard_output.is_shown(),
    ) as bars:
        task = bars.add_task(title.rpartition("/")[2], total=total)
        yield lambda done: bars.update(task, completed=done)


class _TenthsLogged:
    """Log a line for each tenth of a download."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._tenths = 0

    def __call__(self, done: int) -> None:
        tenths = 10 * done // self._total
        if tenths > self._tenths:
            self._tenths = tenths
            _log.info("%s: %d %% fetched", self._title, 10 * tenths)


def megabytes(count: int) -> str:
    """Format a number of bytes."""
    return f"{count / 1e6:.0f} MB"
