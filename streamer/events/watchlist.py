"""Watch lists, which can change while the program runs."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import SettingsError
from ..messages import Samples, Watched
from .catalogue import (
    Watch,
    WatchedSound,
    resolve_sounds,
    sound_name,
)
from .quiet import NEVER, check_quiet

_MOST_REQUESTS = 1000


class WatchList:
    """Watch list: the sounds that the user wants to watch for, found among the labels of a model.

    Parameters
    ----------
    watch : sequence of Watch or None
        Initial entries; see `resolve_sounds`.
    labels : sequence of str
        Labels of the model.
    thresholds : float32 (classes,), optional
        Thresholds of the model.
    on_change : callable
        Called with the sounds after each change.

    Attributes
    ----------
    sounds : tuple of WatchedSound
        Sounds in the list.
    labels : sequence of str
        Labels of the model.
    changed : bool
        True after a change of the initial entries.

    Raises
    ------
    SettingsError
        A sound is unknown, or its rule is invalid.
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
        self.replace(watch)
        self.on_change = on_change

    def set_model(self, labels: Sequence[str], thresholds: Samples | None) -> None:
        """Find the same entries among the labels of another model, with its thresholds; `on_change` is not called.

        Raises
        ------
        SettingsError
            A sound is unknown to the model; the list is unchanged.
        """
        self.sounds = resolve_sounds(list(self._entries.values()), labels, thresholds)
        self.labels, self._thresholds = labels, thresholds

    def check(self, watch: Sequence[Watch] | None) -> Sequence[WatchedSound]:
        """Check that entries are valid, and return their sounds.

        Raises
        ------
        SettingsError
            A sound is unknown, or its rule is invalid.
        """
        return resolve_sounds(watch, self.labels, self._thresholds)

    def replace(self, watch: Sequence[Watch] | None) -> None:
        """Replace all entries, as new initial entries.

        Raises
        ------
        SettingsError
            A sound is unknown, or its rule is invalid; the list is unchanged.
        """
        sounds = self.check(watch)
        entries = watch if watch is not None else [Watch(watched.sound.name) for watched in sounds]
        self._entries = {watched.sound.name: entry for watched, entry in zip(sounds, entries, strict=True)}
        self._has_defaults = watch is None
        self._change(sounds)
        self.changed = False

    def follow_taught(
        self,
        added: Sequence[str],
        removed: Collection[str],
        labels: Sequence[str],
        thresholds: Samples | None,
    ) -> None:
        """Follow the sounds that the user has taught or removed; `on_change` is not called.

        Sounds that were removed leave the list. New ones are watched if the list has the default sounds.

        Parameters
        ----------
        added, removed : collection of str
            Names of the sounds.
        labels, thresholds
            As for the class.
        """
        changed = self.changed or (not self._has_defaults and not self._entries.keys().isdisjoint(removed))
        entries = {name: entry for name, entry in self._entries.items() if name not in removed}
        if self._has_defaults:
            entries |= {name: Watch(name) for name in added if name not in entries}
        self._entries = entries
        self.set_model(labels, thresholds)
        self.changed = changed

    def watch(self, name: str, threshold: float | None = None) -> None:
        """Add a sound or label, or change the threshold of one in the list.

        Raises
        ------
        SettingsError
            The sound is unknown, or its rule is invalid.
        """
        entry = self._entries.get(self._own_name(name)) or Watch(name)
        self._put(entry if threshold is None else _changed(entry, {"threshold": threshold}))

    def set_quiet(self, name: str, quiet: str) -> None:
        """Change the quiet hours of a sound in the list.

        Raises
        ------
        SettingsError
            The sound is not in the list, or the hours are invalid.
        """
        try:
            self.change_rule(name, {"quiet": check_quiet(quiet)})
        except ValueError as error:
            raise SettingsError(f"quiet hours of '{self._own_name(name)}' {error}") from None

    def change_rule(self, name: str, change: Mapping[str, Any]) -> None:
        """Change attributes in the rule of a sound in the list.

        Raises
        ------
        SettingsError
            The sound is not in the list, or the rule would be invalid; the list is unchanged.
        """
        self._put(_changed(self._entry(name), change))

    def unwatch(self, name: str) -> None:
        """Remove a sound.

        Raises
        ------
        SettingsError
            The sound is not in the list.
        """
        name = self._own_name(name)
        if self._entries.pop(name, None) is None:
            raise SettingsError(f"'{name}' is not watched: there is nothing to remove")
        self._change(watched for watched in self.sounds if watched.sound.name != name)

    def with_threshold(self, name: str, threshold: float) -> WatchedSound:
        """Return a sound of the list with another threshold; the list is unchanged.

        Raises
        ------
        SettingsError
            The sound is not in the list, or the threshold is invalid.
        """
        return self.check([_changed(self._entry(name), {"threshold": threshold})])[0]

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """Rules by the name of the sound: the attributes that the user has set."""
        return {name: entry.rule for name, entry in self._entries.items()}

    def name_of(self, name: str) -> str:
        """Return the name of a sound, from any name that the user may write."""
        return sound_name(name, self.labels)

    @property
    def shown(self) -> list[Watched]:
        """The sounds as a view shows them; those by their level have no scores to show."""
        return [
            Watched(entry.sound.name, entry.indices, entry.thresholds, entry.sound.quiet)
            for entry in self.sounds
            if not entry.sound.is_by_level
        ]

    def _own_name(self, name: str) -> str:
        """Return the name by which a sound is in the list, or would be."""
        return name if name in self._entries else self.name_of(name)

    def _entry(self, name: str) -> Watch:
        if (entry := self._entries.get(self._own_name(name))) is None:
            raise SettingsError(f"'{name}' is not watched: watch it first")
        return entry

    def _put(self, entry: Watch) -> None:
        """Add an entry, or replace that of the same sound in its place."""
        (found,) = self.check([entry])
        sounds = {watched.sound.name: watched for watched in self.sounds} | {found.sound.name: found}
        self._entries[found.sound.name] = replace(entry, sound=found.sound.name)
        self._change(sounds.values())

    def _change(self, sounds: Iterable[WatchedSound]) -> None:
        self.sounds = tuple(sounds)
        self.changed = True
        self.on_change(self.sounds)


class WatchLists:
    """Watch lists of all sources: some sources have their own, the others share one.

    Parameters
    ----------
    shared : sequence of Watch or None
        Initial entries of the shared list; see `resolve_sounds`.
    overrides : mapping of str to sequence of Watch
        Initial entries of the lists of single sources, by name.
    labels : sequence of str
        Labels of the model.
    thresholds : float32 (classes,), optional
        Thresholds of the model.

    Attributes
    ----------
    shared : WatchList
        List of the sources without their own.
    overrides : mapping of str to WatchList
        Lists of single sources, by name.
    on_change : callable
        Called after a change of a list, with the name of its source, or None for the shared list.
    on_model : callable
        Called after thresholds have changed with the model.

    Raises
    ------
    SettingsError
        A sound is unknown, or its rule is invalid; the message names the source.
    """

    def __init__(
        self,
        shared: Sequence[Watch] | None,
        overrides: Mapping[str, Sequence[Watch]],
        labels: Sequence[str],
        thresholds: Samples | None = None,
    ) -> None:
        self._labels, self._thresholds = labels, thresholds
        self._quiet_requests: deque[tuple[str, str, str]] = deque(maxlen=_MOST_REQUESTS)
        self.on_change: Callable[[str | None], None] = lambda _: None
        self.on_model: Callable[[], None] = lambda: None
        self.shared = WatchList(shared, labels, thresholds, on_change=lambda _: self.on_change(None))
        self.overrides: dict[str, WatchList] = {
            source: self._list(source, watch) for source, watch in overrides.items()
        }

    def of(self, source: str) -> WatchList:
        """Return the list of a source."""
        return self.overrides.get(source, self.shared)

    def quiet_of(self, source: str, sound: str) -> str:
        """Return the quiet hours of a source's sound; "never" if it is not watched."""
        return next(
            (entry.sound.quiet for entry in self.of(source).sounds if entry.sound.name == sound), NEVER
        )

    def request_quiet(self, source: str, sound: str, quiet: str) -> None:
        """Have the quiet hours of a source's sound changed by whoever takes the requests; from any thread."""
        self._quiet_requests.append((source, sound, quiet))

    def take_quiet_requests(self) -> list[tuple[str, str, str]]:
        """Return the source, the sound and the quiet hours of all requests, and forget them."""
        return [self._quiet_requests.popleft() for _ in range(len(self._quiet_requests))]

    def set_model(self, labels: Sequence[str], thresholds: Samples | None) -> None:
        """Find all sounds among the labels of another model, with its thresholds; `on_change` is not called.

        Raises
        ------
        SettingsError
            A sound is unknown to the model.
        """
        for watchlist in (self.shared, *self.overrides.values()):
            watchlist.set_model(labels, thresholds)
        self._labels, self._thresholds = labels, thresholds
        self.on_model()

    def follow_taught(
        self,
        added: Sequence[str],
        removed: Collection[str],
        labels: Sequence[str],
        thresholds: Samples | None,
    ) -> None:
        """Follow the sounds that the user has taught or removed, in all lists. Parameters as for `WatchList.follow_taught`."""
        self._labels, self._thresholds = labels, thresholds
        for watchlist in (self.shared, *self.overrides.values()):
            watchlist.follow_taught(added, removed, labels, thresholds)
        self.on_change(None)
        for source in self.overrides:
            self.on_change(source)

    def check(self, source: str, watch: Sequence[Watch]) -> None:
        """Check that a source can have a list of its own with these entries.

        Raises
        ------
        SettingsError
            A sound is unknown, or its rule is invalid; the message names the source.
        """
        self._list(source, watch)

    def replace(self, source: str, watch: Sequence[Watch] | None) -> None:
        """Give a source a list of its own with new initial entries; with None, it uses the shared list.

        Raises
        ------
        SettingsError
            A sound is unknown, or its rule is invalid; the lists are unchanged.
        """
        if watch is None:
            self.overrides.pop(source, None)
        else:
            self.overrides[source] = self._list(source, watch)
        self.on_change(source)

    @property
    def sound_overrides(self) -> Mapping[str, Sequence[WatchedSound]]:
        """Sounds of the sources with lists of their own."""
        return {source: watchlist.sounds for source, watchlist in self.overrides.items()}

    def _list(self, source: str, watch: Sequence[Watch]) -> WatchList:
        try:
            return WatchList(
                watch, self._labels, self._thresholds, on_change=lambda _: self.on_change(source)
            )
        except SettingsError as error:
            raise SettingsError(f"the source '{source}': {error}") from None


def _changed(entry: Watch, change: Mapping[str, Any]) -> Watch:
    """Return an entry with a changed rule; its lower threshold stays at or below a new threshold."""
    rule = {**entry.rule, **change}
    if "threshold" in change and rule.get("off_threshold", 0.0) > change["threshold"]:
        rule["off_threshold"] = change["threshold"]
    return replace(entry, rule=rule)
