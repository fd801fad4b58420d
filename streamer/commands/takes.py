"""Takes of the command ``teach``: single sounds that a person makes when asked, found in what the microphone hears."""

import time
from collections.abc import Iterable, Iterator

import numpy as np

from ..errors import SourceError
from ..levels import level_dbfs
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples

COUNTDOWN_SECONDS = 3.0
_PATIENCE_SECONDS = 12.0
"""Time for the sound to begin."""
_LONGEST_SECONDS = 10.0
_QUIET_SECONDS = 1.2
"""Quiet after which the sound is over."""
_BEFORE_SECONDS = 0.5
"""Sound before the beginning that belongs to a take."""
_ABOVE_DB = 10.0
_FAINTEST_DBFS = -60.0
_FRAME = SAMPLE_RATE_HZ // 20
_WAITED_SECONDS = 0.02
"""Time after which a frame is a new one: one that waits is there at once."""


class Frames:
    """Frames of 50 ms of a source's chunks; what is lost is left out.

    Parameters
    ----------
    chunks : iterable of AudioChunk
        Chunks of a source.

    Raises
    ------
    SourceError
        The source has ended; while the frames are read.
    """

    def __init__(self, chunks: Iterable[AudioChunk]) -> None:
        self._frames = _frames(chunks)

    def read(self, seconds: float) -> Iterator[Samples]:
        """Yield the frames of a time."""
        for _ in range(round(seconds * SAMPLE_RATE_HZ / _FRAME)):
            frame = next(self._frames, None)
            if frame is None:
                raise SourceError("the source has ended before all sounds were heard: choose a live one")
            yield frame

    def skip_waiting(self, most_seconds: float) -> None:
        """Skip the frames that came meanwhile: those that are there without waiting, at most as many as in a time."""
        for _ in range(round(most_seconds * SAMPLE_RATE_HZ / _FRAME)):
            began = time.monotonic()
            next(self._frames, None)
            if time.monotonic() - began > _WAITED_SECONDS:
                return


class Take:
    """Sound that begins when it stands out from the background, and ends when it is quiet again.

    Parameters
    ----------
    background_dbfs : float
        Level of the room.
    """

    def __init__(self, background_dbfs: float) -> None:
        self._limit = max(background_dbfs + _ABOVE_DB, _FAINTEST_DBFS)
        self._frames: list[Samples] = []
        self._last: int | None = None
        self.began = False

    def write(self, frame: Samples) -> bool:
        """Take the next frame; return True if the sound is over, or does not begin."""
        self._frames.append(frame)
        if level_dbfs(frame) >= self._limit:
            if not self.began:
                before = round(_BEFORE_SECONDS * SAMPLE_RATE_HZ / _FRAME)
                self._frames = self._frames[-before - 1 :]
                self.began = True
            self._last = len(self._frames)
        seconds = len(self._frames) * _FRAME / SAMPLE_RATE_HZ
        if not self.began:
            return seconds >= _PATIENCE_SECONDS
        quiet = (len(self._frames) - (self._last or 0)) * _FRAME / SAMPLE_RATE_HZ
        return quiet >= _QUIET_SECONDS or seconds >= _LONGEST_SECONDS

    @property
    def samples(self) -> Samples:
        """The sound, with a little before and after it: float32 (n,)."""
        return np.concatenate(self._frames) if self._frames else np.zeros(0, np.float32)


def background_level(frames: Iterable[Samples]) -> float:
    """Return the level of a room: the median of the levels of frames."""
    return float(np.median([level_dbfs(frame) for frame in frames]))


def _frames(chunks: Iterable[AudioChunk]) -> Iterator[Samples]:
    rest = np.zeros(0, np.float32)
    for chunk in chunks:
        rest = np.concatenate((rest, chunk.samples))
        whole = len(rest) // _FRAME
        yield from rest[: whole * _FRAME].reshape(whole, _FRAME)
        rest = rest[whole * _FRAME :]
