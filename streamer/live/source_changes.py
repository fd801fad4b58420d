"""Sources that come, go and change while a session listens: all of it is planned first, and then done."""

from collections.abc import Callable, Sequence

from ..events.watchlist import WatchLists
from ..settings.schema import Settings
from ..sinks.clips.recorder import Clips
from ..sources import Source, open_source
from .assembly import check_apart
from .session import LiveSession

CLIPS = tuple(name for name in Settings.model_fields if name.startswith("clips"))
"""The settings of what sound is kept."""


def take_sources(
    watchlists: WatchLists,
    session: LiveSession,
    make_clips: Callable[[Settings, Sequence[str]], Clips | None],
    old: Settings,
    new: Settings,
) -> Callable[[], None]:
    """Plan who is listened to from now on, and what each source has of its own: its sounds, its hop, and whether sound is kept.

    Parameters
    ----------
    watchlists : WatchLists
        What is watched.
    session : LiveSession
        Which listens to the sources of `old`.
    make_clips : callable
        Makes what keeps the sound of events, from settings and the names of the sources whose sound is kept.
    old, new : Settings
        Those in force, and those to be.

    Returns
    -------
    take : callable
        Does it; the sources that stay don't notice.

    Raises
    ------
    StreamerError
        It can't be done; nothing has changed.
    """
    names, others = _opened(session.names, old, new)
    before = dict(zip(session.names, old.sources, strict=True))
    after = dict(zip(names, new.sources, strict=True))
    newcomers = [other for other in others if other.name not in before]
    exchanged = [other for other in others if other.name in before]
    session.check(newcomer.name for newcomer in newcomers)
    new_lists = {
        name: source.watch
        for name, source in after.items()
        if source.watch != (before[name].watch if name in before else None)
    }
    for name, watch in new_lists.items():
        if watch is not None:
            watchlists.check(name, watch)
    stay = before.keys() & after.keys()
    kept_before, kept = old.with_clips(session.names), new.with_clips(names)
    begin_clips = (
        not old.changes_from(new).isdisjoint(CLIPS)
        or stay.intersection(kept_before) != stay.intersection(kept)
        or bool(kept and not kept_before)
    )
    clips = make_clips(new, kept) if begin_clips else None

    def take() -> None:
        session.pace({name: source.hop_samples for name, source in after.items()})
        for name, watch in new_lists.items():
            watchlists.replace(name, watch)
        if begin_clips:
            session.keep_clips(clips)
        for other in exchanged:
            session.exchange(other.name, other)
        if names != list(session.names):
            session.rearrange(names, newcomers, clipped=kept)
        for name in watchlists.overrides.keys() - after.keys():
            del watchlists.overrides[name]

    return take


def _opened(names: Sequence[str], old: Settings, new: Settings) -> tuple[list[str], list[Source]]:
    """Name the sources of new settings, and open those of them that are not what is listened to under their names."""
    known = {(source.name, source.address): name for source, name in zip(old.sources, names, strict=True)}
    known |= {(name, spec): name for (_, spec), name in known.items()}
    wanted, others = [], []
    for source in new.sources:
        name = known.get((source.name, source.address))
        if name is None:
            other = open_source(
                source.address, name=source.name, fast=new.fast, allow_missing=new.waits_for_sources
            )
            others.append(other)
            name = other.name
        wanted.append(name)
    check_apart(wanted, new)
    return wanted, others
