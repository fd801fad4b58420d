"""Standard output, beside a progress bar on standard error."""

import sys


def is_shown() -> bool:
    """Return True if standard output is on a terminal, where a bar has to make room for it; a file or a pipe is left alone."""
    return sys.stdout is not None and sys.stdout.isatty()
