"""Files as people name them, and the small ones among them, of which never more is read than they can have."""

import errno
import os
import tempfile
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


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Put a text in the place of a file at once, and wait until it is on the disk. What is missing of its folder is made for its owner.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        All that will be in it, as UTF-8; line ends stay as they are.
    mode : int
        Who may do what with it.

    Raises
    ------
    OSError
        It can't be written. What was there before is still there, and nothing else.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
