"""Standard output and standard error that any program may have closed, and any terminal may show."""

import io
import os
import sys
from typing import TextIO

_STANDARD_DESCRIPTORS = (0, 1, 2)


def prepare() -> None:
    """Make all text printable, and replace streams that are closed by ones that go nowhere.

    Characters that an encoding such as ASCII lacks are printed as ``?``; on Windows, what goes into a file or to another program is UTF-8.
    Without the descriptors of closed streams, the next file that the program opens would get theirs, and what libraries print would end up
    in it.
    """
    for descriptor in _STANDARD_DESCRIPTORS:
        _ensure_open(descriptor)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if sys.platform == "win32" and isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _ensure_open(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - open as long as the program
