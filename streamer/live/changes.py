"""Changes while a session listens: settings that are read again, and choices in the window. A plan is applied as a whole, or not at all."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import EndingError, StreamerError
from ..events.catalogue import Watch
from ..events.watchlist import WatchList, WatchLists
from ..messages import Health
from ..runtime.timing import Every
from ..settings.file import save, save_quiet
from ..settings.loading import Place, settings_file, where_set
from ..settings.schema import Settings
from ..sinks import NoiseUnitSink, RankingSink, Sink
from ..sinks.clips.recorder import Clips
from ..sinks.history.store import History
from ..sinks.notify.notifier import Notifier
from ..sinks.notify.notifier import Plan as NotifyPlan
from ..sources import Source, open_source
from .assembly import check_apart, noise_units, plan_notifications
from .channel import Input
from .session import LiveSession

_log = logging.getLogger(__name__)

_ENDING_SECONDS = 10.0
"""Time that a source may take to shut down before another one with its name is refused."""
_RETRY_SECONDS = 0.25

_OVERRIDDEN = "%s is set in the environment or on the command line, so %s only until the restart"

_CLIPS = frozenset(name for name in Settings.model_fields if name.startswith("clips"))
_SOURCES = frozenset({"source", "hop", "noise_offset_db"}) | _CLIPS
_NOTIFY = frozenset(name for name in Settings.model_fields if name.startswith("notify"))
_ACCESS = frozenset({"web_password", "web_token", "web_path", "web_ingress"})
_LIVE = (
    frozenset({"watch", "top", "fast_window", "history_days", "history_events"})
    | _SOURCES
    | _NOTIFY
    | _ACCESS
)
"""Settings that change while a session listens; others need a restart."""

ClipsMaker: TypeAlias = Callable[[Settings, Sequence[str]], Clips | None]
"""Makes clips from settings and the names of the sources whose sound is kept; None if there are none."""


@dataclass(frozen=True, slots=True)
class Running:
    """Parts of the program that follow changed settings.

    Attributes
    ----------
    session : LiveSession
        Session that listens.
    watchlists : WatchLists
        Watched sounds.
    make_clips : callable
        Makes new clips.
    history : History, optional
        Stored events.
    sinks : sequence of Sink or None
        Those that show the highest tags follow the setting `top`.
    notifier : Notifier, optional
        Notifies people.
    set_access : callable, optional
        Takes settings; lets those in who may use the page from now on.
    """

    session: LiveSession
    watchlists: WatchLists
    make_clips: ClipsMaker
    history: History | None = None
    sinks: Sequence[Sink | None] = ()
    notifier: Notifier | None = None
    set_access: Callable[[Settings], None] | None = None


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """Changes of the sources.

    Attributes
    ----------
    names : sequence of str
        Names of all sources, in their new order.
    newcomers, exchanged : sequence of Source
        Sources under new names, and under names that stay.
    hop_samples : mapping of str to int
        Hop of each source.
    watch : mapping of str to sequence of Watch or None
        Lists of single sources that change; None where a source shares the common list from now on.
    clipped : collection of str
        Names of the sources whose sound is kept.
    renews_clips : bool
        True if the clips start over.
    clips : Clips or None
        New clips, if they start over.
    offsets_db : mapping of str to float or None
        Level in dB(A) of a sound of 0 dBFS at each source.
    """

    names: Sequence[str]
    newcomers: Sequence[Source]
    exchanged: Sequence[Source]
    hop_samples: Mapping[str, int]
    watch: Mapping[str, Sequence[Watch] | None]
    clipped: Collection[str]
    renews_clips: bool = False
    clips: Clips | None = None
    offsets_db: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that changes between two settings; it has been checked, and nothing has changed yet.

    Attributes
    ----------
    settings : Settings
        Settings that hold afterwards.
    applied, waiting : frozenset of str
        Names of the settings that change now, and of those that need a restart.
    sources : SourceChanges or None
        Changes of the sources, if there are any.
    notifications : notifier.Plan or None
        Other notifications, if they change.
    """

    settings: Settings
    applied: frozenset[str]
    waiting: frozenset[str] = field(default_factory=frozenset)
    sources: SourceChanges | None = None
    notifications: NotifyPlan | None = None


def diff(old: Settings, new: Settings, running: Running) -> Plan:
    """Plan the change from one settings to another.

    Raises
    ------
    StreamerError
        The new settings can't be applied.
    """
    changed = frozenset(old.changes_from(new))
    applied = changed & _LIVE
    notifications = _diff_notifications(new, running, is_changed=not applied.isdisjoint(_NOTIFY))
    if notifications is not None:
        applied |= (changed & _NOTIFY) or {"notify_file"}
    if "web" in changed:  # who is let in depends on the address, which needs a restart
        applied -= _ACCESS
    if "watch" in applied:
        running.watchlists.shared.check(new.watched)
    return Plan(
        settings=old.model_copy(update={name: getattr(new, name) for name in applied}),
        applied=applied,
        waiting=changed - applied,
        sources=_diff_sources(old, new, running) if applied & _SOURCES else None,
        notifications=notifications,
    )


def _diff_notifications(new: Settings, running: Running, *, is_changed: bool) -> NotifyPlan | None:
    """Return the notifications of new settings if these differ, or the addresses in their file; else None."""
    if not is_changed and (new.notify_file is None or running.notifier is None):
        return None
    plan = plan_notifications(new, running.watchlists.shared.labels)
    if is_changed or running.notifier is None or not running.notifier.has_targets_of(plan):
        return plan
    return None


def apply(plan: Plan, running: Running) -> None:
    """Apply a plan; sources that stay don't notice.

    Raises
    ------
    SourceError
        Listening is over; nothing has changed.
    """
    settings, sources = plan.settings, plan.sources
    if sources is not None:
        running.session.channels.check(source.name for source in sources.newcomers)
    if "watch" in plan.applied:
        running.watchlists.shared.replace(settings.watched)
    if running.history is not None and not plan.applied.isdisjoint({"history_days", "history_events"}):
        running.history.keep(days=settings.history_days, events=settings.history_events)
    if running.notifier is not None and plan.notifications is not None:
        running.notifier.change(plan.notifications)
    if running.set_access is not None and not plan.applied.isdisjoint(_ACCESS):
        running.set_access(settings)
    _apply_fast_window(plan, running)
    _apply_to_sinks(plan, running)
    if sources is not None:
        _apply_sources(sources, running)


def _apply_fast_window(plan: Plan, running: Running) -> None:
    if "fast_window" in plan.applied:
        running.session.channels.set_fast_window(plan.settings.fast_window_samples)


def _apply_to_sinks(plan: Plan, running: Running) -> None:
    for sink in running.sinks:
        if "top" in plan.applied and isinstance(sink, RankingSink):
            sink.top = plan.settings.top
        if plan.sources is not None and isinstance(sink, NoiseUnitSink):
            sink.set_noise_units(noise_units(plan.settings, plan.sources.names))


def _diff_sources(old: Settings, new: Settings, running: Running) -> SourceChanges:
    channels, watchlists = running.session.channels, running.watchlists
    before = dict(zip(channels.names, old.sources, strict=True))
    names, opened = _open_changed(channels.names, old, new)
    after = dict(zip(names, new.sources, strict=True))
    channels.check(source.name for source in opened if source.name not in before)
    watch = {
        name: source.watch
        for name, source in after.items()
        if source.watch != (before[name].watch if name in before else None)
    }
    for name, own in watch.items():
        if own is not None:
            watchlists.check(name, own)
    clipped_before, clipped = old.with_clips(channels.names), new.with_clips(names)
    stay = before.keys() & after.keys()
    renews_clips = (
        not old.changes_from(new).isdisjoint(_CLIPS)
        or stay.intersection(clipped_before) != stay.intersection(clipped)
        or bool(clipped and not clipped_before)
    )
    return SourceChanges(
        names=names,
        newcomers=[source for source in opened if source.name not in before],
        exchanged=[source for source in opened if source.name in before],
        hop_samples={name: source.hop_samples for name, source in after.items()},
        watch=watch,
        clipped=clipped,
        renews_clips=renews_clips,
        clips=running.make_clips(new, clipped)
        if renews_clips
        else None,  # last, as it tidies its folder at once
        offsets_db={name: source.noise_offset_db for name, source in after.items()},
    )


def _apply_sources(changes: SourceChanges, running: Running) -> None:
    channels, watchlists = running.session.channels, running.watchlists
    channels.set_hops(changes.hop_samples)
    channels.set_noise_offsets(changes.offsets_db)
    for name, watch in changes.watch.items():
        watchlists.replace(name, watch)
    if changes.renews_clips:
        channels.keep_clips(changes.clips)
    for source in changes.exchanged:
        channels.exchange(source.name, source)
    if list(changes.names) != list(channels.names):
        newcomers = [
            Input(
                source,
                changes.hop_samples[source.name],
                watchlists.of(source.name).sounds,
                clipped=source.name in changes.clipped,
                noise_offset_db=changes.offsets_db[source.name],
            )
            for source in changes.newcomers
        ]
        channels.rearrange(changes.names, newcomers)
    for name in watchlists.overrides.keys() - set(changes.names):
        del watchlists.overrides[name]


def _open_changed(names: Sequence[str], old: Settings, new: Settings) -> tuple[list[str], list[Source]]:
    """Return the names of the sources of new settings, and open those that are not read under their names already."""
    known = {(source.name, source.address): name for source, name in zip(old.sources, names, strict=True)}
    known |= {(name, address): name for (_, address), name in known.items()}
    kept = {source.address for source in new.sources if (source.name, source.address) in known}
    in_use = {source.address for source in old.sources} - kept
    wanted, opened = [], []
    for source in new.sources:
        name = known.get((source.name, source.address))
        if name is None:
            other = open_source(
                source.address,
                name=source.name,
                fast=new.fast,
                allow_missing=new.waits_for_sources,
                in_use=source.address in in_use,
            )
            opened.append(other)
            name = other.name
        wanted.append(name)
    check_apart(wanted, new)
    return wanted, opened


class LiveSettings:
    """Settings in force while a session listens.

    Parameters
    ----------
    settings : Settings
        Settings at the start.
    load : callable
        Reads the settings again.
    config : Path, optional
        Settings file, as for `load_settings`.
    running : Running
        Parts that follow changed settings.

    Attributes
    ----------
    current : Settings
        Settings in force.
    """

    def __init__(
        self, settings: Settings, load: Callable[[], Settings], config: Path | None, running: Running
    ) -> None:
        self.current = settings
        self._load = load
        self._config = config
        self._running = running
        self._chosen: dict[str, tuple[str, Source]] = {}
        self._retry_until: float | None = None  # time.monotonic(), while a reload waits
        self._retry_due = Every(_RETRY_SECONDS)

    def reload(self) -> None:
        """Read the settings again, and log what changes. If anything is wrong, nothing changes.

        If the name of a new source is still that of one that is shutting down, `go_on` tries again.
        """
        self._retry_until = time.monotonic() + _ENDING_SECONDS
        self._reload()

    def go_on(self) -> None:
        """Try again to apply settings that wait for the end of a source, and change quiet hours; called often."""
        if self._retry_until is not None and self._retry_due.due():
            self._reload()
        if requests := self._running.watchlists.take_quiet_requests():
            self._set_quiet({(source, sound): quiet for source, sound, quiet in requests})

    def _reload(self) -> None:
        try:
            plan = diff(self.current, self._load(), self._running)
            apply(plan, self._running)
        except EndingError as error:
            if self._retry_until is not None and time.monotonic() < self._retry_until:
                return
            self._retry_until = None
            _log.warning("settings not reloaded: %s", error)
            return
        except StreamerError as error:
            self._retry_until = None
            _log.warning("settings not reloaded: %s", error)
            return
        self._retry_until = None
        self.current = plan.settings
        if plan.applied:
            _log.info("settings changed: %s", _listed(plan.applied))
        if plan.waiting:
            _log.warning("settings that need a restart: %s", _listed(plan.waiting))
        if not (plan.applied or plan.waiting):
            _log.info("the settings have not changed")

    def _set_quiet(self, wanted: Mapping[tuple[str, str], str]) -> None:
        """Change quiet hours by source and sound, and write them to the settings file."""
        watchlists = self._running.watchlists
        if all(watchlists.quiet_of(*key) == quiet for key, quiet in wanted.items()):
            return
        saved: set[tuple[str | None, str]] = set()
        before = self._loaded()
        for (source, sound), quiet in wanted.items():
            try:
                if watchlists.quiet_of(source, sound) == quiet:
                    continue
                watchlists.of(source).set_quiet(sound, quiet)
                save_quiet(settings_file(self._config), watchlists, source, {sound: quiet})
                saved.add((source if source in watchlists.overrides else None, sound))
            except StreamerError as error:
                _log.warning("quiet hours of %s not saved: %s", sound, error)
        after = self._follow(before)
        if after is None:
            return
        for own, sound in saved:
            watchlist = watchlists.shared if own is None else watchlists.overrides[own]
            rule = _rules_in(after, own, watchlist).get(sound, {})
            if rule.get("quiet") != watchlist.rules[sound]["quiet"]:
                _log.warning(_OVERRIDDEN, _setting_of(own), f"the quiet hours of {sound} last")

    def _loaded(self) -> Settings | None:
        """Return the settings as they are set now; None if they are invalid."""
        try:
            return self._load()
        except StreamerError:
            return None

    def _follow(self, before: Settings | None) -> Settings | None:
        """Take over what has been written to the settings file since `before`; return the settings as they are set now.

        A setting that somebody has changed in the file before stays as it is until the next reload.
        """
        after = self._loaded()
        if before is not None and after is not None:
            written = before.changes_from(after) - before.changes_from(self.current)
            self.current = self.current.model_copy(update={name: getattr(after, name) for name in written})
        return after

    def health(self) -> Health:
        """Return the health of the session."""
        return self._running.session.health()

    def places(self) -> list[Place]:
        """Return the places where settings are set, except for the command line.

        Raises
        ------
        SettingsError
            The file can't be read.
        """
        return where_set({}, config=self._config)

    def choose(self, name: str, address: str) -> None:
        """Read another source under a name from now on.

        Raises
        ------
        SourceError
            The source is unknown or missing.
        """
        source = open_source(address, name=name, in_use=address == self.address_of(name))
        self._running.session.channels.exchange(name, source)
        self._chosen[name] = address, source

    def address_of(self, name: str) -> str:
        """Return the address that is read under a name; empty if no source has it."""
        address, source = self._chosen.get(name, ("", None))
        channels = self._running.session.channels
        if source is not None and channels.listens_to(source):
            return address
        addresses = (entry.address for entry in self.current.sources)
        return dict(zip(channels.names, addresses, strict=True)).get(name, "")

    def save(self, changes: Mapping[str, Any]) -> Path:
        """Write the chosen sources that are still read, the watched sounds and other changes to the settings file.

        Parameters
        ----------
        changes : mapping of str to value
            Other settings that change, as for `settings.file.edited`.

        Returns
        -------
        file : Path
            The settings file.

        Raises
        ------
        SettingsError, SourceError
            As for `settings.file.save`.
        """
        channels = self._running.session.channels
        entries = (entry if isinstance(entry, str) else None for entry in self.current.source)
        chosen = {
            name: address for name, (address, source) in self._chosen.items() if channels.listens_to(source)
        }
        file, before = settings_file(self._config), self._loaded()
        save(file, changes, self._running.watchlists, chosen, dict(zip(channels.names, entries, strict=True)))
        after = self._follow(before)
        if after is not None:
            for name in sorted(_without_effect(after, changes, chosen, self._running.watchlists)):
                _log.warning(_OVERRIDDEN, name, "your changes of it last")
        return file


def _without_effect(
    settings: Settings, changes: Mapping[str, Any], chosen: Mapping[str, str], watchlists: WatchLists
) -> set[str]:
    """Return the names of the settings that were saved, and that settings have otherwise."""
    names = {name for name, value in changes.items() if getattr(settings, name) != value}
    addresses = {source.name: source.address for source in settings.sources}
    if any(addresses.get(name) != address for name, address in chosen.items()):
        names.add("source")
    for source, watchlist in (None, watchlists.shared), *watchlists.overrides.items():
        if watchlist.changed and not _has_rules(_rules_in(settings, source, watchlist), watchlist.rules):
            names.add(_setting_of(source))
    return names


def _rules_in(
    settings: Settings, source: str | None, watchlist: WatchList
) -> Mapping[str, Mapping[str, Any]]:
    """Return the rules in settings by the name of the sound; `source` is None for the shared list."""
    watch = settings.watched if source is None else settings.watch_overrides.get(source)
    return {watchlist.name_of(entry.sound): entry.rule for entry in watch or ()}


def _has_rules(found: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return True if the same sounds are found, with these rules."""
    return found.keys() == rules.keys() and all(rule == found[name] for name, rule in rules.items())


def _setting_of(source: str | None) -> str:
    """Return the name of the setting that has the watch list of a source; `source` is None for the shared list."""
    return "watch" if source is None else "source"


def _listed(names: Collection[str]) -> str:
    """Return settings as users call them."""
    return ", ".join(sorted(Settings.model_fields[name].alias or name for name in names))
