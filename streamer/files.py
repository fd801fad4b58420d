"""Files as people name them, and the small ones among them, of which never more is read than they can have."""

import errno
import os
from pathlib import Path

_MOST_BYTES = 256 * 1024


def expanded(path: Path) -> Path:
    """Put the home of a user in the place of ``~``; where this machine knows no such user, it is a name like others."""
    try:
        return path.expanduser()
    except (RuntimeError, ValueError):
        return path


def read_text(path: Path) -> str:
    """Read a small file of text as it is, line ends included.

    Raises
    ------
    OSError
        It can't be read, no file can have that name, or it is too large, as a device that never ends is.
    UnicodeDecodeError
        It is no UTF-8.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content.decode("utf-8")
