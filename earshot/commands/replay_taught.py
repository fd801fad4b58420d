"""Logged scores with the sounds and corrections that are taught now, for the command ``replay``."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.teaching.taught_sounds import TaughtSounds
from models.teaching.taught_tagger import TaughtTagger
from streamer.errors import SinkError
from streamer.events.own_sounds import own_sounds_folder
from streamer.messages import RawScores, Samples, SourceStatus, Tagging

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from streamer.sinks.score_log import LoggedScores


@dataclass(slots=True)
class _LoggedModel:
    """The model of a log, which can score nothing any more."""

    name: str
    fingerprint: str
    labels: tuple[str, ...]
    thresholds: Samples | None
    window_samples: int = 0
    engine: Any = None

    def __call__(self, samples: "ArrayLike", /) -> Samples:
        raise NotImplementedError

    def scores_and_embeddings(self, samples: "ArrayLike") -> tuple[Samples, Samples]:
        raise NotImplementedError


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
        self._tagger = TaughtTagger(self._model, TaughtSounds(own_sounds_folder()).readable())
        self.labels, self.thresholds = self._tagger.labels, self._tagger.thresholds

    def messages(self) -> Iterator[Tagging | SourceStatus]:
        """Yield the messages of the log, with these scores."""
        for message in self._logged.messages():
            yield replace(message, scores=self._scores(message)) if isinstance(message, Tagging) else message

    def _scores(self, tagging: Tagging) -> Samples:
        match tagging.raw:
            case RawScores(fingerprint=fingerprint, scores=scores, embedding=embedding):
                self._model.fingerprint = fingerprint
                joined: Samples = self._tagger.joined(scores[None], embedding[None])[0]
                return joined
            case _:
                own = tagging.scores[: len(self._model.labels)]
                return np.pad(own, (0, len(self.labels) - len(own)))
