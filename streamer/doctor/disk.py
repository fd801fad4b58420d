"""Checks of the disk: folders, free space, and the history."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from ..errors import SinkError
from ..sinks.history import database
from ..sinks.locks import has_locks, is_locked
from .result import CheckResult

_MIN_FREE_BYTES = 100_000_000
"""Free space that other programs may soon fill; a year of events needs less."""

_TEST_BYTES = 65_536


def check_history(path: Path | None) -> CheckResult:
    """Check that the history can be written and is not in use by another program, and count its events.

    Parameters
    ----------
    path : Path or None
        File, existing or not; None if the history is off.
    """
    check = "history"
    if path is None:
        return CheckResult(check, "skipped", "the history is off")
    folder = check_folder(check, path.parent)
    if folder.state == "failed" or not path.exists():
        return folder
    try:
        events, waiting = database.count_events(path)
        size_bytes = database.size_bytes(path)
        with path.open("r+b"):
            pass
    except SinkError as error:
        return CheckResult(check, "failed", f"{path} can't be used", str(error), folder.figures)
    except OSError as error:
        return CheckResult(
            check,
            "failed",
            f"{path} can't be written ({database.explain(error)})",
            "make it writable, or set history to another file",
            folder.figures,
        )
    found = f"{path}: {events} starts and ends of events, {waiting} of them wait for the broker, {_size(size_bytes)}"
    figures = {**folder.figures, "events": events, "waiting_events": waiting, "size_bytes": size_bytes}
    trouble = _trouble_with_locks(path)
    if trouble is not None:
        said, advice = trouble
        return CheckResult(check, "warning", f"{found}; {said}", advice, figures)
    return CheckResult(check, folder.state, f"{found}; {folder.found}", folder.advice, figures)


def _trouble_with_locks(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with the locks of a file, and what to do; None if nothing is."""
    if is_locked(path):
        return (
            "another Earshot is writing to it",
            "stop the other one, or set history to another file or to off",
        )
    if not has_locks(path):
        return (
            "its file system has no locks, so two machines could write it at the same time",
            "set history to a file on a local disk",
        )
    return None


def check_folder(check: str, folder: Path) -> CheckResult:
    """Check that files can be written in a folder, or in the place where it will be created, and that there is free space.

    Parameters
    ----------
    check : str
        Name of the check.
    folder : Path
        Folder, existing or not.
    """
    try:
        place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * _TEST_BYTES)
            file.flush()
            os.fsync(file.fileno())
        free_bytes = shutil.disk_usage(place).free
    except OSError as error:
        return CheckResult(
            check,
            "failed",
            f"{folder} can't be written ({database.explain(error)})",
            "free some space, allow this user to write there, or set another folder",
        )
    figures: dict[str, Any] = {"folder": str(folder), "free_bytes": free_bytes}
    found = f"{_size(free_bytes)} free in {place}"
    if free_bytes < _MIN_FREE_BYTES:
        return CheckResult(
            check, "warning", f"only {found}", "free some space, or set another folder", figures
        )
    if others_may(place, 0o022) and not place.stat().st_mode & stat.S_ISVTX:
        return CheckResult(
            check,
            "warning",
            f"{found}, where other users can replace files",
            f"run chmod go-w {place}",
            figures,
        )
    return CheckResult(check, "ok", found, figures=figures)


def others_may(path: Path, bits: int) -> bool:
    """Return True if a file or folder gives its group or everyone one of these permissions; False if unknown."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & bits)
    except OSError:
        return False


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
