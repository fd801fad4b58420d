"""Thresholds for a room: above what the model hears in it when nothing happens."""

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..events.catalogue import WatchedSound, default_threshold
from ..events.detector import EventDetector
from ..events.watchlist import WatchLists
from ..messages import (
    SAMPLE_RATE_HZ,
    Message,
    SourceStatus,
    Tagging,
)
from ..settings.file import difference, read, with_thresholds

_MARGIN = 1.25
"""How far a threshold stays above the background: its odds, over those of the highest score."""
_STEP = 0.001
_HIGHEST = 0.95


@dataclass(slots=True)
class BackgroundStats:
    """What the background has to do with one sound.

    Attributes
    ----------
    watched : WatchedSound
        The sound, and its present thresholds.
    events : int
        How often it would have been told.
    reached : float
        The highest threshold with which it would have been told at all.
    source, at : str, float
        Where and when (Unix time in seconds) that was.
    """

    watched: WatchedSound
    events: int = 0
    reached: float = 0.0
    source: str = ""
    at: float = math.nan

    @property
    def threshold(self) -> float:
        """The lowest of its classes' present thresholds."""
        return min(self.watched.thresholds)

    @property
    def is_hopeless(self) -> bool:
        """Whether hardly any threshold is above the background."""
        return self._above() > _HIGHEST

    def proposal(self, *, lower: bool = False) -> float | None:
        """Propose a threshold just above the background; None if the present one shall stay.

        Parameters
        ----------
        lower : bool
            Whether to lower thresholds too, at most to what the sound has in the catalogue.
        """
        if self.events:
            return min(self._above(), _HIGHEST)
        wanted = max(self._above(), default_threshold(self.watched.sound.name))
        return wanted if lower and wanted < round(self.threshold, 3) else None

    def _above(self) -> float:
        """Return a threshold just above what was reached."""
        odds = _MARGIN * self.reached / max(1.0 - self.reached, 1e-9)
        return round(math.ceil(round(odds / (1.0 + odds) / _STEP, 3)) * _STEP, 3)


class Room:
    """A sink that listens to a room in which nothing happens that is watched for.

    Parameters
    ----------
    sounds : sequence of WatchedSound
        For which to propose thresholds. They hold for all sources that it is told of: the loudest background counts.
    """

    def __init__(self, sounds: Sequence[WatchedSound]) -> None:
        self._sounds = sounds
        self._lock = threading.Lock()  # guards what follows
        self._ears: dict[str, _Ears] = {}
        self._heard = {entry.sound.name: BackgroundStats(entry) for entry in sounds}
        self._windows = 0
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """How much sound was listened to, of all sources together."""
        return self._seconds

    @property
    def windows(self) -> int:
        """How many taggings that were."""
        return self._windows

    def accept(self, message: Message) -> None:
        """Take a tagging; a source that ends, or is switched off, begins anew."""
        with self._lock:
            match message:
                case Tagging():
                    self._take(message)
                case SourceStatus(source=source, online=False):
                    self._ears.pop(source, None)

    def heard(self) -> list[BackgroundStats]:
        """Say what was heard so far, sound by sound."""
        with self._lock:
            return list(self._heard.values())

    def proposals(self, *, lower: bool = False) -> dict[str, float]:
        """Return the thresholds that are proposed, by the sound's name; `lower` as for `BackgroundStats.proposal`."""
        return {
            entry.watched.sound.name: threshold
            for entry in self.heard()
            if (threshold := entry.proposal(lower=lower)) is not None
        }

    def _take(self, tagging: Tagging) -> None:
        ears = self._ears.get(tagging.source)
        if ears is None:
            ears = self._ears[tagging.source] = _Ears(self._sounds, tagging.start_sample)
        self._windows += 1
        self._seconds += (tagging.end_sample - ears.heard_until) / SAMPLE_RATE_HZ
        ears.heard_until = tagging.end_sample
        for event in ears.detector.feed(tagging):
            self._heard[event.label].events += event.kind == "started"
        for entry, newest in zip(self._sounds, ears.newest, strict=True):
            newest.append(entry.score(tagging.scores))
            reached = sorted(newest)[-entry.sound.hits] if len(newest) >= entry.sound.hits else 0.0
            heard = self._heard[entry.sound.name]
            if reached > heard.reached:
                heard.reached, heard.source, heard.at = reached, tagging.source, tagging.ended_at


class _Ears:
    """What is kept of one source: its detector, and the newest scores of each sound."""

    def __init__(self, sounds: Sequence[WatchedSound], heard_until: int) -> None:
        self.detector = EventDetector(sounds)
        self.newest: list[deque[float]] = [deque(maxlen=entry.sound.of) for entry in sounds]
        self.heard_until = heard_until


class ThresholdCalibrator:
    """A sink that tells each room of the sources that its list holds for.

    Parameters
    ----------
    watchlists : WatchLists
        For which to propose thresholds.
    """

    def __init__(self, watchlists: WatchLists) -> None:
        self._lists = watchlists
        self._shared = Room(watchlists.shared.sounds)
        self._own = {source: Room(sounds) for source, sounds in watchlists.sound_overrides.items()}

    @property
    def seconds(self) -> float:
        """How much sound was listened to, of all sources together."""
        return sum(room.seconds for room in (self._shared, *self._own.values()))

    @property
    def heard(self) -> Mapping[str | None, Room]:
        """Where something was heard: by the source whose list it is, None for the list that others share."""
        rooms: list[tuple[str | None, Room]] = [(None, self._shared), *self._own.items()]
        return {source: room for source, room in rooms if room.windows}

    def accept(self, message: Message) -> None:
        """Take a tagging, or that a source has ended or is switched off."""
        if isinstance(message, Tagging | SourceStatus):
            self._own.get(message.source, self._shared).accept(message)

    def change_of_settings(self, file: Path, *, lower: bool = False) -> tuple[str, str]:
        """Say how the settings file changes where the proposals are taken.

        Parameters
        ----------
        file : Path
            The settings file, which need not be there.
        lower : bool
            As for `BackgroundStats.proposal`.

        Returns
        -------
        text, diff : str
            The file's new text, and what changes in it as a unified diff, empty if nothing does.

        Raises
        ------
        SettingsError
            The file can't be read, or has no table for a source's own list.
        """
        text = before = read(file)
        for source, room in self.heard.items():
            proposals = room.proposals(lower=lower)
            if proposals:
                watchlist = self._lists.shared if source is None else self._lists.of(source)
                text = with_thresholds(
                    text, proposals, list(watchlist.rules), watchlist.name_of, source=source
                )
        return text, difference(before, text, file)
