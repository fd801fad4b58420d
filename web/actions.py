"""Functions of the program that the page offers, as plain callables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.messages import Event, EventQuery, Health, Mark, Samples, Tagging, Watched

Payload: TypeAlias = Mapping[str, Any]
"""Content of a JSON object."""

Place: TypeAlias = tuple[float, str]
"""Place in the history: the start of an event, as Unix time in seconds, and its id."""

LogMelFunction: TypeAlias = Callable[[Samples], NDArray[np.float32]]
"""Function from samples (n,) to natural-log mel energies (1 + (n - 400) // 160, 128); no row if n < 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptions:
    """Functions that turn messages into JSON objects, as the program publishes them elsewhere.

    Attributes
    ----------
    tagging : callable
        Takes a tagging and the number of tags; returns its object.
    label : callable
        Takes the index of a score; returns its label.
    event, health : callable
        Object of a message.
    occurrence : callable
        Object of an event of the history.
    to_json : callable
        Compact JSON on one line.
    """

    tagging: Callable[[Tagging, int], Payload]
    label: Callable[[int], str]
    event: Callable[[Event], Payload]
    occurrence: Callable[[Event], Payload]
    health: Callable[[Health], Payload]
    to_json: Callable[[Payload], str]


@dataclass(frozen=True, slots=True)
class Export:
    """Form in which events are saved.

    Attributes
    ----------
    media_type : str
        Type of the file.
    name : str
        Name of the file.
    write : callable
        Takes events, newest first, and the Unix time of the recording's beginning (None for the first event); returns the content.
    """

    media_type: str
    name: str
    write: Callable[[Sequence[Event], float | None], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteActions:
    """Functions that change events of the history. They are called on any thread; one that fails raises `WebError`.

    Attributes
    ----------
    mark : callable
        Takes the id of an event, and "right", "wrong" or None; marks it.
    keep_clip : callable
        Takes the id of an event, and True to keep it and its clip whatever their age.
    delete : callable
        Takes the id of an event; deletes it and its clip.
    """

    mark: Callable[[str, Mark | None], None]
    keep_clip: Callable[[str, bool], None]
    delete: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceActions:
    """Functions that look after the program; one that fails raises `WebError`.

    Attributes
    ----------
    findings : callable
        Returns the results of all checks, each an object; it may take seconds. Called on any thread.
    calibration : callable
        Returns the progress of a calibration as an object. Called on any thread.
    start_calibration : callable
        Takes the time in seconds; begins a calibration. On the main thread, as what follows.
    stop_calibration : callable
        Ends it early.
    apply_calibration : callable
        Sets the thresholds that it proposes and saves the settings; returns where.
    """

    findings: Callable[[], Sequence[Payload]]
    calibration: Callable[[], Payload]
    start_calibration: Callable[[float], None]
    stop_calibration: Callable[[], None]
    apply_calibration: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Functions that the page calls.

    Those that change something are called on the program's main thread, the others on any thread. A function that fails raises
    `WebError`.

    Attributes
    ----------
    version : str
        Version of Earshot.
    sounds : callable
        Returns the names of all sounds that can be watched.
    names : callable
        Takes a language such as "de"; returns the names of sounds on the page by those in the program, empty if there are none.
    watched : callable
        Takes a source's name; returns its watched sounds.
    watch : callable
        Takes a source's name, a sound's name and a threshold (None for the default); starts watching it.
    unwatch : callable
        Takes a source's name and a sound's name; stops watching it.
    set_quiet : callable
        Takes a source's name, a sound's name and its quiet hours as text.
    set_listening : callable
        Takes a source's name, and True to listen or False to pause.
    is_listening : callable
        Takes a source's name; returns False while it is paused.
    save_settings : callable
        Saves the settings; returns where.
    read_events : callable
        Takes a query and a place; returns events of the history, newest first. With a place, those that began before it, and of
        those that began at its time the ones with a lower id.
    find_clip : callable
        Takes the id of an event; returns the file of its clip, or None.
    notes : NoteActions or None
        Changes of events; None without a history.
    maintenance : MaintenanceActions
        Checks and calibration.
    read_clip : callable
        Takes the id of an event; returns the samples of its clip, or None.
    exports : mapping of str to Export
        Forms in which events are saved, by name.
    """

    version: str
    sounds: Callable[[], Sequence[str]]
    watched: Callable[[str], Sequence[Watched]]
    watch: Callable[[str, str, float | None], None]
    unwatch: Callable[[str, str], None]
    set_quiet: Callable[[str, str, str], None]
    set_listening: Callable[[str, bool], None]
    is_listening: Callable[[str], bool]
    save_settings: Callable[[], str]
    read_events: Callable[[EventQuery, Place | None], Sequence[Event]]
    find_clip: Callable[[str], Path | None]
    maintenance: MaintenanceActions
    names: Callable[[str], Mapping[str, str]] = lambda _language: {}
    notes: NoteActions | None = None
    read_clip: Callable[[str], Samples | None] = lambda _: None
    exports: Mapping[str, Export] = field(default_factory=dict)
