"""Logged scores with the sounds and corrections that are taught now, for the command ``replay``."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.teaching.taught_sounds import TaughtSounds
from models.teaching.taught_tagger import TaughtColumns
from streamer.errors import SinkError
from streamer.events.own_sounds import own_sounds_folder
from streamer.messages import RawScores, Samples, SourceStatus, Tagging

if TYPE_CHECKING:
    from streamer.sinks.score_log import LoggedScores


@dataclass(slots=True)
class _LoggedModel:
    """The model whose scores a log has."""

    name: str
    fingerprint: str
    labels: tuple[str, ...]
    thresholds: Samples | None


class TaughtReplay:
    """Taggings of a log, with scores for the sounds and corrections that are taught now.

    Parameters
    ----------
    logged : LoggedScores
        The log.

    Attributes
    ----------
    labels : tuple of str
        Labels of the model, then the names of the sounds.
    thresholds : float32 (labels,) or None
        Their thresholds.

    Raises
    ------
    SinkError
        The log has no embeddings.
    """

    def __init__(self, logged: "LoggedScores") -> None:
        self._logged = logged
        first = next(
            (message.raw for message in logged.messages() if isinstance(message, Tagging) and message.raw),
            None,
        )
        if first is None:
            raise SinkError(
                "this score log has no embeddings, because workers or an earlier version wrote it: leave out --taught"
            )
        count = len(first.scores)
        thresholds = None if logged.thresholds is None else logged.thresholds[:count]
        self._model = _LoggedModel(logged.model, first.fingerprint, logged.labels[:count], thresholds)
        self._columns = TaughtColumns(self._model, TaughtSounds(own_sounds_folder()).readable())
        self.labels, self.thresholds = self._columns.labels, self._columns.thresholds

    def messages(self) -> Iterator[Tagging | SourceStatus]:
        """Yield the messages of the log, with these scores."""
        for message in self._logged.messages():
            yield replace(message, scores=self._scores(message)) if isinstance(message, Tagging) else message

    def _scores(self, tagging: Tagging) -> Samples:
        match tagging.raw:
            case RawScores(fingerprint=fingerprint, scores=scores, embedding=embedding):
                self._model.fingerprint = fingerprint
                joined: Samples = self._columns.joined(scores[None], embedding[None])[0]
                return joined
            case _:
                own = tagging.scores[: len(self._model.labels)]
                return np.pad(own, (0, len(self.labels) - len(own)))
