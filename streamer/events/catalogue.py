"""The sounds that can be watched: a catalogue of names that people use, and what each means to a model."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import SettingsError
from ..messages import Samples
from ..text import slug

OFF_SHARE = 0.6
"""A sound is off below this share of what switches it on, unless told otherwise."""

_DEFAULT_THRESHOLD = 0.3
_MOST_OWN_LABELS = 64


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that people have a name for, and the rule by which it begins and ends.

    Attributes
    ----------
    name : str
        What people call it.
    classes : tuple of str
        The labels of a model that it stands for; its score is the highest of theirs.
    device_class : str
        Home Assistant's class of the binary sensor: "sound", unless the sound says that a machine is "running".
    icon : str
        Of Material Design Icons, as Home Assistant writes it.
    threshold : float
        The score, in 0..1, that counts as a hit.
    off_threshold : float or None
        The score below which the sound is off; `OFF_SHARE` of the threshold if None.
    hits, of : int
        It is on after this many hits among so many of the newest windows, and off after as many windows in a row whose
        score is low.
    minimum_on_seconds : float
        It stays on for at least this long.
    minimum_off_seconds : float
        It is off only after it was silent for this long: a shorter pause is part of the sound, as is one shorter than a window.
    cooldown_seconds : float
        After it has gone off, it is not on again for this long.
    by_default : bool
        Whether it is watched where the user names none.

    Raises
    ------
    ValueError
        A number is out of range.
    """

    name: str
    classes: tuple[str, ...]
    device_class: str = "sound"
    icon: str = "mdi:ear-hearing"
    threshold: float = _DEFAULT_THRESHOLD
    off_threshold: float | None = None
    hits: int = 2
    of: int = 3
    minimum_on_seconds: float = 0.0
    minimum_off_seconds: float = 3.0
    cooldown_seconds: float = 0.0
    by_default: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"the threshold {self.threshold:g} is not in 0..1")
        if self.off_threshold is not None and not 0.0 < self.off_threshold <= self.threshold:
            raise ValueError(
                f"the off_threshold {self.off_threshold:g} is not between 0 and the threshold, {self.threshold:g}"
            )
        if not 1 <= self.hits <= self.of:
            raise ValueError(f"there can't be {self.hits} hits of {self.of} windows: change hits or of")
        if min(self.minimum_on_seconds, self.minimum_off_seconds, self.cooldown_seconds) < 0.0:
            raise ValueError("a time is negative")

    @property
    def slug(self) -> str:
        """The name as a part of a topic or an identifier."""
        return slug(self.name)

    def describe(self) -> dict[str, Any]:
        """Return all that there is to know of it, for JSON."""
        off_threshold = self.threshold * OFF_SHARE if self.off_threshold is None else self.off_threshold
        return (
            {"name": self.name, "slug": self.slug} | asdict(self) | {"off_threshold": round(off_threshold, 4)}
        )


@dataclass(frozen=True, slots=True)
class Watch:
    """A sound that the user wants to hear of.

    Attributes
    ----------
    sound : str
        A name or slug of the catalogue, or a label of the model.
    rule : mapping of str to number
        Attributes of `Sound`, such as ``threshold``, that are to differ from the catalogue.
    """

    sound: str
    rule: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchedSound:
    """A sound among the scores of one model.

    Attributes
    ----------
    sound : Sound
        Its name and rule.
    indices : tuple of int
        Positions of its classes in the model's scores.
    thresholds, off_thresholds : tuple of float
        For each of these classes.
    """

    sound: Sound
    indices: tuple[int, ...]
    thresholds: tuple[float, ...]
    off_thresholds: tuple[float, ...]

    def score(self, scores: Samples) -> float:
        """Return the highest score of its classes among the scores (classes,) of a tagging."""
        return float(scores[list(self.indices)].max())

    def is_on(self, scores: Samples) -> bool:
        """Whether any of its classes reaches its threshold in the scores (classes,) of a tagging."""
        return bool((scores[list(self.indices)] >= self.thresholds).any())

    def is_off(self, scores: Samples) -> bool:
        """Whether all of its classes are below their lower thresholds in the scores (classes,) of a tagging."""
        return not (scores[list(self.indices)] >= self.off_thresholds).any()


NO_SOUNDS: Mapping[str, Sequence[WatchedSound]] = MappingProxyType({})
"""No source has a list of its own."""


@lru_cache(maxsize=1)
def catalogue() -> tuple[Sound, ...]:
    """Read the sounds that Earshot knows by name."""
    table = tomllib.loads((files("streamer") / "assets" / "sounds.toml").read_text(encoding="utf-8"))
    return tuple(Sound(**{**entry, "classes": tuple(entry["classes"])}) for entry in table["sound"])


def resolve_sounds(
    watch: Sequence[Watch] | None, labels: Sequence[str], thresholds: Samples | None = None
) -> tuple[WatchedSound, ...]:
    """Find what the user wants to hear of among what a model can hear. Upper and lower case are the same.

    Parameters
    ----------
    watch : sequence of Watch or None
        None stands for the catalogue's sounds that are watched by default; with a model that has none of them, for
        each of its labels, if they are few.
    labels : sequence of str
        The model's labels.
    thresholds : float32 (classes,), optional
        The model's own thresholds. They come before those of the catalogue, and after one that the user gave; one that
        is not above 0 is none.

    Raises
    ------
    SettingsError
        A name is unknown or is given twice, the model has none of a sound's classes, or a rule is impossible.
    """
    if watch is None:
        watch = _usual(labels)
    watched = [_resolve(wish, labels, thresholds) for wish in watch]
    names = [entry.sound.name for entry in watched]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the sound '{name}' is named twice: name it once")
    return tuple(watched)


def usual_threshold(name: str) -> float:
    """Return the threshold that a sound has in the catalogue, or that of a label that is not in it."""
    return next((sound.threshold for sound in catalogue() if sound.name == name), _DEFAULT_THRESHOLD)


def sound_name(name: str, labels: Sequence[str]) -> str:
    """Find what a sound of `resolve_sounds` is called from what the user calls it; a name that nobody knows stays."""
    try:
        return _named(name, labels).name
    except SettingsError:
        return name


def _usual(labels: Sequence[str]) -> list[Watch]:
    known = {label.casefold() for label in labels}
    usual = [
        Watch(sound.name)
        for sound in catalogue()
        if sound.by_default and any(name.casefold() in known for name in sound.classes)
    ]
    return usual or [Watch(label) for label in labels if len(labels) <= _MOST_OWN_LABELS]


def _resolve(wish: Watch, labels: Sequence[str], thresholds: Samples | None) -> WatchedSound:
    sound = _named(wish.sound, labels)
    # A model of the user's own may have the catalogue's name itself as a label.
    wanted = {name.casefold() for name in (*sound.classes, wish.sound)}
    indices = tuple(index for index, label in enumerate(labels) if label.casefold() in wanted)
    if not indices:
        raise SettingsError(
            f"the model can't hear '{sound.name}', for it knows none of {', '.join(sound.classes)}: "
            "leave it out, or take another model"
        )
    try:
        sound = replace(sound, **wish.rule)
    except ValueError as error:
        raise SettingsError(f"the sound '{sound.name}' can't be watched like this: {error}") from None
    on = _on_thresholds(sound, indices, None if "threshold" in wish.rule else thresholds)
    off = OFF_SHARE * on if sound.off_threshold is None else np.minimum(sound.off_threshold, on)
    return WatchedSound(sound, indices, tuple(on.tolist()), tuple(off.tolist()))


def _named(name: str, labels: Sequence[str]) -> Sound:
    """Find a sound of the catalogue by name or slug, or make one of a label."""
    own = [Sound(name=label, classes=(label,)) for label in labels]
    known = {sound.name.casefold(): sound for sound in reversed([*catalogue(), *own])}
    known |= {sound.slug: sound for sound in catalogue()}
    sound = known.get(name.strip().casefold())
    if sound is not None:
        return sound
    near = difflib.get_close_matches(name.casefold(), known, n=1)
    hint = f"did you mean '{known[near[0]].name}'?" if near else "the command sounds lists those it knows"
    raise SettingsError(f"there is no sound called '{name}': {hint}")


def _on_thresholds(
    sound: Sound, indices: Sequence[int], thresholds: Samples | None
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a threshold for each class: the model's own, or else the sound's."""
    if thresholds is None:
        return np.full(len(indices), sound.threshold)
    own = np.asarray(thresholds, np.float64)[list(indices)]
    return np.where(own > 0.0, own, sound.threshold)
