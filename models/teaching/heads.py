"""Heads: a taught sound as a weight for each component of an embedding.

A head is a logistic regression on standardised embeddings, one sound against all others (the way of openWakeWord's verifiers). Its threshold comes
from sounds that it has not seen: each example is left out once, and so is each part of the other sounds.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NEEDED_HITS = 2
"""Windows in which an example must be found: an event takes as many, and a sound is in about ten windows of a stream."""

FALSE_SHARE = 0.001
"""Share of other sounds that may reach the threshold."""

_INVERSE_PENALTIES = (0.01, 0.1, 1.0)
"""Scikit-learn's `C`: a sound that is always the same needs a large one, and one that differs from time to time often a small one."""
_FOLDS = 5
_BLOCK = 20
_TAIL_SCORES = 50
"""Number of the highest scores of other sounds that give the tail; the threshold can lie beyond the highest of them."""
_LARGEST_TAIL_SHARE = 0.25
_MOST_STEPS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Linear function from embeddings to a score.

    Attributes
    ----------
    weights : float32 (width,)
        Weight of each component.
    bias : float
        Bias; the score is 0.5 at the threshold.
    """

    weights: Floats
    bias: float

    def logits(self, embeddings: Floats) -> Floats:
        """Embeddings float32 (batch, width) -> logits float32 (batch,); 0 is the threshold."""
        logits: Floats = embeddings @ self.weights + np.float32(self.bias)
        return logits

    def scores(self, embeddings: Floats) -> Floats:
        """Embeddings float32 (batch, width) -> scores float32 (batch,) in 0..1."""
        halves: Floats = 0.5 * (1 + np.tanh(0.5 * self.logits(embeddings)))
        return halves.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """A head with what it does on sounds that it has not seen.

    Attributes
    ----------
    head : Head
        Head that learned from all examples.
    hits : int32 (examples,)
        Number of windows with each example in which a head finds it that learned from the other examples.
    nearest : int32 (k,)
        Other sounds that come nearest, best first.
    """

    head: Head
    hits: NDArray[np.int32]
    nearest: NDArray[np.int32]

    @property
    def recall(self) -> float:
        """Share of unseen examples that are found."""
        return float((self.hits >= NEEDED_HITS).mean())


def learn(
    examples: Sequence[Floats],
    others: Floats,
    *,
    false_share: float = FALSE_SHARE,
    inverse_penalties: Sequence[float] = _INVERSE_PENALTIES,
) -> TrainedHead:
    """Learn a head, with the penalty that finds most windows of unseen examples.

    Parameters
    ----------
    examples : sequence of float32 (variations, width)
        Embeddings of windows with each example, at least two.
    others : float32 (windows, width)
        Embeddings of windows with other sounds.
    false_share : float
        Share of other sounds that may reach the threshold.
    inverse_penalties : sequence of float
        Weights of the data against small weights to choose from.

    Raises
    ------
    ValueError
        There are fewer than two examples, or fewer other sounds than folds.
    """
    if len(examples) < 2 or len(others) < _FOLDS:
        raise ValueError(f"a head needs 2 examples and {_FOLDS} other sounds")
    trials = [_try(examples, others, false_share, penalty) for penalty in sorted(inverse_penalties)]
    best = max(trials, key=lambda trial: trial.found)  # the smallest of equals
    whole = _fit(np.concatenate(examples), others, best.inverse_penalty)
    return TrainedHead(
        head=Head(whole.weights, whole.bias - best.threshold),
        hits=best.hits,
        nearest=np.argsort(-best.unseen_others)[:_FOLDS].astype(np.int32),
    )


def tail_threshold(scores: Floats, share: float) -> float:
    """Return the score that a share of sounds like these exceeds.

    With few sounds this lies beyond the highest score: the highest scores are then continued as an exponential distribution (the method of
    peaks over a threshold, Pickands 1975).
    """
    tail_share = min(_TAIL_SCORES / len(scores), _LARGEST_TAIL_SHARE)
    if share >= tail_share:
        return float(np.quantile(scores, 1 - share))
    start = float(np.quantile(scores, 1 - tail_share))
    excess = scores[scores > start] - start
    mean_excess = float(excess.mean()) if len(excess) else 0.0
    beyond = start + mean_excess * float(np.log(tail_share / share))
    return max(beyond, float(np.quantile(scores, 1 - share)))


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Heads with one penalty on sounds that they have not seen."""

    inverse_penalty: float
    threshold: float
    hits: NDArray[np.int32]
    found: float
    unseen_others: Floats


def _try(examples: Sequence[Floats], others: Floats, false_share: float, inverse_penalty: float) -> _Trial:
    unseen, unseen_others = _unseen(examples, others, inverse_penalty)
    threshold = tail_threshold(unseen_others, false_share)
    return _Trial(
        inverse_penalty,
        threshold,
        hits=np.array([(scores >= threshold).sum() for scores in unseen], np.int32),
        found=float(np.mean([(scores >= threshold).mean() for scores in unseen])),
        unseen_others=unseen_others,
    )


def _unseen(
    examples: Sequence[Floats], others: Floats, inverse_penalty: float
) -> tuple[list[Floats], Floats]:
    """Return the logits of each example and of the other sounds, by heads that have not learned from them."""
    # Neighbours are in one fold, because the windows of a recording or of a room are alike.
    folds = np.arange(len(others)) // max(1, min(_BLOCK, len(others) // (_FOLDS**2))) % _FOLDS
    total, counts = np.zeros(len(others), np.float32), np.zeros(len(others), np.int32)
    scores = []
    for number in range(max(len(examples), _FOLDS)):
        left_out, fold = number % len(examples), folds == number % _FOLDS
        rest = [example for index, example in enumerate(examples) if index != left_out]
        head = _fit(np.concatenate(rest), others[~fold], inverse_penalty)
        total[fold] += head.logits(others[fold])
        counts[fold] += 1
        if number < len(examples):
            scores.append(head.logits(examples[left_out]))
    return scores, (total / counts).astype(np.float32)


def _fit(examples: Floats, others: Floats, inverse_penalty: float) -> Head:
    """Fit a head to windows with the sound (batch, width) and without it (batch, width)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    data = np.concatenate((examples, others)).astype(np.float64)
    centre, spread = data.mean(0), data.std(0) + 1e-6
    is_sound = np.arange(len(data)) < len(examples)
    model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((data - centre) / spread, is_sound)
    weights: Doubles = model.coef_[0] / spread
    return Head(weights.astype(np.float32), float(model.intercept_[0] - weights @ centre))
