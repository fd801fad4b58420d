"""Folder of clips: their names, private files, and the deletion of old ones."""

import logging
import os
import re
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ...errors import SinkError
from ...messages import Event
from ...runtime.timing import Every
from ...text import slug

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_QUIET_SECONDS = 60.0
_PRUNING_SECONDS = 3600.0
_LONGEST_SLUG = 64
_UNFINISHED = ".part"
_KEPT = ".keep"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FILE = re.compile(r"(\d{9}-[a-z0-9_]+-[a-z0-9_]+-[a-z0-9]{1,8})\.(flac|json|keep)(\.part)?")


def keep_clip(path: Path, keep: bool) -> None:
    """Protect a clip from being deleted because of age or size, or no longer: an empty file beside it says so.

    Parameters
    ----------
    path : Path
        The FLAC file.
    keep : bool
        True to protect the clip.

    Raises
    ------
    SinkError
        The folder can't be written.
    """
    marker = path.with_suffix(_KEPT)
    try:
        if keep:
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
        else:
            marker.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"{marker} can't be written or deleted ({error.strerror})") from error


def delete_clip(path: Path) -> None:
    """Delete the files of a clip.

    Parameters
    ----------
    path : Path
        The FLAC file; it may be missing.

    Raises
    ------
    SinkError
        A file can't be deleted.
    """
    try:
        for suffix in (".json", ".flac", _KEPT):  # the sign last: until then, nothing else deletes a part
            path.with_suffix(suffix).unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"the clip {path} can't be deleted ({error.strerror})") from error
    with suppress(OSError):
        path.parent.rmdir()


class ClipFolder:
    """Writes clips, a FLAC file and a JSON file each, into a folder per day, and deletes the oldest ones.

    Names start with the UTC time at which the sound started. A file gets its name when all of it is on the disk, the FLAC file
    first. Files with other names, and links, are left alone. So are clips that `keep_clip` protects; their size does not count.

    On a full or read-only disk, clips are lost; this is logged.

    Parameters
    ----------
    path : Path
        Folder of the clips; if missing, it is created for its owner only.
    days : float
        Maximum age of clips.
    max_bytes : int
        Maximum size of all clips; the newest is kept even if it is larger.
    """

    def __init__(self, path: Path, *, days: float, max_bytes: int) -> None:
        self._path = path.absolute()
        self._keep_seconds = days * _DAY_SECONDS
        self._most_bytes = max_bytes
        self._bytes = 0
        self._pruning_due = Every(_PRUNING_SECONDS)
        self._failure_line_due = Every(_QUIET_SECONDS)
        try:
            _make_private(self._path)
        except OSError as error:
            self._note_failure(error)
        self.prune_if_due()

    def name(self, event: Event) -> Path:
        """Return the absolute path of an event's FLAC file."""
        began = datetime.fromtimestamp(event.started_at, UTC)
        source, sound = (slug(name)[:_LONGEST_SLUG] for name in (event.source, event.label))
        stem = f"{_stamp(began)}-{source}-{sound}-{event.id[:8]}"
        return self._path / f"{began:%Y-%m-%d}" / f"{stem}.flac"

    def write(self, path: Path, flac: bytes, json: str) -> bool:
        """Write a clip to the path that `name` returned; return False if that failed."""
        files = {path: flac, path.with_suffix(".json"): f"{json}\n".encode()}
        size = sum(map(len, files.values()))
        if self._bytes + size > self._most_bytes:
            self._prune(room=size)
        unfinished = {file: file.with_name(file.name + _UNFINISHED) for file in files}
        try:
            _make_private(path.parent)
            for file, content in files.items():
                _write_private(unfinished[file], content)
            for file, part in unfinished.items():
                part.replace(file)
        except OSError as error:
            for file in (*files, *unfinished.values()):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            self._note_failure(error)
            return False
        self._bytes += size
        return True

    def prune_if_due(self) -> None:
        """Delete clips that are too old or too many, at most once an hour."""
        if self._pruning_due.due():
            self._prune()

    def _prune(self, room: int = 0) -> None:
        """Delete all clips that are too old, and the oldest ones until `room` bytes are free within the limit."""
        try:
            clips = self._clips()
            sizes = {name: sum(file.stat().st_size for file in files) for name, files in clips.items()}
        except FileNotFoundError:
            return  # the folder does not exist yet, or another process deleted a clip
        except OSError as error:
            self._note_failure(error)
            return
        self._bytes = sum(sizes.values())
        oldest = datetime.fromtimestamp(max(0.0, time.time() - self._keep_seconds), UTC)
        for name in sorted(clips):
            if name >= f"{oldest:%Y-%m-%d}/{_stamp(oldest)}" and self._bytes + room <= self._most_bytes:
                return
            try:
                _delete(clips[name])
                self._bytes -= sizes[name]
            except OSError as error:
                self._note_failure(error)

    def _clips(self) -> dict[str, list[os.DirEntry[str]]]:
        """Return the files of each clip that may be deleted, by day and name."""
        clips = defaultdict(list)
        for day in _entries(self._path):
            if _DAY.fullmatch(day.name) and day.is_dir(follow_symlinks=False):
                for file in _entries(day):
                    match = _FILE.fullmatch(file.name)
                    if match and file.is_file(follow_symlinks=False):
                        clips[f"{day.name}/{match[1]}"].append(file)
        return {
            name: files
            for name, files in clips.items()
            if not any(file.name.endswith(_KEPT) for file in files)
        }

    def _note_failure(self, error: OSError) -> None:
        if self._failure_line_due.due():
            _log.warning(
                "clips in %s: can't be written or deleted (%s); listening goes on without them. Make room, or set "
                "clips_folder to another folder",
                self._path,
                (error.strerror or str(error)).lower(),
            )


def _stamp(time: datetime) -> str:
    """Return the time of day as nine digits, so that names sort by time."""
    return f"{time:%H%M%S}{time.microsecond // 1000:03}"


def _make_private(folder: Path) -> None:
    """Create a folder and its missing parents for the owner only."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file for the owner only, and wait until it is on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _entries(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _delete(files: list[os.DirEntry[str]]) -> None:
    """Delete the files of a clip, the JSON file first, and the day's folder if it is empty."""
    paths = sorted(map(Path, files), reverse=True)
    for path in paths:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        paths[0].parent.rmdir()
