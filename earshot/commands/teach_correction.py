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
    from collections.abc import Callable, Sequence

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
    UsageError, ModelError, StreamerError
        As for `learn_corrections`.
    """
    with bars() as update:
        lines = learn_corrections(chosen, sounds, events, update)
    for line in lines:
        typer.echo(line)
    _log.info("the correction is saved; an Earshot that listens uses it at once")


def learn_corrections(
    chosen: "Settings",
    sounds: "TaughtSounds",
    events: "Sequence[Occurrence]",
    report: "Callable[[str, int, int], None]",
) -> list[str]:
    """Learn from events that were wrong; return sentences that say what that would have changed.

    Parameters
    ----------
    chosen : Settings
        Settings of the program.
    sounds : TaughtSounds
        Folder for the corrections.
    events : sequence of Occurrence
        Events that were wrong.
    report : callable
        Receives the name of a part, the number of its windows done and the total.

    Raises
    ------
    UsageError
        An event has no clip, or is one of a sound that the user has taught.
    ModelError, StreamerError
        A clip can't be read, a model can't be loaded, or the correction can't be saved.
    """
    from streamer.events.catalogue import sounds_by_level
    from streamer.events.own_sounds import own_sound_names

    own = {name.casefold() for name in own_sound_names()}
    by_level = sounds_by_level()
    for event in events:
        if event.label in by_level:
            raise UsageError(
                f"'{event.label}' is detected by its level alone, so examples have no effect: set its above_db or level_db instead"
            )
        if event.label.casefold() in own:
            raise UsageError(
                f"'{event.label}' is a sound that you have taught: teach it again, with --not {event.id} for the event that was wrong"
            )
    lines: list[str] = []
    in_order = sorted(events, key=lambda event: event.label)
    for label, of_sound in groupby(in_order, key=lambda event: event.label):
        recordings = [(f"event {event.id}", read_clip(event)) for event in of_sound]
        lines += _correct(chosen, sounds, label, recordings, report)
    return lines


def _correct(
    chosen: "Settings",
    sounds: "TaughtSounds",
    label: str,
    recordings: "Sequence[tuple[str, Samples]]",
    report: "Callable[[str, int, int], None]",
) -> list[str]:
    from models.teaching.corrections import correct

    correction = sounds.get(label)
    results: list[Corrected] = []
    first: AnyTagger | None = None
    for model in models_of(chosen):
        first = first or model
        results.append(correct(model, label, _classes(label), recordings, correction, report))
        correction = results[-1].sound
    if correction is None or first is None:
        return []
    sounds.save(replace(correction, examples=results[0].sound.examples))
    return [*_effect(results[0]), *_changes(chosen, label, first, correction)]


def _classes(label: str) -> tuple[str, ...]:
    """Return the classes of a sound in the catalogue, or the name itself."""
    from streamer.events.catalogue import catalogue

    return next((sound.classes for sound in catalogue() if sound.name == label), (label,))


def _effect(corrected: "Corrected") -> list[str]:
    """Return sentences that say what the correction lowers."""
    real = (
        f"; of {corrected.real} windows with the sound itself, {corrected.lowered} would be lowered too"
        if corrected.real
        else ""
    )
    sound = corrected.sound
    count = "1 recording" if sound.examples == 1 else f"{sound.examples} recordings"
    lines = [f"{sound.name}: lowered where it sounds like {count} that you call wrong{real}."]
    if 2 * corrected.lowered > corrected.real:
        lines.append(
            f"That is most of them: Earshot may miss {sound.name}. Remove the correction if it must not."
        )
    return lines


def _changes(chosen: "Settings", label: str, model: "AnyTagger", correction: "TaughtSound") -> list[str]:
    """Return a sentence that says which events of the history would not have begun."""
    from models.teaching.corrections import live_windows
    from models.teaching.taught_tagger import with_taught
    from streamer.errors import SettingsError
    from streamer.events.catalogue import Watch, resolve_sounds
    from streamer.messages import EventQuery
    from streamer.sinks.history.page import read_newest

    if chosen.history_file is None:
        return []
    try:
        (watched,) = resolve_sounds([Watch(label)], model.labels, model.thresholds)
    except SettingsError:  # a class of another model
        return []
    corrected = with_taught(model, [correction])
    total, gone = 0, []
    for event in read_newest(chosen.history_file, EventQuery(labels=(label,), limit=_MOST_EVENTS)):
        with suppress(UsageError):
            windows = live_windows(read_clip(event), model.window_samples)
            total += 1
            if not any(watched.is_on(corrected(window[None])[0]) for window in windows):
                gone.append(event.id)
    if not total:
        return []
    return [
        f"Of the last {total} events of {label} with a clip, {len(gone)} would not have begun"
        + (f": {', '.join(gone)}." if gone else ".")
    ]
