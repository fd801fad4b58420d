"""Progress of downloads, on standard error."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

_log = logging.getLogger(__name__)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the bytes fetched so far: a bar on a terminal; otherwise a log line for each tenth."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _TenthsLogged(title, total)
        return
    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bars:
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
