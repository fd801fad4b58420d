"""Confusions of classes, and classes ranked by average precision."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .agreement import FEWEST_POSITIVES, HOLDS, SURE, Scored, without_silence
from .metrics import ranking_figures
from .pack import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Confusion of two classes.

    Attributes
    ----------
    taught, heard : str
        First class of the teacher, which is sure of it, and first class of the model.
    clips : int
        Number of clips with this confusion.
    of : int
        Number of clips with that first class of the teacher.
    """

    taught: str
    heard: str
    clips: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPrecision:
    """Average precision of a class.

    Attributes
    ----------
    label : str
        Name of the class.
    positives : int
        Number of clips with the class according to the teacher, at least 5.
    average_precision : float
        Average precision of the model's scores.
    """

    label: str
    positives: int
    average_precision: float


def confusions(scored: Scored, pack: Pack) -> list[Confusion]:
    """Return all pairs of different first classes, the most frequent first, where the teacher is sure, without ``Silence``.

    Parameters
    ----------
    scored : Scored
        Scores of one place.
    pack : Pack
        Pack that was scored.
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
    """Return the average precision of classes with at least 5 clips, the best first, without ``Silence``.

    Parameters
    ----------
    scored : Scored
        Scores of one place.
    pack : Pack
        Pack that was scored.

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
    """Return the names of the teacher's classes."""
    return [pack.labels[index] for index in pack.teacher_to_student]
