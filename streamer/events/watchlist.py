"""The sounds that are watched, as they change while the program runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import SettingsError
from ..messages import Samples
from .catalogue import (
    Watch,
    WatchedSound,
    resolve_sounds,
    sound_name,
)


class WatchList:
    """What the user wants to hear of, among what a model can hear.

    Parameters
    ----------
    watch : sequence of Watch or None
        At first; see `resolve_sounds`.
    labels : sequence of str
        The model's labels.
    thresholds : float32 (classes,), optional
        The model's own thresholds.
    on_change : callable
        Is told the sounds each time that they have changed.

    Attributes
    ----------
    sounds : tuple of WatchedSound
        What is watched now.
    labels : sequence of str
        The model's labels.
    changed : bool
        Whether it is no longer what it was at first.

    Raises
    ------
    SettingsError
        A sound can't be watched like this.
    """

    def __init__(
        self,
        watch: Sequence[Watch] | None,
        labels: Sequence[str],
        thresholds: Samples | None = None,
        *,
        on_change: Callable[[Sequence[WatchedSound]], None] = lambda _: None,
    ) -> None:
        self.labels = labels
        self._thresholds = thresholds
        self.on_change: Callable[[Sequence[WatchedSound]], None] = lambda _: None
        self.begin_anew(watch)
        self.on_change = on_change

    def check(self, watch: Sequence[Watch] | None) -> None:
        """See that these sounds can be watched.

        Raises
        ------
        SettingsError
            One of them can't be.
        """
        resolve_sounds(watch, self.labels, self._thresholds)

    def begin_anew(self, watch: Sequence[Watch] | None) -> None:
        """Watch these sounds and no others from now on, as if that had been said at first.

        Raises
        ------
        SettingsError
            A sound can't be watched like this; all stays as it is.
        """
        sounds = resolve_sounds(watch, self.labels, self._thresholds)
        wishes = watch if watch is not None else [Watch(entry.sound.name) for entry in sounds]
        self._wishes = {entry.sound.name: wish for entry, wish in zip(sounds, wishes, strict=True)}
        self._change(sounds)
        self.changed = False

    def watch(self, name: str, threshold: float | None = None) -> None:
        """Watch a sound or label from now on, or change the threshold of one that is watched.

        Raises
        ------
        SettingsError
            It is unknown, or can't be watched like this.
        """
        wish = self._wishes.get(name) or Watch(name)
        if threshold is not None:
            wish = replace(wish, rule=_moved(wish.rule, threshold))
        (found,) = resolve_sounds([wish], self.labels, self._thresholds)
        sounds = {entry.sound.name: entry for entry in self.sounds} | {found.sound.name: found}
        self._wishes[found.sound.name] = replace(wish, sound=found.sound.name)
        self._change(sounds.values())

    def unwatch(self, name: str) -> None:
        """Watch a sound no longer."""
        self._wishes.pop(name, None)
        self._change(entry for entry in self.sounds if entry.sound.name != name)

    def tried(self, name: str, threshold: float) -> WatchedSound:
        """Return a watched sound as it would be with another threshold.

        Raises
        ------
        SettingsError
            It is not watched, or can't be watched like this.
        """
        wish = self._wishes.get(name)
        if wish is None:
            raise SettingsError(f"'{name}' is not watched: watch it first")
        changed = replace(wish, rule=_moved(wish.rule, threshold))
        return resolve_sounds([changed], self.labels, self._thresholds)[0]

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """By the sound's name, what of its rule the user has decided."""
        return {name: wish.rule for name, wish in self._wishes.items()}

    def name_of(self, name: str) -> str:
        """Find what a sound is called from what the user calls it."""
        return sound_name(name, self.labels)

    def _change(self, sounds: Iterable[WatchedSound]) -> None:
        self.sounds = tuple(sounds)
        self.changed = True
        self.on_change(self.sounds)


class WatchLists:
    """What is watched where: sources with a list of their own have that, all others share one.

    Parameters
    ----------
    shared : sequence of Watch or None
        What is watched at first where a source has no list of its own; see `resolve_sounds`.
    own : mapping of str to sequence of Watch
        The lists of single sources, by name.
    labels : sequence of str
        The model's labels.
    thresholds : float32 (classes,), optional
        The model's own thresholds.

    Attributes
    ----------
    shared : WatchList
        The list of all others.
    own : mapping of str to WatchList
        The lists of single sources, by name.
    on_change : callable
        Is told whose list has changed: a source's name, or None for the one that others share.

    Raises
    ------
    SettingsError
        A sound can't be watched like this; the sentence names the source.
    """

    def __init__(
        self,
        shared: Sequence[Watch] | None,
        own: Mapping[str, Sequence[Watch]],
        labels: Sequence[str],
        thresholds: Samples | None = None,
    ) -> None:
        self._labels, self._thresholds = labels, thresholds
        self.on_change: Callable[[str | None], None] = lambda _: None
        self.shared = WatchList(shared, labels, thresholds, on_change=lambda _: self.on_change(None))
        self.own: dict[str, WatchList] = {source: self._list(source, watch) for source, watch in own.items()}

    def of(self, source: str) -> WatchList:
        """Return the list that holds for a source."""
        return self.own.get(source, self.shared)

    def check(self, source: str, watch: Sequence[Watch]) -> None:
        """See that a source can have this list of its own.

        Raises
        ------
        SettingsError
            A sound can't be watched like this; the sentence names the source.
        """
        self._list(source, watch)

    def begin_anew(self, source: str, watch: Sequence[Watch] | None) -> None:
        """Give a source this list of its own, as if that had been said at first; with None, it shares that of the others.

        Raises
        ------
        SettingsError
            A sound can't be watched like this; all stays as it is.
        """
        if watch is None:
            self.own.pop(source, None)
        else:
            self.own[source] = self._list(source, watch)
        self.on_change(source)

    @property
    def own_sounds(self) -> Mapping[str, Sequence[WatchedSound]]:
        """What is watched now at sources with lists of their own."""
        return {source: watchlist.sounds for source, watchlist in self.own.items()}

    def _list(self, source: str, watch: Sequence[Watch]) -> WatchList:
        try:
            return WatchList(
                watch, self._labels, self._thresholds, on_change=lambda _: self.on_change(source)
            )
        except SettingsError as error:
            raise SettingsError(f"the source '{source}': {error}") from None


def _moved(rule: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """Return a rule with another threshold; a lower one that it had stays below it."""
    changed = {**rule, "threshold": threshold}
    if changed.get("off_threshold", 0.0) > threshold:
        changed["off_threshold"] = threshold
    return changed
