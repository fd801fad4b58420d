"""Whether what is kept can be kept: folders, room, and the history."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from ..errors import SinkError
from ..sinks.history import database
from ..sinks.history.store import is_being_written
from .result import CheckResult

_LITTLE_BYTES = 100_000_000
"""What else is written to the disk takes so much in no time; a year of events is smaller."""

_TRIAL_BYTES = 65_536


def check_history(path: Path | None) -> CheckResult:
    """See whether the history can be written, what is in it, and whether somebody else writes it.

    Parameters
    ----------
    path : Path or None
        The file, which need not be there yet; None where no history is kept.
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
            "make it writable, or give history another name",
            folder.figures,
        )
    found = (
        f"{path}: {events} beginnings and ends, {waiting} of them wait for the broker, {_size(size_bytes)}"
    )
    figures = {**folder.figures, "events": events, "waiting_events": waiting, "size_bytes": size_bytes}
    if is_being_written(path):
        return CheckResult(
            check,
            "warning",
            f"{found}; another Earshot is writing it",
            "stop the other one, or set history to another file, or to off: one at a time can keep it",
            figures,
        )
    return CheckResult(check, folder.state, f"{found}; {folder.found}", folder.advice, figures)


def check_folder(check: str, folder: Path) -> CheckResult:
    """See whether files can be written in a folder, or where it will be made, and whether there is room.

    Parameters
    ----------
    check : str
        What the folder is for.
    folder : Path
        It need not be there yet.
    """
    try:
        place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0" * _TRIAL_BYTES)
            file.flush()
            os.fsync(file.fileno())
        free_bytes = shutil.disk_usage(place).free
    except OSError as error:
        return CheckResult(
            check,
            "failed",
            f"{folder} can't be written ({database.explain(error)})",
            "make room there, let this user write there, or set another place",
        )
    figures: dict[str, Any] = {"folder": str(folder), "free_bytes": free_bytes}
    found = f"{_size(free_bytes)} are free in {place}"
    if free_bytes < _LITTLE_BYTES:
        return CheckResult(
            check, "warning", f"only {found}", "make room there, or set another place", figures
        )
    if others_may(place, 0o022) and not place.stat().st_mode & stat.S_ISVTX:
        return CheckResult(
            check,
            "warning",
            f"{found}, where others on this machine can replace files",
            f"run chmod go-w {place}",
            figures,
        )
    return CheckResult(check, "ok", found, figures=figures)


def others_may(path: Path, bits: int) -> bool:
    """Whether a file or folder gives its group or everyone one of these permissions; False where nobody can tell."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & bits)
    except OSError:
        return False


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
