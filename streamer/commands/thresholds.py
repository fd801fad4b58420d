"""Calibration of thresholds: just above the scores that a room's background noise reaches."""

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
from ..settings.file import difference, read, watched_in, with_rules

_MARGIN = 1.25
"""Odds of a threshold over the odds of the highest score of the background."""
_STEP = 0.001
_HIGHEST = 0.95


@dataclass(slots=True)
class BackgroundStats:
    """Scores of one sound on the background.

    Attributes
    ----------
    watched : WatchedSound
        The sound and its current thresholds.
    events : int
        Number of events with these thresholds, all of them false.
    reached : float
        Highest threshold that would have caused an event.
    false : float
        The same among the scores that reach the current thresholds of their classes: a minimum above it prevents all events.
    source, at : str, float
        Source and Unix time in seconds of `highest`.
    """

    watched: WatchedSound
    events: int = 0
    reached: float = 0.0
    false: float = 0.0
    source: str = ""
    at: float = math.nan

    @property
    def threshold(self) -> float:
        """Lowest current threshold of its classes."""
        return min(self.watched.thresholds)

    @property
    def highest(self) -> float:
        """Highest threshold that caused an event or, without events, would have caused one."""
        return self.false or self.reached

    @property
    def raises_lowest(self) -> bool:
        """True if a proposal raises only the lowest thresholds, because classes have different ones."""
        return self.events > 0 and min(self.watched.thresholds) < max(self.watched.thresholds)

    @property
    def is_hopeless(self) -> bool:
        """True if hardly any threshold is above the background."""
        return _above(self.highest) > _HIGHEST

    def proposal(self, *, lower: bool = False) -> float | None:
        """Return a threshold just above the background, or None to keep the current one.

        Parameters
        ----------
        lower : bool
            True to lower thresholds too, down to the catalogue's at most.
        """
        present = round(self.threshold, 3)
        if self.events:
            wanted = min(_above(self.false), _HIGHEST)
            return wanted if wanted > present else None
        wanted = max(_above(self.reached), default_threshold(self.watched.sound.name))
        return wanted if lower and wanted < present else None

    def change(self, *, lower: bool = False) -> dict[str, float]:
        """Return the proposal as attributes of the sound's rule, empty to keep the current ones; `lower` as for `proposal`.

        Classes with higher thresholds than others keep them.
        """
        proposal = self.proposal(lower=lower)
        if proposal is None:
            return {}
        return {"minimum_threshold" if self.raises_lowest else "threshold": proposal}


def _above(score: float) -> float:
    """Return a threshold just above a score."""
    odds = _MARGIN * score / max(1.0 - score, 1e-9)
    return round(math.ceil(round(odds / (1.0 + odds) / _STEP, 3)) * _STEP, 3)


class Background:
    """A sink that collects scores while none of the watched sounds occurs.

    Parameters
    ----------
    sounds : sequence of WatchedSound
        Sounds whose thresholds to calibrate, for all sources together: the highest score of any of them counts. Sounds by
        their level are left out.
    """

    def __init__(self, sounds: Sequence[WatchedSound]) -> None:
        self._sounds = sounds = [entry for entry in sounds if not entry.sound.is_by_level]
        self._lock = threading.Lock()  # guards what follows
        self._sources: dict[str, _SourceScores] = {}
        self._stats = {entry.sound.name: BackgroundStats(entry) for entry in sounds}
        self._windows = 0
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of sound, of all sources together."""
        return self._seconds

    @property
    def windows(self) -> int:
        """Number of taggings."""
        return self._windows

    def accept(self, message: Message) -> None:
        """Count a tagging; start over with a source that ended or was switched off."""
        with self._lock:
            match message:
                case Tagging():
                    self._count(message)
                case SourceStatus(source=source, online=False):
                    if source in self._sources:
                        self._sources[source].interrupt()

    def stats(self) -> list[BackgroundStats]:
        """Return the statistics of each sound."""
        with self._lock:
            return list(self._stats.values())

    def changes(self, *, lower: bool = False) -> dict[str, dict[str, float]]:
        """Return the proposed changes of rules by the sound's name; `lower` as for `BackgroundStats.proposal`."""
        return {
            entry.watched.sound.name: change
            for entry in self.stats()
            if (change := entry.change(lower=lower))
        }

    def _count(self, tagging: Tagging) -> None:
        scores = self._sources.get(tagging.source)
        if scores is None:
            scores = self._sources[tagging.source] = _SourceScores(self._sounds)
        self._windows += 1
        heard_until = tagging.start_sample if scores.end_sample is None else scores.end_sample
        self._seconds += (tagging.end_sample - heard_until) / SAMPLE_RATE_HZ
        scores.end_sample = tagging.end_sample
        for event in scores.detector.feed(tagging):
            self._stats[event.label].events += event.kind == "started"
        for entry, newest in zip(self._sounds, scores.newest, strict=True):
            newest.append((entry.score(tagging.scores), entry.score_on(tagging.scores)))
            if len(newest) < entry.sound.hits:
                continue
            reached, false = (sorted(values)[-entry.sound.hits] for values in zip(*newest, strict=True))
            stats = self._stats[entry.sound.name]
            if false > stats.false or (not stats.false and reached > stats.reached):
                stats.source, stats.at = tagging.source, tagging.ended_at
            stats.false, stats.reached = max(stats.false, false), max(stats.reached, reached)


class _SourceScores:
    """Detector of one source, and the newest scores of each sound."""

    def __init__(self, sounds: Sequence[WatchedSound]) -> None:
        self.detector = EventDetector(sounds)
        self.newest: list[deque[tuple[float, float]]] = [deque(maxlen=entry.sound.of) for entry in sounds]
        self.end_sample: int | None = None

    def interrupt(self) -> None:
        """Start over, except for the cooldowns."""
        self.detector.close()
        self.end_sample = None
        for newest in self.newest:
            newest.clear()


class ThresholdCalibrator:
    """A sink that collects the background of each list of sounds from the sources that use it.

    Parameters
    ----------
    watchlists : WatchLists
        Sounds whose thresholds to calibrate.
    """

    def __init__(self, watchlists: WatchLists) -> None:
        self._lists = watchlists
        self._shared = Background(watchlists.shared.sounds)
        self._overrides = {
            source: Background(sounds) for source, sounds in watchlists.sound_overrides.items()
        }

    @property
    def seconds(self) -> float:
        """Seconds of sound, of all sources together."""
        return sum(background.seconds for background in (self._shared, *self._overrides.values()))

    @property
    def backgrounds(self) -> Mapping[str | None, Background]:
        """Backgrounds with any sound: by the source that has the list for itself, None for the shared list."""
        backgrounds: list[tuple[str | None, Background]] = [(None, self._shared), *self._overrides.items()]
        return {source: background for source, background in backgrounds if background.windows}

    def accept(self, message: Message) -> None:
        """Count a tagging; start over with a source that ended or was switched off."""
        if isinstance(message, Tagging | SourceStatus):
            self._overrides.get(message.source, self._shared).accept(message)

    def change_of_settings(self, file: Path, *, lower: bool = False) -> tuple[str, str]:
        """Return the settings file with the proposed thresholds.

        Parameters
        ----------
        file : Path
            The settings file; it need not exist.
        lower : bool
            As for `BackgroundStats.proposal`.

        Returns
        -------
        text, diff : str
            New text of the file, and its changes as a unified diff, empty if there are none.

        Raises
        ------
        SettingsError
            The file can't be read, or has no table for a source that has a list for itself, or a rule in it is invalid.
        """
        text = before = read(file)
        for source, background in self.backgrounds.items():
            changes = background.changes(lower=lower)
            if changes:
                watchlist = self._lists.shared if source is None else self._lists.of(source)
                text = with_rules(text, changes, watchlist.rules, watchlist.name_of, source=source)
                watchlist.check(
                    [watch for watch in watched_in(text, source) if watchlist.name_of(watch.sound) in changes]
                )
        return text, difference(before, text, file)
