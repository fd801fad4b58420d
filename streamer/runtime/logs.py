"""Lines for the journal: it sorts them by the priority that stands before each, as in sd-daemon(3)."""

import logging
import os
from collections.abc import Mapping
from typing import TextIO

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


def configure_logging(*packages: str, debug: bool = False) -> None:
    """Write what is logged to standard error, a line each, for people or for the journal.

    Parameters
    ----------
    packages : str
        Names of the loggers whose news are told; of all others, warnings only.
    debug : bool
        Whether everything is told, by whom and when.
    """
    handler = logging.StreamHandler()
    formatter = JournalFormatter if is_journal(handler.stream) else logging.Formatter
    handler.setFormatter(formatter("%(asctime)s %(name)s %(message)s" if debug else "%(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    for name in packages:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to a stream goes straight to systemd's journal."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is closed, or none of the system's
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JournalFormatter(logging.Formatter):
    """Puts its priority before each line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record, tracebacks included."""
        priority = next(
            (priority for level, priority in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY
        )
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
