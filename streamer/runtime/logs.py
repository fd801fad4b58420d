"""Logging to standard error, with the priorities that systemd's journal reads (sd-daemon(3))."""

import functools
import logging
import os
from collections.abc import Mapping
from typing import TextIO

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


def configure_logging(*packages: str, debug: bool = False) -> None:
    """Log to standard error, one line a record, for people or for the journal.

    Parameters
    ----------
    packages : str
        Names of the loggers to show from level INFO; all others from WARNING.
    debug : bool
        Show these from level DEBUG, all others too, each line with its time and logger.
    """
    handler = logging.StreamHandler()
    formatter = JournalFormatter if is_journal(handler.stream) else logging.Formatter
    handler.setFormatter(formatter("%(asctime)s %(name)s %(message)s" if debug else "%(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    for name in packages:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)


@functools.lru_cache(maxsize=10_000)
def warn_once(logger: logging.Logger, sentence: str) -> None:
    """Log a warning, unless the same one has been logged before: training reads each recording many times."""
    logger.warning("%s", sentence)


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if a stream is connected to systemd's journal."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # the stream is closed, or no file of the system
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """Formatter that puts the priority before each line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, tracebacks included."""
        priority = next(
            (priority for level, priority in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY
        )
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
