"""Figures of merit, computed by scikit-learn where it has them."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from ..errors import TrainingError

Scores = NDArray[np.floating[Any]]
Truth = NDArray[np.bool_]

_NAN = float("nan")


class NonFiniteScoresError(TrainingError):
    """Score that is not a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """Figures of one class; NaN where they are not defined.

    Attributes
    ----------
    positives : int
        Number of recordings with the class.
    average_precision : float
        Average precision; needs a recording with the class.
    auc : float
        Area under the ROC curve; needs recordings with and without the class.
    precision, recall : float
        Precision and recall if the class with the highest score is the prediction; NaN if a recording has several classes or no class.
    """

    positives: int
    average_precision: float
    auc: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of a model; NaN where they are not defined.

    Attributes
    ----------
    mean_average_precision : float
        Mean over the classes that have an average precision.
    mean_auc : float
        Mean over the classes that have an area under the ROC curve.
    d_prime : float
        Distance of two normal distributions of unit variance with that area: sqrt(2) times the normal quantile of `mean_auc`, as AudioSet's
        authors and AST's define it; infinite for a perfect ranking.
    accuracy : float
        Share of the recordings whose highest score is that of a true class.
    per_class : tuple of ClassFigures
        Figures of the classes, in the order of the scores.
    """

    mean_average_precision: float
    mean_auc: float
    d_prime: float
    accuracy: float
    per_class: tuple[ClassFigures, ...]


def ranking_figures(scores: Scores, targets: Truth) -> Figures:
    """Compute the figures of merit of scores.

    Parameters
    ----------
    scores : float (n, classes)
        Scores of any scale, higher for likelier classes.
    targets : bool (n, classes)
        True labels.

    Raises
    ------
    NonFiniteScoresError
        A score is not a finite number.
    """
    if not np.isfinite(scores).all():
        raise NonFiniteScoresError(
            "the model's scores are not finite: measure it with --precision fp32, or train it again with a lower --rate"
        )
    predicted = scores.argmax(1) if len(scores) else np.empty(0, np.int64)
    single = bool((targets.sum(1) == 1).all())
    per_class = tuple(
        _class_figures(scores[:, index], targets[:, index], predicted == index if single else None)
        for index in range(targets.shape[1])
    )
    mean_auc = _mean([figures.auc for figures in per_class])
    return Figures(
        mean_average_precision=_mean([figures.average_precision for figures in per_class]),
        mean_auc=mean_auc,
        d_prime=_d_prime(mean_auc),
        accuracy=_mean(targets[np.arange(len(targets)), predicted].tolist()),
        per_class=per_class,
    )


def _class_figures(scores: Scores, positive: Truth, predicted: Truth | None) -> ClassFigures:
    positives = int(positive.sum())
    hits = _NAN if predicted is None else int((predicted & positive).sum())
    return ClassFigures(
        positives=positives,
        average_precision=float(average_precision_score(positive, scores)) if positives else _NAN,
        auc=float(roc_auc_score(positive, scores)) if 0 < positives < len(positive) else _NAN,
        precision=hits / int(predicted.sum()) if predicted is not None and predicted.any() else _NAN,
        recall=hits / positives if positives else _NAN,
    )


def _d_prime(auc: float) -> float:
    if not 0 < auc < 1:  # NaN too
        return math.copysign(math.inf, auc - 0.5) if auc in {0, 1} else _NAN
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def _mean(values: list[float]) -> float:
    """Return the mean of the values that are not NaN; NaN if there are no such values."""
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else _NAN


def mean_average_precision(scores: Scores, positive: Truth, fewest: int = 1) -> tuple[float, int]:
    """Return the mean average precision over the classes with at least `fewest` positives, and their number; NaN without such classes.

    Parameters
    ----------
    scores : float (n, classes)
    positive : bool (n, classes)
    fewest : int
    """
    counted = np.flatnonzero(positive.sum(0) >= max(1, fewest))
    values = [float(average_precision_score(positive[:, index], scores[:, index])) for index in counted]
    return _mean(values), len(values)


def hits_in_top(scores: Scores, wanted: NDArray[np.integer[Any]], top: int) -> NDArray[np.bool_]:
    """Return True where the wanted class is among the `top` highest scores: (n, classes), (n,) -> bool (n,)."""
    highest = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    found: NDArray[np.bool_] = (highest == wanted[:, None]).any(1)
    return found
