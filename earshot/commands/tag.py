"""The command ``tag``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings, tagger
from ..failures import EXIT_FAILURE, UsageError, complain
from ..options import takes
from . import explanation

if TYPE_CHECKING:
    from streamer.settings.schema import Settings
    from streamer.sources.recording import Recording


@takes("tag")
def tag(
    context: typer.Context, *, files: list[str], events: bool, watch: list[str] | None, explain: Path | None
) -> None:
    """Tag recordings, window by window."""
    if explain is not None:
        if len(files) > 1:
            raise UsageError("--explain draws one recording: give one FILE")
        explanation.require_picture(explain)
    if watch and not events:
        raise UsageError("--watch goes with --events")
    complete = _tag_files(files, settings.load(context), events=events, picture=explain)
    raise typer.Exit(0 if complete else EXIT_FAILURE)


def _tag_files(files: Sequence[str], chosen: "Settings", *, events: bool, picture: Path | None) -> bool:
    """Tag recordings one after the other; return True if all could be read to their end."""
    from models.known_family import require_ast_before_loading
    from models.worker_addresses import is_address
    from streamer.commands.tag import sink_for
    from streamer.commands.tag import tag as tag_recording
    from streamer.errors import SourceError

    recordings = _readable(files)
    complete = len(recordings) == len(files)
    if not recordings:
        return False
    choice = tagger.choose_model(chosen, only_ast=picture is not None)
    if picture is not None:
        if is_address(choice.name):
            raise UsageError("--explain needs a model on this machine: give --model a name or a file")
        require_ast_before_loading(choice.name, "explained", offline=chosen.offline)
    loaded = tagger.load_chosen(chosen, choice)
    sink, sounds = sink_for(chosen, loaded, tagger.label_set(loaded.labels), events=events)
    for recording in recordings:
        try:
            best = tag_recording(
                recording,
                loaded,
                sink,
                sounds,
                hop_samples=chosen.hop_samples,
                fast_samples=chosen.fast_window_samples,
                classes=len(loaded.model_labels),
            )
        except SourceError as error:
            complete = False
            complain(error)
            continue
        if picture is not None and best is not None:
            explanation.draw(picture, best, choice.name, chosen)
    return complete


def _readable(files: Sequence[str]) -> "list[Recording]":
    """Open recordings; log why one can't be read."""
    from streamer.errors import SourceError
    from streamer.sources.recording import Recording, parse_recording

    recordings = []
    for file in files:
        try:
            path, selection = parse_recording(file)
            recording = Recording(file, path, live=False, selection=selection)
            recording.check()
            recordings.append(recording)
        except SourceError as error:
            complain(error)
    return recordings
