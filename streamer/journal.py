"""Lines for the journal: it sorts them by the priority that stands before each, as in sd-daemon(3)."""

import logging
import os
from collections.abc import Mapping
from typing import TextIO

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


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
