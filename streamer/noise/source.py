"""Noise of one source: its levels by the minute, and events of loud noise."""

from collections.abc import Sequence

from ..events.catalogue import WatchedSound
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Event, NoiseLevels
from .frames import FrameMeter
from .loud import LoudNoise
from .minutes import Minutes

_OLD_SECONDS = 120.0
"""Age from which on a minute of noise is not the last one."""


class SourceNoise:
    """Measures the noise of one source, if anybody wants to know. It has one caller, the source's reader.

    Parameters
    ----------
    source : str
        Name of the source.
    measures : bool
        True if there are levels of each minute; without them, only a watched noise is detected.
    offset_db : float, optional
        Level in dB(A) of a sound of 0 dBFS, from a reference meter; it can be set at any time.

    Attributes
    ----------
    latest : NoiseLevels or None
        Levels of the last minute.
    """

    def __init__(self, source: str, *, measures: bool = False, offset_db: float | None = None) -> None:
        self.offset_db = offset_db
        self.latest: NoiseLevels | None = None
        self._measures = measures
        self._meter: FrameMeter | None = None
        self._minutes = Minutes(source)
        self._loud = LoudNoise(source)
        self._watched: WatchedSound | None = None
        self._anchor = 0.0

    def feed(self, chunk: AudioChunk, sounds: Sequence[WatchedSound]) -> list[NoiseLevels | Event]:
        """Add a chunk, and return the minutes that are over and the events of loud noise among watched sounds."""
        watched = next((entry for entry in sounds if entry.sound.is_by_level), None)
        messages: list[NoiseLevels | Event] = []
        messages += self._loud.watch(watched, self.offset_db)
        self._watched = watched
        if not self._measures and watched is None:
            self._meter = None
            return messages
        if self._meter is None:
            self._meter = FrameMeter(has_bands=self._measures)
        self._anchor = chunk.captured_at - chunk.start_sample / SAMPLE_RATE_HZ
        heard = self._meter.feed(chunk)
        for frames in heard.frames:
            messages += self._loud.feed(frames, self._anchor)
        if self._measures:
            self._minutes.add(heard)
            messages += self._close_minutes(chunk.start_sample + len(chunk.samples))
        return messages

    def newest(self, now: float | None) -> NoiseLevels | None:
        """Return the newest minute; None without one, or if it is old at a Unix time."""
        is_old = self.latest is not None and now is not None and now - self.latest.ended_at > _OLD_SECONDS
        return None if is_old else self.latest

    def finish(self) -> list[NoiseLevels | Event]:
        """Return what is left when the sound is interrupted: the end of a loud noise, and the part of a minute."""
        messages: list[NoiseLevels | Event] = []
        if self._meter is not None:
            heard = self._meter.finish()
            for frames in heard.frames:
                messages += self._loud.feed(frames, self._anchor)
            if self._measures:
                self._minutes.add(heard)
        messages += self._loud.close()
        if self._measures:
            messages += self._close_minutes(None)
        return messages

    def _close_minutes(self, position: int | None) -> list[NoiseLevels]:
        closed = self._minutes.close(anchor=self._anchor, offset_db=self.offset_db, position=position)
        if closed:
            self.latest = closed[-1]
        return closed
