"""Progress of the commands on standard error: a bar on a terminal, elsewhere a line now and then."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a task; the block calls the result with what is done and the total."""
    with bars() as update:
        yield lambda done, total: update(title, done, total)


@contextmanager
def bars() -> Iterator[Callable[[str, float, float], None]]:
    """Show the progress of a task in parts; the block calls the result with the name of the part, what is done and the total."""
    from rich.console import Console
    from rich.progress import Progress

    from models import standard_output

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Tenths()
        return
    with Progress(console=console, transient=True, redirect_stdout=standard_output.is_shown()) as shown:
        task = shown.add_task("", total=None)
        yield lambda part, done, total: shown.update(task, description=part, completed=done, total=total)


class Tenths:
    """Log of a task in parts, with a line for the beginning and each tenth of a part."""

    def __init__(self) -> None:
        self._last = ("", 0)

    def __call__(self, part: str, done: float, total: float, figures: str = "") -> None:
        """Log a line if another tenth is done."""
        now = part, int(10 * done / total) if total else 0
        if now != self._last:
            self._last = now
            _log.info("%s: %d %%%s", part, 10 * now[1], figures and f", {figures}")
