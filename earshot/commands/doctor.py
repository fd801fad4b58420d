"""The command ``doctor``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings, tagger
from ..failures import EXIT_FAILURE
from ..options import takes
from ..own_sounds import with_own_sounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamer.doctor import CheckResult
    from streamer.doctor.model import BestModel
    from streamer.settings.loading import Place
    from streamer.settings.schema import Settings

    from ..own_sounds import SoundTagger


@takes("doctor")
def doctor(context: typer.Context, *, seconds: float, as_json: bool, config: Path | None) -> None:
    """Check microphone, broker, model and speed.

    Uses the same settings as listening does, and says how to fix what is wrong.
    """
    from streamer.doctor.report import write_json, write_lines
    from streamer.settings.loading import where_set

    chosen = settings.load(context)
    results = _check(chosen, where_set(settings.given(context), config=config), seconds)
    passed = (write_json if as_json else write_lines)(results, sys.stdout)
    raise typer.Exit(0 if passed else EXIT_FAILURE)


def _check(chosen: "Settings", places: "Sequence[Place]", seconds: float) -> "Iterator[CheckResult]":
    """Check the stream, the display and the model; one that fails does not stop the others."""
    from streamer.doctor.stream import check_stream

    yield from check_stream(chosen, places, seconds=seconds)
    yield _check_display(chosen)
    yield from _check_model(chosen)


def _check_display(chosen: "Settings") -> "CheckResult":
    from gui.app.display import require_display
    from gui.errors import DisplayError
    from streamer.doctor import CheckResult

    if chosen.windowless:
        return CheckResult("display", "skipped", "no window is needed")
    try:
        require_display()
    except DisplayError as error:
        return CheckResult("display", "warning", "no window can be opened", str(error))
    return CheckResult("display", "ok", "a window can be opened")


def _check_model(chosen: "Settings") -> "Iterator[CheckResult]":
    from models.errors import ModelError
    from models.loading import only_embedded_runs
    from models.worker_addresses import is_address
    from streamer.doctor.model import check_model, lacking
    from streamer.doctor.workers import check_workers
    from streamer.errors import SettingsError

    try:
        choice = tagger.choose_model(chosen)
        loaded = tagger.load(chosen, choice.name)
        listening = with_own_sounds(loaded)
        best = None if is_address(choice.name) or only_embedded_runs() else _best_model(chosen)
    except (ModelError, SettingsError) as error:
        yield from lacking(str(error))
        return
    yield from check_model(
        chosen,
        listening,
        reason=choice.reason,
        engine=loaded.engine.description,
        best=best,
    )
    yield from _check_own_sounds(listening)
    if is_address(choice.name):
        yield check_workers(loaded, address=choice.name, has_token=chosen.worker_token() is not None)


def _check_own_sounds(model: "SoundTagger") -> "Iterator[CheckResult]":
    """Check that the model knows what was taught; nothing if nothing was."""
    from streamer.doctor import CheckResult
    from streamer.events.own_sounds import corrected_sound_names, own_sound_names

    names = [*own_sound_names(), *(f"the correction of {name}" for name in corrected_sound_names())]
    if unknown := model.describe_unknown():
        yield CheckResult("taught sounds", "warning", "the model does not know all of them", unknown)
    elif names:
        yield CheckResult("taught sounds", "ok", ", ".join(names))


def _best_model(chosen: "Settings") -> "BestModel":
    from streamer.doctor.model import BestModel

    best = tagger.best_model(chosen)
    return BestModel(best.model, best.seconds) if best else BestModel(None)
