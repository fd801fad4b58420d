"""What the window can have done: plain functions of whoever opens it. No Qt here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from streamer.messages import Tagging

Span: TypeAlias = tuple[float, float | None]
"""Unix times in seconds of a beginning and an end; None while it lasts."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A sound whose beginning and end are told.

    Attributes
    ----------
    name : str
        As events call it.
    labels : tuple of int
        The scores that it stands for.
    thresholds : tuple of float
        The score at which each of them counts.
    """

    name: str
    labels: tuple[int, ...]
    thresholds: tuple[float, ...]

    @property
    def threshold(self) -> float:
        """The lowest of its thresholds."""
        return min(self.thresholds)


@dataclass(frozen=True, slots=True)
class Place:
    """Something that can be listened to: what the program calls it, and what people do."""

    spec: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What the window offers besides looking. What is None is not offered.

    All are called on Qt's thread and return soon; one that can't be done raises `ActionError`.

    Attributes
    ----------
    watched : callable
        Returns the sounds that are watched at a source (its name) now.
    watch : callable
        Watches, at a source, the sound or label of a name from now on; with a threshold or, if that is None, its own.
    unwatch : callable
        Watches a sound at a source no longer.
    would_fire : callable
        Given a source, taggings of it, a sound's name and a threshold, returns when it would have been told of.
    places : callable
        Returns what can be listened to.
    choose : callable
        Listens to a place (its spec) under a source's name from now on.
    listen : callable
        Listens to a source (its name) or, given False, does not.
    listens : callable
        Whether a source (its name) is listened to: others may switch it too.
    play : callable
        Plays a clip (its path).
    save : callable
        Keeps the settings, given the theme's name; returns where.
    exports : Path or None
        The folder for pictures and tables.
    families : mapping of str to str
        What kind of sound a label is: see `pictograms`.
    """

    watched: Callable[[str], Sequence[Watched]] = lambda _: ()
    watch: Callable[[str, str, float | None], None] | None = None
    unwatch: Callable[[str, str], None] | None = None
    would_fire: Callable[[str, Sequence[Tagging], str, float], Sequence[Span]] | None = None
    places: Callable[[], Sequence[Place]] | None = None
    choose: Callable[[str, str], None] | None = None
    listen: Callable[[str, bool], None] | None = None
    listens: Callable[[str], bool] = lambda _: True
    play: Callable[[str], None] | None = None
    save: Callable[[str], str] | None = None
    exports: Path | None = None
    families: Mapping[str, str] = field(default_factory=dict)
