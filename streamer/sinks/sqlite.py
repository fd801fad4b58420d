"""Helpers for SQLite files: private to their owner, readable while another process writes them."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from .locks import has_locks

_EARLIEST, _LATEST = -62_000_000_000, 253_000_000_000
"""Unix times that `datetime` can represent: the years 5 to 9987."""


def create_private(path: Path) -> None:
    """Create a file that only its owner can read, unless it exists.

    Raises
    ------
    OSError
        The file can't be created or written.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def open_to_write(path: Path, *, timeout_seconds: float) -> sqlite3.Connection:
    """Open a file in autocommit mode, for any thread, one at a time.

    Where the file system has no locks, the caller makes sure that no other program writes.

    Parameters
    ----------
    path : Path
        The file; it is created if missing.
    timeout_seconds : float
        Longest wait for a lock of another process.

    Raises
    ------
    sqlite3.Error, OSError
        The file can't be opened.
    """
    create_private(path)
    locks = has_locks(path)
    connection = sqlite3.connect(
        f"{_uri(path)}?mode=rw{'' if locks else '&vfs=unix-none'}",
        uri=True,
        timeout=timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    if not locks:
        connection.execute(
            "PRAGMA locking_mode = EXCLUSIVE"
        )  # the only mode in which SQLite can leave WAL without locks
    return connection


def set_journal(connection: sqlite3.Connection) -> None:
    """Let readers read while the file is written, if its file system has the locks that this needs."""
    (mode,) = connection.execute("PRAGMA locking_mode").fetchone()
    connection.execute(f"PRAGMA journal_mode = {'DELETE' if mode == 'exclusive' else 'WAL'}")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file read-only.

    Raises
    ------
    sqlite3.Error, OSError
        The file can't be opened.
    """
    return sqlite3.connect(f"{_uri(path)}?mode=ro{'' if has_locks(path) else '&immutable=1'}", uri=True)


def identity(path: Path) -> tuple[int, ...] | None:
    """Return numbers that differ between a file, another one in its place, and another content; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _uri(path: Path) -> str:
    return f"file:{quote(os.fsencode(path))}"


def identify(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the application's identifier and the version of the schema."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def is_time(value: object) -> bool:
    """Return True for a Unix time that `datetime` can represent."""
    return isinstance(value, (int, float)) and _EARLIEST < value < _LATEST


def storable(text: str) -> str:
    """Replace unpaired surrogates, as in the name of a file that is not UTF-8: SQLite can't store them."""
    return text.encode("utf-8", "replace").decode("utf-8")
