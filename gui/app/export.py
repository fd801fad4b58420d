"""Saves the window as a picture and the events as a table."""

import csv
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from PySide6.QtWidgets import QWidget

from streamer.messages import Event

from ..errors import ActionError

_FIELDS = ("started_at", "ended_at", "source", "sound", "score", "clip", "confirmed", "fast_score")


def save_picture(window: QWidget, folder: Path) -> Path:
    """Save a window as a PNG in a folder; return the file.

    Raises
    ------
    ActionError
        The file can't be written.
    """
    path = _new_file(folder, "png")
    if not window.grab().save(str(path)):
        raise ActionError(
            f"{path} can't be written; check the folder's permissions and the space on the disk"
        )
    return path


def save_events(events: Iterable[Event], folder: Path) -> Path:
    """Save events as a CSV file in a folder, with times in UTC; return the file.

    Raises
    ------
    ActionError
        The file can't be written.
    """
    path = _new_file(folder, "csv")
    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            table = csv.writer(file)
            table.writerow(_FIELDS)
            table.writerows(_row(event) for event in events)
    except OSError as error:
        raise ActionError(
            f"{path} can't be written ({error.strerror}); check the folder's permissions and the space on the disk"
        ) from error
    return path


def _row(event: Event) -> tuple[str, ...]:
    ended = "" if event.ended_at is None else _iso(event.ended_at)
    fast_score = "" if event.fast_score is None else f"{event.fast_score:.3f}"
    return (
        _iso(event.started_at),
        ended,
        event.source,
        event.label,
        f"{event.score:.3f}",
        event.clip or "",
        str(event.confirmed),
        fast_score,
    )


def _iso(time_seconds: float) -> str:
    return datetime.fromtimestamp(time_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_file(folder: Path, suffix: str) -> Path:
    """Create the folder if necessary, and return an unused file name in it."""
    stem = time.strftime("earshot-%Y%m%d-%H%M%S")
    names = (f"{stem}{count}.{suffix}" for count in ("", *(f"-{number}" for number in range(2, 1000))))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return next(path for name in names if not (path := folder / name).exists())
    except OSError as error:
        raise ActionError(
            f"the folder {folder} can't be used ({error.strerror}); check its permissions"
        ) from error
