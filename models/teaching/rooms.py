"""Rooms: embeddings of what a microphone hears while no taught sound occurs, as negatives for taught sounds."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import TeachingError
from .other_sounds import OtherSounds, save

Floats = NDArray[np.float32]

_EVERY = 3
"""Windows of which one is collected: those a second apart are nearly the same."""
_MOST_WINDOWS = 3000
_NAME = "your room"


class RoomCollector:
    """Collects embeddings of windows (batch, width): a part of them, and of very many an even part.

    Parameters
    ----------
    fingerprint_of : callable
        Returns the fingerprint of the model; when workers have another one, the collection starts over.

    Attributes
    ----------
    fingerprint : str
        Fingerprint of the model of the newest windows.
    has_gaps : bool
        True if workers did not send the embeddings of some windows.
    """

    def __init__(self, fingerprint_of: Callable[[], str]) -> None:
        self._fingerprint_of = fingerprint_of
        self.fingerprint, self.has_gaps = "", False
        self._rows: list[Floats] = []
        self._seen, self._every = 0, _EVERY

    def __call__(self, embeddings: Floats) -> None:
        """Take the embeddings of the next windows; those that workers did not send are left out."""
        if self.fingerprint != (fingerprint := self._fingerprint_of()):
            self.fingerprint, self.has_gaps = fingerprint, False
            self._rows, self._seen, self._every = [], 0, _EVERY
        for row in embeddings:
            if row.size and np.isfinite(row).all():
                if self._seen % self._every == 0:
                    self._rows.append(row)
                self._seen += 1
            else:
                self.has_gaps = True
        if len(self._rows) > _MOST_WINDOWS:
            self._rows, self._every = self._rows[::2], 2 * self._every

    @property
    def embeddings(self) -> Sequence[Floats]:
        """Embeddings so far, each (width,)."""
        return self._rows


def save_room(folder: Path, room: RoomCollector) -> Path:
    """Save the embeddings that a model has of a room, in place of those of an earlier one; return their file.

    Raises
    ------
    TeachingError
        There are none, or they can't be written.
    """
    embeddings = room.embeddings
    if not embeddings:
        raise TeachingError(
            "the workers sent no embeddings, from which the room is made: update Earshot on them"
            if room.has_gaps
            else "nothing was heard in the room: listen for longer"
        )
    file = _file(folder, room.fingerprint)
    names = (_NAME,) * len(embeddings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save(file, OtherSounds(np.stack(embeddings), names))
        file.chmod(0o600)
    except OSError as error:
        raise TeachingError(
            f"{file} can't be written ({error.strerror}): make room, or check the folder's permissions"
        ) from error
    return file


def load_room(folder: Path, fingerprint: str) -> OtherSounds | None:
    """Return the room that was collected for the model with a fingerprint; None if none was, or its file can't be read."""
    with (
        suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        _file(folder, fingerprint).open("rb") as opened,
        np.load(opened, allow_pickle=False) as saved,
    ):
        return OtherSounds(saved["embeddings"].astype(np.float32), tuple(map(str, saved["names"])))
    return None


def _file(folder: Path, fingerprint: str) -> Path:
    return folder / f"room-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}.room"
