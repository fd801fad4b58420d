"""Locks of files that only one program writes: the only importer of filelock."""

import errno
import os
import struct
import threading
from contextlib import suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_HELD = {errno.EAGAIN, errno.EACCES}

_CLAIM_POSITION = 1 << 40
"""Position of the byte that is locked in the file itself: far beyond its end, and beyond the bytes that SQLite locks."""

try:
    import fcntl
except ImportError:  # Windows, where nobody can delete an open file
    _posix = False
else:
    _posix = True

_probing = threading.Lock()
_lockable: dict[tuple[int, int], bool] = {}
"""Files that were probed, by device and inode."""


class HeldError(Exception):
    """Another program holds the lock."""


class WriterLock:
    """Lock that the only writer of a file holds.

    It is a lock on a file beside it and, on Linux, on a byte of the file itself, because anybody may delete the one beside it.
    Where the file system has no locks, a file with the number of the process takes their place.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: BaseFileLock | None = None
        self._claim: int | None = None

    def acquire(self) -> None:
        """Lock the file, which must exist, unless it is locked.

        Raises
        ------
        HeldError
            Another program holds the lock.
        OSError
            The lock can't be created.
        """
        if self._lock is not None:
            return
        self._lock = _lock_beside(self._path)
        try:
            self._lock.acquire()
            self._claim = _claim(self._path)
        except (Timeout, BlockingIOError) as error:
            self.release()
            raise HeldError from error
        except BaseException:
            self.release()
            raise

    def renew(self) -> None:
        """Make the file beside it again, if somebody has deleted it.

        Raises
        ------
        HeldError
            Another program holds the lock meanwhile.
        OSError
            The file can't be created.
        """
        if self._lock is None or Path(self._lock.lock_file).exists():
            return
        with suppress(OSError):
            self._lock.release(force=True)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise HeldError from error

    def release(self) -> None:
        """Unlock the file, if it is locked."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
        if self._lock is not None:
            with suppress(OSError):
                self._lock.release(force=True)
            self._lock = None


def is_locked(path: Path) -> bool:
    """Return True if a program holds the lock of a file."""
    if not path.exists():
        return False
    lock = WriterLock(path)
    try:
        lock.acquire()
    except HeldError:
        return True
    except OSError:
        return False
    lock.release()
    return False


def has_locks(path: Path) -> bool:
    """Return True if a file can be locked; some network file systems have no locks.

    The file is opened for it only once: when a process closes a file, it loses all its POSIX locks of it, also those by which SQLite keeps
    other programs from deleting the log of changes that it has open.

    Raises
    ------
    OSError
        The file does not exist, or can't be read.
    """
    if not _posix:
        return True
    status = path.stat()
    file = status.st_dev, status.st_ino
    with _probing:
        if file not in _lockable:
            _lockable[file] = _takes_locks(path)
        return _lockable[file]


def _takes_locks(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _CLAIM_POSITION)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS
    finally:
        os.close(file)
    return True


def _lock_beside(path: Path) -> BaseFileLock:
    if has_locks(path):
        return FileLock(f"{path}.lock", timeout=0, mode=0o600, thread_local=False)
    return SoftFileLock(f"{path}.pid", timeout=0, mode=0o600, thread_local=False)


def _claim(path: Path) -> int | None:
    """Lock a byte of the file until the returned descriptor is closed; None where there are no such locks.

    Raises
    ------
    BlockingIOError
        Another program has locked it.
    """
    if not _posix or not hasattr(fcntl, "F_OFD_SETLK"):
        return None
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        # Not the locks of `fcntl.lockf`: they are lost when the process closes any descriptor of the file.
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _CLAIM_POSITION, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, wanted)
    except OSError as error:
        os.close(file)
        if error.errno in _HELD:
            raise BlockingIOError(error.errno, "locked") from error
        return None
    return file
