"""What the command ``calibrate`` does: listens to a room, and changes the settings file."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from ..errors import SourceError
from ..events.watchlist import WatchLists
from ..live import assembly
from ..live.ending import ending
from ..runtime.signals import interruptible
from ..runtime.threads import ThreadGroup
from ..settings.file import write_atomically
from ..settings.schema import Settings, settings_file
from ..sinks.score_log import reading_scores
from ..sources import Source
from .thresholds import ThresholdCalibrator, show_room

_POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard in a room.

    Attributes
    ----------
    rooms : ThresholdCalibrator
        What its background has to do with each sound.
    interrupted : bool
        Whether listening was ended early by the user.
    """

    rooms: ThresholdCalibrator
    interrupted: bool = False


def hear(settings: Settings, sources: list[Source], tagger: assembly.Tagger) -> Heard:
    """Listen to a room for as long as is set.

    Parameters
    ----------
    settings : Settings
        How to listen, and what is watched for.
    sources : list of Source
        To which to listen, made as the settings say.
    tagger : Tagger
        Scores what they hear.

    Raises
    ------
    SettingsError, SourceError, SinkError
        A sound can't be watched, a source can't be heard, or the scores can't be logged.
    """
    rooms = ThresholdCalibrator(
        WatchLists(settings.watched, settings.own_watched, tagger.labels, tagger.thresholds)
    )
    switches = assembly.make_switches(settings, [source.name for source in sources])
    with ExitStack() as stack:
        interrupted = stack.enter_context(interruptible())
        bars = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
        log = stack.enter_context(assembly.logging_scores(settings, tagger))
        threads = stack.enter_context(ThreadGroup())
        session = assembly.make_session(settings, sources, tagger, sinks=(rooms, log), switches=switches)
        session.start(threads)
        task = bars.add_task("listening", total=(settings.duration or 0.0) * len(sources))
        over = ending(settings, threads)
        while not (over() or interrupted()):
            threads.wait(_POLL_SECONDS)
            bars.update(task, completed=rooms.seconds)
    if session.failure is not None and not interrupted():
        raise session.failure
    return Heard(rooms, interrupted())


def recall(settings: Settings, log: Path) -> Heard:
    """Take from a score log what was heard in a room.

    Raises
    ------
    SettingsError, SinkError
        A sound can't be watched, or the log can't be read.
    """
    with reading_scores(log) as logged:
        rooms = ThresholdCalibrator(
            WatchLists(settings.watched, settings.own_watched, logged.labels, logged.thresholds)
        )
        for message in logged.messages():
            rooms.accept(message)
        return Heard(rooms)


def propose(heard: Heard, config: Path | None, *, lower: bool, apply: bool) -> None:
    """Print what was heard in a room and the change of the settings file that it asks for, which is made if that is wished.

    Parameters
    ----------
    heard : Heard
        Where listening was interrupted, the file stays as it is.
    config : Path, optional
        The settings file, as for `load_settings`.
    lower : bool
        Whether to lower thresholds too.
    apply : bool
        Whether to change the file.

    Raises
    ------
    SettingsError, SourceError
        The file can't be read or written, or nothing was heard.
    """
    file = settings_file(config)
    if not (heard.rooms.heard or heard.interrupted):
        raise SourceError("nothing was heard: listen for longer than a hop")
    for source, room in heard.rooms.heard.items():
        show_room(room, source, lower=lower)
    text, diff = heard.rooms.change_of_settings(file, lower=lower)
    typer.echo(diff, nl=False)
    if heard.interrupted:
        _log.info("interrupted: %s stays as it is", file)
    elif not diff:
        _log.info("%s can stay as it is", file)
    elif apply:
        write_atomically(file, text)
        _log.info("%s has been changed", file)
