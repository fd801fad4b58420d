"""Functions of the program that the window offers, as plain callables. No Qt here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from streamer.messages import Mark, Tagging, Watched

Span: TypeAlias = tuple[float, float | None]
"""Start and end in Unix seconds; the end is None while the event goes on."""


@dataclass(frozen=True, slots=True)
class AudioInput:
    """Input to choose from.

    Attributes
    ----------
    address : str
        Address for the program.
    title : str
        Title for people.
    current : bool
        True if the source listens to it now.
    """

    address: str
    title: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of a sound to teach.

    Attributes
    ----------
    name : str
        Name of the sound.
    count : int
        Examples so far.
    fewest, needed : int
        Examples from which it can be learned, and after which that begins by itself.
    """

    name: str
    count: int
    fewest: int
    needed: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """Something that is being learned, or was.

    Attributes
    ----------
    name : str
        Name of the sound.
    is_correction : bool
        True if it is learned what was wrongly taken for the sound.
    part : str
        Part of the work that goes on.
    share : float
        Share of this part that is done.
    is_over, failed : bool
        True at its end, and if nothing was learned.
    verdict : tuple of str
        Sentences that say what to expect, or why nothing was learned.
    """

    name: str
    is_correction: bool = False
    part: str = ""
    share: float = 0.0
    is_over: bool = False
    failed: bool = False
    verdict: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachActions:
    """Functions with which the window teaches sounds; see `Actions`.

    Attributes
    ----------
    names : callable
        Returns the names of the sounds that are taught, or have examples.
    play : callable
        Takes a source's name and the stream indices of the first sample and the one after the last; plays this sound.
    add : callable
        Takes the same and the name of a sound; makes it an example. With enough of them, the sound is learned.
    learn : callable
        Takes the name of a sound; begins to learn it from the examples so far.
    correct : callable
        Takes an event's id; begins to learn that it was wrong.
    lesson : callable
        Returns the present or last lesson. Called at each tick.
    remembers, remember : callable
        Returns and sets whether ten minutes of sound are kept in memory.
    """

    names: Callable[[], Sequence[str]]
    play: Callable[[str, int, int], None]
    add: Callable[[str, int, int, str], Examples]
    learn: Callable[[str], None]
    correct: Callable[[str], None]
    lesson: Callable[[], Lesson | None]
    remembers: Callable[[], bool]
    remember: Callable[[bool], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Functions that the window calls. A function that is None is not offered.

    They are called on Qt's thread and return quickly. A function that fails raises `ActionError`; `watched` and `is_listening`,
    which are called at each tick, don't fail.

    Attributes
    ----------
    watched : callable
        Takes a source's name; returns its watched sounds.
    watch : callable
        Takes a source's name, the name of a sound or label, and a threshold (None for the default); starts watching it.
    unwatch : callable
        Takes a source's name and a sound's name; stops watching it.
    preview_events : callable
        Takes a source's name, taggings of it, a sound's name and a threshold; returns the spans of the events that this
        threshold would have given.
    list_inputs : callable
        Takes a source's name; returns the inputs to choose from, the current one among them.
    set_input : callable
        Takes a source's name and an input's address; switches the source to this input, and returns the address as it may
        be shown, without a password.
    set_listening : callable
        Takes a source's name, and True to listen or False to pause.
    is_listening : callable
        Takes a source's name; returns False while it is paused, here or elsewhere.
    play_clip : callable
        Takes the path of a clip; plays it.
    mark_event : callable
        Takes an event's id, and "right", "wrong" or None for no mark; keeps the mark in the history.
    mark_of : callable
        Takes an event's id; returns its mark in the history.
    save_settings : callable
        Takes the theme's name; saves the settings and returns where.
    teach : TeachActions
        Functions with which sounds are taught.
    export_folder : Path or None
        Folder for pictures and tables.
    families : mapping of str to str
        Kind of sound of each label and watched sound, see `pictograms`.
    names : mapping of str to str
        Name on screen of each label that has another one.
    notice : str
        Problem that lasts as long as the program; empty for none.
    """

    watched: Callable[[str], Sequence[Watched]] = lambda _: ()
    watch: Callable[[str, str, float | None], None] | None = None
    unwatch: Callable[[str, str], None] | None = None
    preview_events: Callable[[str, Sequence[Tagging], str, float], Sequence[Span]] | None = None
    list_inputs: Callable[[str], Sequence[AudioInput]] | None = None
    set_input: Callable[[str, str], str] | None = None
    set_listening: Callable[[str, bool], None] | None = None
    is_listening: Callable[[str], bool] = lambda _: True
    play_clip: Callable[[str], None] | None = None
    mark_event: Callable[[str, Mark | None], None] | None = None
    mark_of: Callable[[str], Mark | None] = lambda _: None
    save_settings: Callable[[str], str] | None = None
    teach: TeachActions | None = None
    export_folder: Path | None = None
    families: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""

    def name_of(self, label: str) -> str:
        """Return the name of a label or watched sound on screen."""
        return self.names.get(label, label)
