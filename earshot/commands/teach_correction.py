"""Corrections by the command ``teach``: events of a sound that were wrong lower its score where it sounds like that."""

import logging
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from ..failures import UsageError
from ..progress import bars
from .teach_lesson import models_of
from .teach_material import read_clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.loading import AnyTagger
    from models.teaching.corrections import Corrected
    from models.teaching.taught_sounds import TaughtSound, TaughtSounds
    from streamer.messages import Occurrence, Samples
    from streamer.settings.schema import Settings

_MOST_EVENTS = 20
"""Events of the history that are looked at, the newest."""

_log = logging.getLogger(__name__)


def correct_sounds(chosen: "Settings", sounds: "TaughtSounds", events: "Sequence[Occurrence]") -> None:
    """Learn from events that were wrong, and print what that would have changed.

    Raises
    ------
    UsageError
        An event has no clip, or is one of a sound that the user has taught.
    ModelError, StreamerError
        A clip can't be read, a model can't be loaded, or the correction can't be saved.
    """
    from streamer.events.own_sounds import own_sound_names

    own = {name.casefold() for name in own_sound_names()}
    for event in events:
        if event.label.casefold() in own:
            raise UsageError(
                f"'{event.label}' is a sound that you have taught: teach it again, with --not {event.id} for the event that was wrong"
            )
    in_order = sorted(events, key=lambda event: event.label)
    for label, of_sound in groupby(in_order, key=lambda event: event.label):
        recordings = [(f"event {event.id}", read_clip(event)) for event in of_sound]
        _correct(chosen, sounds, label, recordings)


def _correct(
    chosen: "Settings", sounds: "TaughtSounds", label: str, recordings: "Sequence[tuple[str, Samples]]"
) -> None:
    from models.errors import TeachingError
    from models.teaching.corrections import correct

    correction: TaughtSound | None = None
    with suppress(TeachingError):
        correction = sounds.find(label)
    results: list[Corrected] = []
    first: AnyTagger | None = None
    with bars() as update:
        for model in models_of(chosen):
            first = first or model
            results.append(correct(model, label, _classes(label), recordings, correction, update))
            correction = results[-1].sound
    if correction is None or first is None:
        return
    path = sounds.save(replace(correction, examples=results[0].sound.examples))
    _print_effect(results[0])
    _print_changes(chosen, label, first, correction)
    _log.info("the correction of '%s' is saved in %s; an Earshot that listens uses it at once", label, path)


def _classes(label: str) -> tuple[str, ...]:
    """Return the classes of a sound in the catalogue, or the name itself."""
    from streamer.events.catalogue import catalogue

    return next((sound.classes for sound in catalogue() if sound.name == label), (label,))


def _print_effect(corrected: "Corrected") -> None:
    real = (
        f"; of {corrected.real} windows with the sound itself, {corrected.lowered} would be lowered too"
        if corrected.real
        else ""
    )
    sound = corrected.sound
    count = "1 recording" if sound.examples == 1 else f"{sound.examples} recordings"
    typer.echo(f"{sound.name}: lowered where it sounds like {count} that you call wrong{real}.")
    if 2 * corrected.lowered > corrected.real:
        typer.echo(
            f"That is most of them: Earshot may miss {sound.name}. Remove the correction if it must not."
        )


def _print_changes(chosen: "Settings", label: str, model: "AnyTagger", correction: "TaughtSound") -> None:
    """Print which events of the history would not have begun."""
    from models.teaching.corrections import live_windows
    from models.teaching.taught_tagger import with_taught
    from streamer.errors import SettingsError
    from streamer.events.catalogue import Watch, resolve_sounds
    from streamer.messages import EventQuery
    from streamer.sinks.history.page import read_newest

    if chosen.history_file is None:
        return
    try:
        (watched,) = resolve_sounds([Watch(label)], model.labels, model.thresholds)
    except SettingsError:  # a class of another model
        return
    corrected = with_taught(model, [correction])
    total, gone = 0, []
    for event in read_newest(chosen.history_file, EventQuery(labels=(label,), limit=_MOST_EVENTS)):
        with suppress(UsageError):
            windows = live_windows(read_clip(event), model.window_samples)
            total += 1
            if not any(watched.is_on(corrected(window[None])[0]) for window in windows):
                gone.append(event.id)
    if total:
        typer.echo(
            f"Of the last {total} events of {label} with a clip, {len(gone)} would not have begun"
            + (f": {', '.join(gone)}." if gone else ".")
        )
