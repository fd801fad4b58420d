"""Catalogue of sounds: names that people use, with the labels of a model and a rule for each."""

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
from ..messages import Samples, with_classes
from ..text import slug
from .own_sounds import own_sound_names
from .quiet import NEVER, parse_quiet

OFF_SHARE = 0.6
"""Default of the lower threshold, as a share of the threshold."""

TRACE_SHARE = 0.1
"""Share of the threshold from which a score is a trace of the sound: too little to decide, enough to date."""

_DEFAULT_THRESHOLD = 0.3
_OWN_THRESHOLD = 0.5
"""Threshold for which the scores of a user's own sounds are made."""
_ONLY_FOR_LEVELS = frozenset({"above_db", "level_db"})
_ONLY_FOR_SCORES = frozenset({"threshold", "minimum_threshold", "off_threshold", "hits", "of"})
_MAX_LABELS = 64
"""Largest model whose labels are all watched by default, if it has no sound of the catalogue."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound with a name that people use, and the rule for its start and end.

    Attributes
    ----------
    name : str
        Name for people.
    classes : tuple of str
        Labels of a model; the score of the sound is the highest of theirs.
    device_class : str
        Device class of the binary sensor in Home Assistant: "sound", or "running" for the sound of a machine.
    icon : str
        Material Design icon, as Home Assistant writes it.
    threshold : float
        Score in 0..1 from which a window is a hit.
    minimum_threshold : float or None
        Lowest threshold of a class; thresholds of a model below it are raised to it, and those above it stay.
    off_threshold : float or None
        Lower threshold, below which a window is a miss; `OFF_SHARE` of the threshold if None.
    hits, of : int
        The sound starts after `hits` hits among the newest `of` windows, and ends after `hits` misses in a row.
    minimum_on_seconds : float
        Shortest time that the sound stays on.
    minimum_off_seconds : float
        Silence after which the sound is off; a shorter pause, or one shorter than a window, is part of the sound.
    cooldown_seconds : float
        Time after the end in which the sound does not start again.
    by_default : bool
        True if the sound is watched by default.
    quiet : str
        Hours in which its events are not announced; see `parse_quiet`.
    above_db : float or None
        Only for a sound by its level, which has no classes: distance from the room's background noise at which it starts.
    level_db : float or None
        The same as a level in dB(A), which takes precedence.

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
    minimum_threshold: float | None = None
    off_threshold: float | None = None
    hits: int = 2
    of: int = 3
    minimum_on_seconds: float = 0.0
    minimum_off_seconds: float = 3.0
    cooldown_seconds: float = 0.0
    by_default: bool = False
    quiet: str = NEVER
    above_db: float | None = None
    level_db: float | None = None

    def __post_init__(self) -> None:
        try:
            parse_quiet(self.quiet)
        except ValueError as error:
            raise ValueError(f"quiet {error}") from None
        if self.classes and (self.above_db, self.level_db) != (None, None):
            raise ValueError("above_db and level_db are for 'Loud noise'; give threshold instead")
        if self.above_db is not None and not 3.0 < self.above_db <= 100.0:
            raise ValueError(f"above_db must be more than 3 dB and at most 100 dB, not {self.above_db:g}")
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold must be in 0..1, not {self.threshold:g}")
        if self.minimum_threshold is not None and not 0.0 < self.minimum_threshold <= 1.0:
            raise ValueError(f"minimum_threshold must be in 0..1, not {self.minimum_threshold:g}")
        if self.off_threshold is not None and not 0.0 < self.off_threshold <= 1.0:
            raise ValueError(f"off_threshold must be in 0..1, not {self.off_threshold:g}")
        if not 1 <= self.hits <= self.of:
            raise ValueError(f"hits must be between 1 and of ({self.of}), not {self.hits}")
        if min(self.minimum_on_seconds, self.minimum_off_seconds, self.cooldown_seconds) < 0.0:
            raise ValueError(
                "minimum_on_seconds, minimum_off_seconds and cooldown_seconds must be at least 0"
            )

    @property
    def is_by_level(self) -> bool:
        """True if the sound is detected by its level alone, without a model."""
        return not self.classes

    @property
    def slug(self) -> str:
        """Name as a part of a topic or an identifier."""
        return slug(self.name)

    def describe(self) -> dict[str, Any]:
        """Return all attributes that the sound has, for JSON."""
        off_threshold = self.threshold * OFF_SHARE if self.off_threshold is None else self.off_threshold
        described = (
            {"name": self.name, "slug": self.slug} | asdict(self) | {"off_threshold": round(off_threshold, 4)}
        )
        foreign = _ONLY_FOR_SCORES if self.is_by_level else _ONLY_FOR_LEVELS
        return {name: value for name, value in described.items() if value is not None and name not in foreign}


@dataclass(frozen=True, slots=True)
class Watch:
    """Sound that the user wants to watch for.

    Attributes
    ----------
    sound : str
        Name or slug in the catalogue, or label of the model.
    rule : mapping of str to number
        Attributes of `Sound`, such as ``threshold``, that replace those of the catalogue.
    """

    sound: str
    rule: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchedSound:
    """Sound to watch for, with its positions in the scores of a model.

    Attributes
    ----------
    sound : Sound
        Name and rule.
    indices : tuple of int
        Positions of its classes in the model's scores; empty for a sound by its level, whose score is always 0.
    thresholds, off_thresholds : tuple of float
        Thresholds of each of these classes.
    """

    sound: Sound
    indices: tuple[int, ...]
    thresholds: tuple[float, ...]
    off_thresholds: tuple[float, ...]

    def score(self, scores: Samples) -> float:
        """Return the highest score of its classes among the scores (classes,) of a tagging."""
        return float(self._own(scores).max(initial=0.0))

    def score_on(self, scores: Samples) -> float:
        """Return the highest score among its classes that reach their thresholds in the scores (classes,) of a tagging; 0 if none does."""
        own = self._own(scores)
        return float(own[own >= self.thresholds].max(initial=0.0))

    def is_on(self, scores: Samples) -> bool:
        """Return True if one of its classes reaches its threshold in the scores (classes,) of a tagging."""
        return bool((self._own(scores) >= self.thresholds).any())

    def is_well_on(self, scores: Samples, odds: float) -> bool:
        """Return True if one of its classes has so many times the odds of its threshold in the scores (classes,) of a tagging."""
        own, thresholds = self._own(scores), np.array(self.thresholds)
        return bool((own * (1.0 - thresholds) >= odds * thresholds * (1.0 - own)).any())

    def is_off(self, scores: Samples) -> bool:
        """Return True if all its classes are below their lower thresholds in the scores (classes,) of a tagging."""
        return not (self._own(scores) >= self.off_thresholds).any()

    def is_absent(self, scores: Samples) -> bool:
        """Return True if there is no trace of it in the scores (classes,) of a tagging."""
        pairs = zip(self._own(scores), self.thresholds, strict=True)
        return not any(score >= TRACE_SHARE * threshold for score, threshold in pairs)

    def _own(self, scores: Samples) -> Samples:
        """Return the scores of its classes; 0 for a sound that was taught after the tagging."""
        return with_classes(scores, max(self.indices, default=-1) + 1)[list(self.indices)]


NO_SOUNDS: Mapping[str, Sequence[WatchedSound]] = MappingProxyType({})
"""Overrides of the watch list, without any source."""


def catalogue() -> tuple[Sound, ...]:
    """Return the bundled sounds, then those of the user's own."""
    return (*_bundled(), *own_sounds())


def own_sounds() -> tuple[Sound, ...]:
    """Return the sounds that the user has taught, which are watched by default."""
    bundled = {sound.slug for sound in _bundled()}
    own = (
        Sound(name=name, classes=(name,), threshold=_OWN_THRESHOLD, by_default=True)
        for name in own_sound_names()
    )
    return tuple(sound for sound in own if sound.slug not in bundled)


@lru_cache(maxsize=1)
def _bundled() -> tuple[Sound, ...]:
    """Read the bundled catalogue."""
    table = tomllib.loads((files("streamer") / "assets" / "sounds.toml").read_text(encoding="utf-8"))
    return tuple(Sound(**{**entry, "classes": tuple(entry["classes"])}) for entry in table["sound"])


def resolve_sounds(
    watch: Sequence[Watch] | None, labels: Sequence[str], thresholds: Samples | None = None
) -> tuple[WatchedSound, ...]:
    """Find the sounds of a watch list among the labels of a model, ignoring case.

    Parameters
    ----------
    watch : sequence of Watch or None
        Watch list; None for the default sounds of the catalogue or, if the model has none of them, for all its labels
        if they are few.
    labels : sequence of str
        Labels of the model.
    thresholds : float32 (classes,), optional
        Thresholds of the model. They replace those of the catalogue, but not those of the watch list; a value of 0 or
        less stands for none.

    Raises
    ------
    SettingsError
        A name is unknown or repeated, the model has no label of a sound, or a rule is invalid.
    """
    if watch is None:
        watch = _default_watch(labels)
    watched = [_resolve(entry, labels, thresholds) for entry in watch]
    names = [entry.sound.name for entry in watched]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the sound '{name}' is in the list twice: remove one")
    return tuple(watched)


def resolve_scored_sounds(
    watch: Sequence[Watch] | None, labels: Sequence[str], thresholds: Samples | None = None
) -> tuple[WatchedSound, ...]:
    """Find sounds as `resolve_sounds` does, where only those that the model scores have an effect.

    Raises
    ------
    SettingsError
        A sound can't be found, or is detected by its level.
    """
    found = resolve_sounds(watch, labels, thresholds)
    for entry in found:
        if entry.sound.is_by_level:
            raise SettingsError(
                f"'{entry.sound.name}' is detected by its level, not by the model: remove it from this list"
            )
    return found


def default_threshold(name: str) -> float:
    """Return the threshold of a sound in the catalogue, or the default for any other label."""
    return next((sound.threshold for sound in catalogue() if sound.name == name), _DEFAULT_THRESHOLD)


def sound_name(name: str, labels: Sequence[str]) -> str:
    """Return the name of a sound in the catalogue, from any name that the user may write; an unknown name stays unchanged."""
    try:
        return known_sound_name(name, labels)
    except SettingsError:
        return name


def sounds_by_level() -> frozenset[str]:
    """Return the names of the sounds that the level alone decides."""
    return frozenset(sound.name for sound in catalogue() if sound.is_by_level)


def known_sound_name(name: str, labels: Sequence[str]) -> str:
    """Return the name of a sound in the catalogue or of a label, from any name that the user may write.

    Raises
    ------
    SettingsError
        There is no such sound.
    """
    return _named(name, labels).name


def _default_watch(labels: Sequence[str]) -> list[Watch]:
    known = {label.casefold() for label in labels}
    defaults = [
        Watch(sound.name)
        for sound in catalogue()
        if sound.by_default and any(name.casefold() in known for name in sound.classes)
    ]
    return defaults or [Watch(label) for label in labels if len(labels) <= _MAX_LABELS]


def _resolve(entry: Watch, labels: Sequence[str], thresholds: Samples | None) -> WatchedSound:
    sound = _named(entry.sound, labels)
    if sound.is_by_level:
        return WatchedSound(_by_level(sound, entry.rule), (), (), ())
    # A custom model may use the name in the catalogue as a label.
    wanted = {name.casefold() for name in (*sound.classes, entry.sound)}
    indices = tuple(index for index, label in enumerate(labels) if label.casefold() in wanted)
    if not indices:
        raise SettingsError(
            f"the model can't recognise '{sound.name}', because it has none of the labels {', '.join(sound.classes)}: "
            "remove the sound from the list, or choose another model"
        )
    sound = _with_rule(sound, entry.rule)
    if "threshold" in entry.rule:
        sound = replace(sound, minimum_threshold=None)  # a threshold that is given counts
        _check_off_threshold(sound)
    on = _on_thresholds(sound, indices, None if "threshold" in entry.rule else thresholds)
    off = OFF_SHARE * on if sound.off_threshold is None else np.minimum(sound.off_threshold, on)
    return WatchedSound(sound, indices, tuple(on.tolist()), tuple(off.tolist()))


def _check_off_threshold(sound: Sound) -> None:
    """Refuse an `off_threshold` above a threshold that is given; one above a model's own is lowered, as another model may follow."""
    if sound.off_threshold is not None and sound.off_threshold > sound.threshold:
        raise SettingsError(
            f"the rule of the sound '{sound.name}' is invalid: off_threshold must be between 0 and the threshold "
            f"{sound.threshold:g}, not {sound.off_threshold:g}"
        )


def _with_rule(sound: Sound, rule: Mapping[str, Any]) -> Sound:
    try:
        return replace(sound, **rule)
    except ValueError as error:
        raise SettingsError(f"the rule of the sound '{sound.name}' is invalid: {error}") from None


def _by_level(sound: Sound, rule: Mapping[str, Any]) -> Sound:
    """Return a sound by its level with a rule of its own."""
    if without := _ONLY_FOR_SCORES & rule.keys():
        raise SettingsError(
            f"'{sound.name}' has a level, and no {' or '.join(sorted(without))}: give above_db, the distance from the "
            "background in dB, or level_db"
        )
    return _with_rule(sound, rule)


def _named(name: str, labels: Sequence[str]) -> Sound:
    """Return a sound of the catalogue by its name or slug, or a sound for a label."""
    labelled = [Sound(name=label, classes=(label,)) for label in labels]
    known = {sound.name.casefold(): sound for sound in reversed([*catalogue(), *labelled])}
    known |= {sound.slug: sound for sound in catalogue()}
    sound = known.get(name.strip().casefold())
    if sound is not None:
        return sound
    near = difflib.get_close_matches(name.casefold(), known, n=1)
    hint = f"did you mean '{known[near[0]].name}'?" if near else "list them with `earshot sounds`"
    raise SettingsError(f"there is no sound called '{name}': {hint}")


def _on_thresholds(
    sound: Sound, indices: Sequence[int], thresholds: Samples | None
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a threshold for each class: that of the model or, without one, of the sound, at least the sound's minimum."""
    if thresholds is None:
        found = np.full(len(indices), sound.threshold)
    else:
        from_model = np.asarray(thresholds, np.float64)[list(indices)]
        found = np.where(from_model > 0.0, from_model, sound.threshold)
    return found if sound.minimum_threshold is None else found.clip(sound.minimum_threshold)
