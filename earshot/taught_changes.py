"""Sounds and corrections that are taught, imported or removed while the program listens."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.events.watchlist import WatchLists
    from streamer.sinks.model_score_log import ModelScoreLog
    from streamer.sinks.payloads import LabelSet

    from .own_sounds import OwnColumns, SoundTagger

_LOOK_SECONDS = 0.5
_LINGER_SECONDS = 5.0
"""Time for which a sound that was removed keeps its name, because views still show its last score."""

_log = logging.getLogger(__name__)


class TaughtChanges:
    """Follows the folder of taught sounds: the models that tag, the watched sounds, and the names in all views.

    Parameters
    ----------
    columns : OwnColumns
        Columns of the sounds.
    label_set : LabelSet
        Names in all views.
    watchlists : WatchLists
        Watched sounds.
    log : ModelScoreLog, optional
        Log of all scores.
    """

    def __init__(
        self,
        columns: "OwnColumns",
        label_set: "LabelSet",
        watchlists: "WatchLists",
        log: "ModelScoreLog | None" = None,
    ) -> None:
        from streamer.runtime.timing import Every

        self._columns, self._label_set, self._watchlists, self._log = columns, label_set, watchlists, log
        self._taggers: Sequence[SoundTagger] = ()
        self._due = Every(_LOOK_SECONDS)
        self._nameless_at: float | None = None

    def use(self, taggers: "Sequence[SoundTagger]") -> None:
        """Keep these taggers up to date from now on."""
        self._taggers = taggers
        for tagger in taggers:
            tagger.gives_raw = self._log is not None
        self._teach()

    def go_on(self) -> None:
        """Follow the folder if it has changed; called often, from the main thread."""
        if self._nameless_at is not None and time.monotonic() >= self._nameless_at:
            self._nameless_at = None
            self._name_columns(self._columns.names)
        if self._due.due() and self._columns.have_changed:
            self._follow()

    def _follow(self) -> None:
        before = set(filter(None, self._columns.names))
        self._columns.read()
        names = set(filter(None, self._columns.names))
        added, removed = sorted(names - before), sorted(before - names)
        self._name_columns(self._columns.known)
        self._teach()
        thresholds = self._taggers[0].thresholds if self._taggers else None
        if added or removed:
            self._watchlists.follow_taught(added, removed, self._columns.labels, thresholds)
            self._nameless_at = time.monotonic() + _LINGER_SECONDS
        if added and self._log is not None and self._taggers:
            self._log.follow_taught(self._columns.labels_so_far, thresholds)
        self._report(added, removed)

    def _report(self, added: Sequence[str], removed: Sequence[str]) -> None:
        for name in removed:
            _log.info("'%s' was removed", name)
        for name in added:
            _log.info("listening for '%s' from now on", name)
        if not (added or removed):
            _log.info("taught sounds or corrections have changed, and are in use")
        for tagger in self._taggers:
            if unknown := tagger.describe_unknown():
                _log.warning("%s", unknown)

    def _teach(self) -> None:
        for tagger in self._taggers:
            tagger.set_sounds(self._columns.sounds, self._columns.names)

    def _name_columns(self, names: Sequence[str]) -> None:
        for number, name in enumerate(names, len(self._columns.base)):
            self._label_set.rename(number, name)
