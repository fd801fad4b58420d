"""Calibration of thresholds while the program listens."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError
from ..events.watchlist import WatchLists
from ..messages import Health, Message, Tagging
from .thresholds import BackgroundStats, ThresholdCalibrator

SHORTEST_SECONDS = 10.0
LONGEST_SECONDS = 24 * 3600.0

Phase = Literal["none", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Result for one sound.

    Attributes
    ----------
    source : str or None
        Source that has the list of sounds for itself; None for the shared list.
    stats : BackgroundStats
        Scores on the background.
    threshold : float or None
        Proposed threshold; None to keep the present one.
    """

    source: str | None
    stats: BackgroundStats
    threshold: float | None


@dataclass(frozen=True, slots=True)
class CalibrationState:
    """Progress of a calibration.

    Attributes
    ----------
    phase : {"none", "running", "done", "failed"}
        Present state.
    seconds, total_seconds : float
        Time so far, and time to listen.
    proposals : sequence of Proposal
        Results so far, the highest scores first.
    reason : str
        Reason of a failure, as a sentence.
    """

    phase: Phase = "none"
    seconds: float = 0.0
    total_seconds: float = 0.0
    proposals: Sequence[Proposal] = ()
    reason: str = ""


class LiveCalibration:
    """A sink that fits thresholds to the background noise while nothing else is affected.

    `accept` may be called from any thread; the watch lists change in `apply`, on their own thread.

    Parameters
    ----------
    watchlists : WatchLists
        Sounds whose thresholds to fit.
    clock : callable
        Seconds from any moment.
    """

    def __init__(self, watchlists: WatchLists, clock: Callable[[], float] = time.monotonic) -> None:
        self._watchlists = watchlists
        self._clock = clock
        self._model = ""
        self._run: _Run | None = None

    def accept(self, message: Message) -> None:
        """Count a tagging while a calibration runs."""
        run = self._run
        if isinstance(message, Health):
            self._model = message.model
            if run is not None and run.is_open(self._clock()) and run.model != self._model:
                run.fail("another model tags now; start again")
        elif run is not None and run.is_open(self._clock()):
            run.accept(message)

    def start(self, seconds: float) -> None:
        """Begin a calibration, in place of an earlier one.

        Raises
        ------
        SettingsError
            The time is too short or too long, or there is no model yet.
        """
        if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise SettingsError("calibrate for 10 s to 24 h")
        if not self._model:
            raise SettingsError("the model is being loaded; try again in a moment")
        self._run = _Run(self._watchlists, self._model, self._clock(), seconds)

    def stop(self) -> None:
        """End a calibration that runs; its results so far stay."""
        if self._run is not None:
            self._run.stop(self._clock())

    def state(self) -> CalibrationState:
        """Return the progress and the results; from any thread."""
        return CalibrationState() if self._run is None else self._run.state(self._clock())

    def apply(self) -> int:
        """Set the proposed thresholds of sounds that are still watched; return their number.

        Raises
        ------
        SettingsError
            There is no calibration that has ended.
        """
        state = self.state()
        if state.phase != "done":
            raise SettingsError("no calibration has ended: start one first")
        count = 0
        for proposal in state.proposals:
            lists, name = self._watchlists, proposal.stats.watched.sound.name
            if proposal.source is not None and proposal.source not in lists.overrides:
                continue
            watchlist = lists.shared if proposal.source is None else lists.of(proposal.source)
            if (change := proposal.stats.change()) and name in watchlist.rules:
                watchlist.change_rule(name, change)
                count += 1
        self._run = None
        return count


class _Run:
    """One calibration."""

    def __init__(self, watchlists: WatchLists, model: str, begun: float, seconds: float) -> None:
        self.model = model
        self._calibrator = ThresholdCalibrator(watchlists)
        self._labels = len(watchlists.shared.labels)
        self._begun, self._seconds = begun, seconds
        self._reason = ""

    def is_open(self, now: float) -> bool:
        return now < self._begun + self._seconds and not self._reason

    def stop(self, now: float) -> None:
        self._seconds = max(0.0, min(self._seconds, now - self._begun))

    def fail(self, reason: str) -> None:
        self._reason = reason

    def accept(self, message: Message) -> None:
        if isinstance(message, Tagging) and len(message.scores) != self._labels:
            self.fail("the sounds of the model have changed; start again")
        else:
            self._calibrator.accept(message)

    def state(self, now: float) -> CalibrationState:
        proposals = [
            Proposal(source, stats, stats.proposal())
            for source, background in self._calibrator.backgrounds.items()
            for stats in background.stats()
        ]
        is_open, reason = self.is_open(now), self._reason
        if not (is_open or reason or proposals):
            reason = "nothing was heard: listen for longer than a hop"
        phase: Phase = "failed" if reason else "running" if is_open else "done"
        passed = min(now - self._begun, self._seconds)
        ordered = sorted(proposals, key=lambda one: -one.stats.reached)
        return CalibrationState(phase, passed, self._seconds, ordered, reason)
