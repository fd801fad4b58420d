"""Other sources that are chosen while a session listens, and how they get into the settings file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..events.watchlist import WatchLists
from ..settings.file import save
from ..settings.loading import settings_file
from ..settings.schema import Settings
from ..sources import Source, open_source
from .session import LiveSession


class Choices:
    """What somebody who looks on has chosen to listen to. It is saved together with what is watched.

    Parameters
    ----------
    settings : callable
        Returns the settings in force.
    config : Path, optional
        The settings file, as for `load_settings`.
    watchlists : WatchLists
        What is watched.
    session : LiveSession
        Which listens to the sources of the settings.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        config: Path | None,
        watchlists: WatchLists,
        session: LiveSession,
    ) -> None:
        self._settings = settings
        self._config = config
        self._watchlists = watchlists
        self._session = session
        self._chosen: dict[str, tuple[str, Source]] = {}

    def choose(self, name: str, spec: str) -> None:
        """Listen to something else under the name of a source from now on.

        Raises
        ------
        SourceError
            The specification says nothing we know, or what it means is not there.
        """
        source = open_source(spec)
        source.name = name
        self._session.exchange(name, source)
        self._chosen[name] = spec, source

    def save(self, changes: Mapping[str, Any]) -> Path:
        """Write what was chosen, and is still listened to, into the settings file, and what is watched, and other changes.

        Parameters
        ----------
        changes : mapping of str to value
            Of other settings, as for `settings_file.edited`.

        Returns
        -------
        file : Path
            The settings file.

        Raises
        ------
        SettingsError, SourceError
            As `settings_file.save` does.
        """
        names = self._session.names
        entries = (entry if isinstance(entry, str) else None for entry in self._settings().source)
        chosen = {
            name: spec for name, (spec, source) in self._chosen.items() if self._session.listens_to(source)
        }
        file = settings_file(self._config)
        save(file, changes, self._watchlists, chosen, dict(zip(names, entries, strict=True)))
        return file
