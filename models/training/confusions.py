"""Which classes a model takes for others, and which ones it finds best and worst."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .agreement import FEWEST_POSITIVES, HOLDS, SURE, Scored, without_silence
from .metrics import ranking_figures
from .pack import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """A class that is taken for another one.

    Attributes
    ----------
    taught, heard : str
        The teacher's sure first class, and the model's first class in its stead.
    clips : int
        How often that happens.
    of : int
        Clips with that first class of the teacher's.
    """

    taught: str
    heard: str
    clips: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPrecision:
    """How well a class is found.

    Attributes
    ----------
    label : str
        Its name.
    positives : int
        Clips in which it holds, for the teacher: at least 5.
    average_precision : float
        Of the model's scores.
    """

    label: str
    positives: int
    average_precision: float


def confusions(scored: Scored, pack: Pack) -> list[Confusion]:
    """All pairs of unlike first classes, the most frequent first, where the teacher is sure; ``Silence`` doesn't count.

    Parameters
    ----------
    scored : Scored
        Of one place.
    pack : Pack
        That was scored.
    """
    audible = without_silence(scored, pack.silence)
    sure = audible.truth.max(1) > SURE
    expected = audible.truth[sure].argmax(1).tolist()
    occurrences = Counter(expected)
    pairs = Counter(zip(expected, audible.scores[sure].argmax(1).tolist(), strict=True))
    names = _names(pack)
    return [
        Confusion(taught=names[first], heard=names[other], clips=clips, of=occurrences[first])
        for (first, other), clips in pairs.most_common()
        if first != other
    ]


def class_precisions(scored: Scored, pack: Pack) -> list[ClassPrecision]:
    """Average precision of the classes that hold in at least 5 clips, the best first; ``Silence`` doesn't count.

    Parameters
    ----------
    scored : Scored
        Of one place.
    pack : Pack
        That was scored.

    Raises
    ------
    NonFiniteScoresError
        A score is not a finite number.
    """
    audible = without_silence(scored, pack.silence)
    holds = audible.truth > HOLDS
    counted = np.flatnonzero(holds.sum(0) >= FEWEST_POSITIVES)
    if not len(counted):
        return []
    figures = ranking_figures(audible.scores[:, counted], holds[:, counted]).per_class
    names = _names(pack)
    classes = [
        ClassPrecision(
            label=names[index],
            positives=found.positives,
            average_precision=found.average_precision,
        )
        for index, found in zip(counted, figures, strict=True)
    ]
    return sorted(classes, key=lambda entry: entry.average_precision, reverse=True)


def _names(pack: Pack) -> list[str]:
    """Of the teacher's classes."""
    return [pack.labels[index] for index in pack.teacher_to_student]
