"""A tagger whose classes are those of a model and the taught sounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .heads import Head
from .taught_labels import with_taught_labels
from .taught_sounds import TaughtSound

if TYPE_CHECKING:
    from ..remote import RemoteTagger

Floats = NDArray[np.float32]

THRESHOLD = 0.5
"""Threshold of all taught sounds: their scores are made for it."""

_STEEPNESS = 4.0
"""Lowering of a score with the logit of a correction: by a half at 0.17 above its threshold."""


class Scored(Protocol):
    """A model as its scores need it."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of its weights."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def thresholds(self) -> Floats | None:
        """Thresholds of the classes, if the model has some."""
        ...


class Embedder(Scored, Protocol):
    """A model as teaching needs it."""

    @property
    def window_samples(self) -> int:
        """Largest number of samples in a window."""
        ...

    @property
    def engine(self) -> Any:
        """Engine that runs the network; its `description` names it."""
        ...

    def __call__(self, samples: ArrayLike, /) -> Floats:
        """Samples float32 (batch, n) -> scores float32 (batch, classes)."""
        ...

    def scores_and_embeddings(self, samples: ArrayLike) -> tuple[Floats, Floats]:
        """Samples float32 (batch, n) -> scores (batch, classes), embeddings (batch, width)."""
        ...


@dataclass(frozen=True, slots=True)
class _Heads:
    """Heads for the model with a fingerprint: with the column of each taught sound, and those that a correction lowers."""

    fingerprint: str
    columns: Sequence[tuple[int, Head]] = ()
    lowered: Sequence[tuple[list[int], Sequence[Head]]] = ()


@dataclass(slots=True)
class _Taught:
    """Sounds and corrections at one time; `added` has the name of each further column, "" for one without a sound."""

    sounds: Mapping[str, TaughtSound]
    corrections: Sequence[TaughtSound]
    labels: tuple[str, ...]
    added: tuple[str, ...]
    heads: _Heads = field(default_factory=lambda: _Heads(""))


class TaughtColumns:
    """Columns of taught sounds beside the scores of a model, from its embeddings. Corrections lower scores of the model.

    A sound that was taught to other models only has a column too, with a score of 0.

    Parameters
    ----------
    model : Scored
        The model.
    sounds : sequence of TaughtSound
        Taught sounds and corrections.
    names : sequence of str, optional
        Name of each further column, "" for one without a sound; those of `sounds` by default.

    Attributes
    ----------
    on_embeddings : callable, optional
        Receives the embeddings (batch, width) of all windows that are scored.
    """

    def __init__(
        self, model: Scored, sounds: Sequence[TaughtSound], names: Sequence[str] | None = None
    ) -> None:
        self._scored = model
        self.on_embeddings: Callable[[Floats], None] | None = None
        self.set_sounds(sounds, names)

    def set_sounds(self, sounds: Sequence[TaughtSound], names: Sequence[str] | None = None) -> None:
        """Take other sounds and corrections from the next call on; from any thread. Parameters as for the class."""
        own = {sound.name: sound for sound in sounds if not sound.lowers}
        labels = with_taught_labels(self._scored.labels, list(own) if names is None else names)
        self._taught = _Taught(
            own, [sound for sound in sounds if sound.lowers], labels, labels[len(self._scored.labels) :]
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the model, then the names of the sounds."""
        return self._taught.labels

    @property
    def model_labels(self) -> tuple[str, ...]:
        """Labels of the model."""
        return self._scored.labels

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._scored.name

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model, which changes with that of workers."""
        return self._scored.fingerprint

    @property
    def thresholds(self) -> Floats | None:
        """Thresholds of the model, 0 where it has none, then those of the sounds: float32 (labels,); None if there are none at all."""
        own, added = self._scored.thresholds, len(self._taught.added)
        if not added:
            return own
        if own is None:
            own = np.zeros(len(self._scored.labels), np.float32)
        return np.concatenate((own, np.full(added, THRESHOLD, np.float32)))

    @property
    def needs_embeddings(self) -> bool:
        """True if there is a head for the model, or a receiver of its embeddings."""
        heads = self._heads_of(self._taught, self.fingerprint)
        return bool(heads.columns or heads.lowered or self.on_embeddings)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the sounds that were not taught to this model."""
        taught = self._taught
        known = {name for name, sound in taught.sounds.items() if self.fingerprint in sound.heads}
        return tuple(name for name in taught.added if name and name not in known)

    def describe_unknown(self) -> str:
        """Return a sentence about the sounds and corrections that the model does not have; empty if there are none."""
        corrections = self._taught.corrections
        corrected = [sound.name for sound in corrections if self.fingerprint not in sound.heads]
        missing = [*self.unknown, *(f"the correction of {name}" for name in corrected)]
        if not missing:
            return ""
        were, are = ("was", "is") if len(missing) == 1 else ("were", "are")
        return (
            f"{' and '.join(missing)} {were} taught to another model or window, and {are} unknown to {self.name}: "
            "run earshot teach again, or choose that model and --window"
        )

    def widened(self, scores: Floats) -> Floats:
        """Return the scores of the model (batch, classes) with 0 for each taught sound: (batch, labels)."""
        added = len(self._taught.added)
        return np.pad(scores, ((0, 0), (0, added))) if added else scores

    def joined(self, scores: Floats, embeddings: Floats) -> Floats:
        """Return the scores of the model (batch, classes) with those of the taught sounds, from embeddings (batch, width): (batch, labels).

        A taught sound has a score of 0 where its model's embedding is missing: a row of NaN, or one of another width.
        """
        if self.on_embeddings is not None:
            self.on_embeddings(embeddings)
        taught = self._taught  # once, because it may be replaced meanwhile
        columns = np.zeros((len(scores), len(taught.added)), np.float32)
        heads = self._heads_of(taught, self.fingerprint)
        for column, head in heads.columns:
            if embeddings.shape[1] == len(head.weights):
                columns[:, column] = np.nan_to_num(head.scores(embeddings))
        if heads.lowered:
            scores = scores.copy()
        for classes, corrections in heads.lowered:
            if embeddings.shape[1] == len(corrections[0].weights):
                scores[:, classes] *= lowering(corrections, embeddings)[:, None]
        return np.concatenate((scores, columns), axis=1)

    def _heads_of(self, taught: _Taught, fingerprint: str) -> _Heads:
        """Return the heads for a model; workers may change theirs."""
        heads = taught.heads
        if heads.fingerprint != fingerprint:
            heads = taught.heads = _Heads(
                fingerprint,
                [
                    (column, taught.sounds[name].heads[fingerprint].head)
                    for column, name in enumerate(taught.added)
                    if name in taught.sounds and fingerprint in taught.sounds[name].heads
                ],
                [
                    (self._columns(sound.lowers), (head.head, *head.further))
                    for sound in taught.corrections
                    if (head := sound.heads.get(fingerprint))
                ],
            )
        return heads

    def _columns(self, names: Sequence[str]) -> list[int]:
        wanted = {name.casefold() for name in names}
        return [index for index, label in enumerate(self._scored.labels) if label.casefold() in wanted]


class TaughtTagger(TaughtColumns):
    """A model with taught sounds: their scores are further columns, from the embeddings of the same forward pass.

    Parameters and attributes as for `TaughtColumns`.

    Parameters
    ----------
    model : Embedder
        The model.

    Attributes
    ----------
    engine
        That of the model.
    gives_raw : bool
        True if a stream is to keep the scores of the model itself, for a log.
    """

    def __init__(
        self, model: Embedder, sounds: Sequence[TaughtSound], names: Sequence[str] | None = None
    ) -> None:
        super().__init__(model, sounds, names)
        self._model = model
        self.engine = model.engine
        self.gives_raw = False

    @property
    def window_samples(self) -> int:
        """Largest number of samples in a window."""
        return self._model.window_samples

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._model!r} and {len(self._taught.added)} taught sounds>"

    def __call__(self, samples: ArrayLike) -> Floats:
        """Score windows: float32 (batch, n) -> float32 (batch, labels) in 0..1."""
        if not self.needs_embeddings:
            return self.widened(self._model(samples))
        return self.joined(*self._model.scores_and_embeddings(samples))

    def raw(self, samples: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Score windows: float32 (batch, n) -> scores (batch, labels), scores of the model (batch, classes), embeddings (batch, width)."""
        scores, embeddings = self._model.scores_and_embeddings(samples)
        return self.joined(scores, embeddings), scores, embeddings


class TaughtWorkers(TaughtTagger):
    """A model on workers with taught sounds. Parameters and attributes as for `TaughtTagger`.

    Attributes
    ----------
    largest_batch : int
        Most windows in one call.
    """

    def __init__(
        self, model: "RemoteTagger", sounds: Sequence[TaughtSound], names: Sequence[str] | None = None
    ) -> None:
        super().__init__(model, sounds, names)
        self._workers = model
        self.largest_batch = model.largest_batch

    @property
    def traffic(self) -> Any:
        """Figures of the requests so far."""
        return self._workers.traffic

    def in_time(self, samples: Floats, seconds: float, /) -> Floats:
        """Score windows of live sound within a time; a window without an answer has a row whose scores are NaN."""
        if not self.needs_embeddings:
            return self.widened(self._workers.in_time(samples, seconds))
        return self.joined(*self._workers.both_in_time(samples, seconds))


def lowering(heads: Sequence[Head], embeddings: Floats) -> Floats:
    """Return the factors (batch,) by which a correction's heads lower scores, from embeddings (batch, width): 1 below all thresholds and without an embedding."""
    logits = np.max([head.logits(embeddings) for head in heads], axis=0)
    factors: Floats = np.exp(-_STEEPNESS * np.nan_to_num(logits).clip(min=0))
    return factors


def with_taught(
    model: "Embedder | RemoteTagger", sounds: Sequence[TaughtSound], names: Sequence[str] | None = None
) -> TaughtTagger:
    """Return a model with taught sounds; parameters as for `TaughtTagger`."""
    if hasattr(model, "in_time"):  # workers, whose client need not be imported for a model on this machine
        return TaughtWorkers(cast("RemoteTagger", model), sounds, names)
    return TaughtTagger(model, sounds, names)
