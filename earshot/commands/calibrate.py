"""The command ``calibrate``."""

import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings, tagger
from ..failures import EXIT_INTERRUPTED, UsageError
from ..options import takes
from ..progress import bars
from .reference import USUAL_SECONDS, calibrate_level

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.teaching.rooms import RoomCollector
    from streamer.commands.calibrate import Calibration
    from streamer.commands.thresholds import Background, BackgroundStats
    from streamer.settings.schema import Settings

    from ..own_sounds import SoundTagger

_log = logging.getLogger(__name__)


@takes("calibrate")
def calibrate(
    context: typer.Context,
    *,
    length: str | None,
    log: Path | None,
    collect: bool,
    lower: bool,
    apply: bool,
    reference: float | None,
    config: Path | None,
) -> None:
    """Fit thresholds to the background noise of a room.

    Listens while none of the watched sounds occurs, and proposes thresholds that stay above the background, as a diff of
    the settings file. With --reference, it proposes the offset that turns noise levels into dB(A).
    """
    from streamer.commands.calibrate import recall

    if reference is not None:
        if log is not None or collect or lower:
            raise UsageError("--reference goes with --for, --source and --apply only")
        duration = _duration(length or f"{USUAL_SECONDS:g}s", None)
        calibrate_level(settings.load(context, duration=duration), reference, config, apply=apply)
        return
    duration = _duration(length, log)
    chosen = settings.load(context, duration=duration)
    if collect and log is not None:
        raise UsageError("--collect listens to the room: give --for instead of --log")
    calibration, save_room = _listen(chosen, collect=collect) if log is None else (recall(chosen, log), None)
    try:
        _propose(calibration, config, lower=lower, apply=apply)
    finally:
        if save_room is not None:
            save_room()
    raise typer.Exit(EXIT_INTERRUPTED if calibration.interrupted else 0)


def _duration(length: str | None, log: Path | None) -> float | None:
    """Return the time to listen in seconds; None for a log."""
    from streamer.runtime.timing import parse_duration

    if (length is None) == (log is None):
        raise UsageError("give --for, such as --for 1h, or --log FILE")
    try:
        duration = None if length is None else parse_duration(length)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    if duration == 0.0:
        raise UsageError("--for must be more than 0 s")
    return duration


def _listen(chosen: "Settings", *, collect: bool) -> "tuple[Calibration, Callable[[], None] | None]":
    """Listen for the time that is set, with a progress bar; return the result, and what saves the room if that was asked for."""
    from streamer.commands.calibrate import hear
    from streamer.live.assembly import open_sources

    sources = open_sources(chosen)
    loaded = tagger.load_chosen(chosen)
    total_seconds = (chosen.duration or 0.0) * len(sources)
    room = _collector(loaded) if collect else None
    with bars() as update:
        calibration = hear(
            chosen, sources, loaded, lambda seconds: update("listening", seconds, total_seconds)
        )
    if room is not None and calibration.interrupted:
        _log.info("interrupted: the room is not saved; one that was collected before stays")
    elif room is not None:
        return calibration, partial(_save, room)
    return calibration, None


def _collector(loaded: "SoundTagger") -> "RoomCollector":
    """Return what collects all that a tagger hears from now on."""
    from models.teaching.rooms import RoomCollector

    room = loaded.on_embeddings = RoomCollector(lambda: loaded.fingerprint)
    return room


def _save(room: "RoomCollector") -> None:
    """Save what was heard as the room for its model."""
    from models.teaching.rooms import save_room
    from streamer.events.own_sounds import own_sounds_folder

    file = save_room(own_sounds_folder(), room)
    _log.info(
        "%d windows of the room are in %s, without any sound; earshot teach tells new sounds from them",
        len(room.embeddings),
        file,
    )


def _propose(calibration: "Calibration", config: Path | None, *, lower: bool, apply: bool) -> None:
    """Print each background and the change of the settings file; make the change if `apply` is set."""
    from streamer.errors import SourceError
    from streamer.settings.file import write_atomically
    from streamer.settings.loading import settings_file

    file = settings_file(config)
    if not (calibration.calibrator.backgrounds or calibration.interrupted):
        raise SourceError("nothing was heard: listen for longer than a hop")
    for source, background in calibration.calibrator.backgrounds.items():
        _print_background(background, source, lower=lower)
    text, diff = calibration.calibrator.change_of_settings(file, lower=lower)
    typer.echo(diff, nl=False)
    if calibration.interrupted:
        _log.info("interrupted: %s is unchanged", file)
    elif not diff:
        _log.info("%s needs no change", file)
    elif apply:
        write_atomically(file, text)
        _log.info("%s: changed", file)
    changes = (background.changes(lower=lower) for background in calibration.calibrator.backgrounds.values())
    if apply and not calibration.interrupted and any(changes):
        settings.warn_if_overruled("watch", config)


def _print_background(background: "Background", source: str | None, *, lower: bool) -> None:
    """Print the scores of each sound on standard error; `source` is None for the shared list."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from streamer.runtime.timing import format_duration
    from streamer.text import printable

    owner = "" if source is None else f"{escape(printable(source))}: "
    title = f"{owner}{format_duration(background.seconds)} of background, {background.windows} windows"
    table = Table("sound", title=title, title_style="bold")
    for name in ("events", "threshold", "highest", "proposed"):
        table.add_column(name, justify="right")
    table.add_column("where and when it was highest")
    for entry in sorted(background.stats(), key=lambda entry: -entry.highest):
        proposal = entry.proposal(lower=lower)
        when = time.strftime("%H:%M:%S", time.localtime(entry.at)) if math.isfinite(entry.at) else ""
        table.add_row(
            escape(entry.watched.sound.name),
            str(entry.events),
            f"{entry.threshold:.3f}",
            f"{entry.highest:.3f}",
            _words_of(proposal, entry),
            escape(printable(f"{entry.source} {when}".strip())),
        )
    Console(stderr=True).print(table)


def _words_of(proposal: float | None, entry: "BackgroundStats") -> str:
    """Return a proposed threshold as text; with "at least", higher ones of single classes stay."""
    if proposal is None:
        return ""
    least = "at least " if entry.raises_lowest else ""
    return f"{least}{proposal:.3f}" + ", or don't watch it" * entry.is_hopeless
