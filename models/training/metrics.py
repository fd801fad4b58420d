"""Figures of merit: plain numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float:
    """Area under the precision-recall steps, as scikit-learn's `average_precision_score`.

    Parameters
    ----------
    scores : float (n,)
        Of one class.
    positive : bool (n,)
        Where it holds: at least once.

    Returns
    -------
    float
        0..1; equal scores count as one step.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = positive[order]
    last = np.append(np.diff(scores[order]) != 0, [True])  # the last of each run of equal scores
    hits = ranked.cumsum()[last]
    precision = hits / (np.flatnonzero(last) + 1)
    gained = np.diff(hits, prepend=0)
    return float((precision * gained).sum() / hits[-1])


def mean_average_precision(
    scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_], fewest: int = 1
) -> tuple[float, int]:
    """Mean of `average_precision` over the classes that hold at least `fewest` times: with their number; NaN for none.

    Parameters
    ----------
    scores : float (n, classes)
    positive : bool (n, classes)
    fewest : int
    """
    counted = np.flatnonzero(positive.sum(0) >= max(1, fewest))
    values = [average_precision(scores[:, index], positive[:, index]) for index in counted]
    return (float(np.mean(values)) if values else float("nan")), len(values)


def hits_in_top(
    scores: NDArray[np.floating[Any]], wanted: NDArray[np.integer[Any]], top: int
) -> NDArray[np.bool_]:
    """Whether the wanted class is among the `top` highest scores: (n, classes), (n,) -> bool (n,)."""
    highest = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    found: NDArray[np.bool_] = (highest == wanted[:, None]).any(1)
    return found
