"""Small text files: names with ``~``, reading with a size limit, replacing at once."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

_MAX_BYTES = 256 * 1024


def expanded(path: Path) -> Path:
    """Replace a leading ``~`` by the home folder; a path with an unknown user stays unchanged."""
    try:
        return path.expanduser()
    except (RuntimeError, ValueError):
        return path


def read_text(path: Path, most_bytes: int = _MAX_BYTES) -> str:
    """Read a text file of limited size without changing its line ends; a byte order mark, which Windows' editors write, is left out.

    Raises
    ------
    OSError
        The file can't be read, the name is invalid, or the file is too large (also an endless device).
    UnicodeDecodeError
        The file is not UTF-8.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content.decode("utf-8-sig")


def is_file(path: str | Path) -> bool:
    """Return True for a file; False also where its disk is away, or its folder can't be read."""
    return os.path.isfile(path)  # noqa: PTH113 - `Path.is_file` raises an error then


def replace_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file's content in one step, and wait until it is on the disk. Its owner stays, as far as this is permitted.

    Missing folders are created for their owner only.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        New content, written as UTF-8 with its line ends unchanged.
    mode : int
        Permissions of the file.

    Raises
    ------
    OSError
        The file can't be written. The old file is unchanged, and no temporary file remains.
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
        # There may be no file yet, no right to give one away, or no owners on this system.
        with suppress(OSError, AttributeError):
            owner = path.stat()
            os.chown(part, owner.st_uid, owner.st_gid)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
