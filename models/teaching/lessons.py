"""Teaching a sound to a model: from its examples to a head, and to what can be expected of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import ExampleError
from .examples import Example, loudest, require_enough
from .heads import NEEDED_HITS, TrainedHead, learn
from .other_sounds import OtherSounds, embed_all, general_sounds, recorded_sounds
from .taught_sounds import TaughtHead, TaughtSound
from .taught_tagger import Embedder
from .variations import variations

Floats = NDArray[np.float32]

VARIATIONS = 6
"""Windows made of each example."""
RELIABLE = 0.5
"""Share of unseen examples that must be found, for a sound to be worth watching."""

_SPEECH = "Speech"
_MOSTLY_SPEECH = 0.5
_SEED = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Taught:
    """Result of teaching.

    Attributes
    ----------
    sound : TaughtSound
        The sound, with a head for one model.
    found : tuple of (str, bool)
        Name of each example, and True if it was found by a head that had not learned from it.
    recall : float
        Share of those that were found.
    others : int
        Number of windows with other sounds.
    nearest : tuple of str
        Names of the other sounds that come nearest, best first.
    """

    sound: TaughtSound
    found: tuple[tuple[str, bool], ...]
    recall: float
    others: int
    nearest: tuple[str, ...]

    @property
    def reliable(self) -> bool:
        """True if most unseen examples are found."""
        return self.recall >= RELIABLE


def teach_model(
    model: Embedder,
    name: str,
    examples: Sequence[Example],
    recordings: Sequence[Floats] = (),
    room: OtherSounds | None = None,
    report: Callable[[str, int, int], None] = lambda _part, _done, _of: None,
) -> Taught:
    """Teach a sound to a model, against sounds of all kinds.

    Parameters
    ----------
    model : Embedder
        The model.
    name : str
        Name of the sound.
    examples : sequence of Example
        Occurrences of the sound, at least three.
    recordings : sequence of float32 (n,)
        Recordings without the sound.
    room : OtherSounds, optional
        Windows of the room that were collected.
    report : callable
        Receives the name of a part, the number of its windows done and the total.

    Raises
    ------
    TeachingError
        As for `teach`.
    """
    require_enough(examples)
    others = general_sounds(model, partial(report, f"other sounds for {model.name}, once"))
    if room is not None:
        others += room
    if recordings:
        others += recorded_sounds(model, recordings, partial(report, "recordings without the sound"))
    return teach(model, name, examples, others, partial(report, f"teaching {model.name}"))


def teach(
    model: Embedder,
    name: str,
    examples: Sequence[Example],
    others: OtherSounds,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Taught:
    """Teach a sound to a model.

    Parameters
    ----------
    model : Embedder
        The model.
    name : str
        Name of the sound.
    examples : sequence of Example
        Occurrences of the sound, at least three.
    others : OtherSounds
        Windows with other sounds, by the same model.
    progress : callable
        Receives the number of windows done and the total.

    Raises
    ------
    TeachingError
        There are too few examples, two are the same, or one is mostly speech (`ExampleError`).
    """
    require_enough(examples)
    _require_no_speech(model, examples)
    random = np.random.default_rng(_SEED)
    windows = [
        window
        for example in examples
        for window in variations(example.samples, model.window_samples, VARIATIONS, random)
    ]
    embedded = embed_all(model, windows, progress).embeddings
    by_example = np.split(embedded, len(examples))
    trained = learn(by_example, others.embeddings)
    return _result(model, name, examples, others, trained)


def _result(
    model: Embedder, name: str, examples: Sequence[Example], others: OtherSounds, trained: TrainedHead
) -> Taught:
    """Return the sound, and how well it was learned."""
    head = TaughtHead(
        fingerprint=model.fingerprint,
        model=model.name,
        head=trained.head,
        recall=trained.recall,
        others=len(others.names),
    )
    sound = TaughtSound(
        name=name,
        examples=len(examples),
        taught_at=datetime.now(UTC).replace(microsecond=0),
        heads={model.fingerprint: head},
    )
    return Taught(
        sound=sound,
        found=tuple(
            (example.name, bool(hits >= NEEDED_HITS))
            for example, hits in zip(examples, trained.hits, strict=True)
        ),
        recall=trained.recall,
        others=len(others.names),
        nearest=tuple(dict.fromkeys(others.names[index] for index in trained.nearest)),
    )


def _require_no_speech(model: Embedder, examples: Sequence[Example]) -> None:
    """Raise an ExampleError if an example is mostly speech; a model without that class can't tell."""
    if _SPEECH not in model.labels:
        return
    speech = model.labels.index(_SPEECH)
    for example in examples:
        # An example may be kept from a model with longer windows.
        samples = loudest(example.samples, model.window_samples)
        scores, _ = model.scores_and_embeddings(samples[None])
        if scores[0, speech] >= _MOSTLY_SPEECH and scores[0].argmax() == speech:
            raise ExampleError(
                f"{example.name} is mostly speech: record the sound alone, or cut it out of the recording",
                example.name,
            )
