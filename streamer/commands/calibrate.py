"""Listening for the command ``calibrate``: the background of each room, live or from a score log."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..events.watchlist import WatchLists
from ..live import assembly
from ..runtime.signals import interruptible
from ..runtime.threads import ThreadGroup
from ..settings.schema import Settings
from ..sinks.score_log import reading_scores
from ..sources import Source
from .thresholds import ThresholdCalibrator

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Calibration:
    """Result of listening to the background.

    Attributes
    ----------
    calibrator : ThresholdCalibrator
        Statistics and proposed thresholds.
    interrupted : bool
        True if the user stopped listening early.
    """

    calibrator: ThresholdCalibrator
    interrupted: bool = False


def hear(
    settings: Settings,
    sources: list[Source],
    tagger: assembly.TaughtTagger,
    progress: Callable[[float], None],
) -> Calibration:
    """Listen for the duration that is set.

    Parameters
    ----------
    settings : Settings
        Duration, watched sounds and everything else about listening.
    sources : list of Source
        Sources, opened as the settings say.
    tagger : TaughtTagger
        Model that scores their windows.
    progress : callable
        Receives the seconds of sound so far, of all sources together.

    Raises
    ------
    SettingsError, SourceError, SinkError
        A sound can't be watched, a source can't be read, or the scores can't be logged.
    """
    calibrator = ThresholdCalibrator(
        WatchLists(settings.watched, settings.watch_overrides, tagger.labels, tagger.thresholds)
    )
    switches = assembly.make_switches(settings, [source.name for source in sources])
    with ExitStack() as stack:
        interrupted = stack.enter_context(interruptible())
        log = stack.enter_context(assembly.open_score_log(settings, tagger))
        threads = stack.enter_context(ThreadGroup())
        session = assembly.make_session(settings, sources, tagger, sinks=(calibrator, log), switches=switches)
        session.start(threads)
        over = assembly.ending(settings, threads)
        while not (over() or interrupted()):
            threads.wait(_POLL_SECONDS)
            progress(calibrator.seconds)
    if session.failure is not None and not interrupted():
        raise session.failure
    return Calibration(calibrator, interrupted())


def recall(settings: Settings, log: Path) -> Calibration:
    """Read the background from a score log.

    Raises
    ------
    SettingsError, SinkError
        A sound can't be watched, or the log can't be read.
    """
    with reading_scores(log) as logged:
        calibrator = ThresholdCalibrator(
            WatchLists(settings.watched, settings.watch_overrides, logged.labels, logged.thresholds)
        )
        for message in logged.messages():
            calibrator.accept(message)
        return Calibration(calibrator)
