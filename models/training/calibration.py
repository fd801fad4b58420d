"""Calibration of a model's scores to probabilities, and choice of a threshold for each class.

First one slope and one offset for the logits of all classes are fitted to clips of the training part (Platt 1999; Guo et al., "On Calibration
of Modern Neural Networks", 2017). Then each class gets its own, near the common ones, from clips of the validation part that the model has not
learned: there, frequent classes such as speech and music are often heard where they are not. Both are folded into the last layer, so that they
cost nothing when the model runs. At last the thresholds are chosen with the clips of the validation part, and raised above the scores of wrong
classes in backgrounds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F  # noqa: N812 - the conventional name

from ..checkpoints import Checkpoint
from ..errors import TrainingError
from ..local import tagger_of
from .agreement import HOLDS, SURE, Scored, Scorer, clips_to_score, score_beside, score_places
from .background import FalseAlarms, measure_background
from .duplicates import Recordings
from .library import log_energies, named_energies
from .pack import Pack, Split
from .teachers import TEACHERS

Floats: TypeAlias = NDArray[np.float32]
Truth: TypeAlias = NDArray[np.bool_]

TRAINING_CLIPS = 600
"""Number of clips of each pack that the common slope and offset are fitted to."""
BACKGROUND_SECONDS = 600.0
"""Length of each background."""

_COMMON = 20.0
"""Weight of the common slope and offset against the cross entropy of clips: for a distance of 1 from the common offset or log slope."""
_FITTING_STEPS = 200

_PRECISION = 0.7
_LOWEST, _HIGHEST = 0.15, 0.9
_STEP = 0.01
_PRIOR_CLIPS = 5.0
_MARGIN = 0.2
_BACKGROUND_SEEDS = (1, 2, 3, 4, 5, 6)
"""Seeds other than the default of `measure_background`, so that a model isn't measured with the noise that set its thresholds."""
_SMALLEST = 1e-7
_PARTS: dict[Split, str] = {"train": "training clips", "val": "validation clips"}
_CLASSIFIER = ("mlp_head.1.weight", "mlp_head.1.bias")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reliability:
    """Numbers of a reliability diagram.

    Attributes
    ----------
    score, share : float64 (bins,)
        Mean score of each bin's pairs of clip and class, and the share of them that are true; NaN for a bin without pairs.
    pairs : int64 (bins,)
        Number of pairs.
    error : float
        Expected calibration error: the mean distance of score and share, weighted by the pairs.
    """

    score: NDArray[np.float64]
    share: NDArray[np.float64]
    pairs: NDArray[np.int64]
    error: float


def reliability(scores: Floats, holds: Truth, bins: int = 10) -> Reliability:
    """Compare scores with true labels, in bins of equal width.

    Parameters
    ----------
    scores : float32 (clips, classes)
        Scores in 0..1.
    holds : bool (clips, classes)
        True if the class is in the clip.
    bins : int
        Number of bins.
    """
    flat = scores.ravel().astype(np.float64)
    number = np.minimum((flat * bins).astype(np.int64), bins - 1)
    pairs = np.bincount(number, minlength=bins)
    sums, held = (np.bincount(number, weights=values, minlength=bins) for values in (flat, holds.ravel()))
    error = float(np.abs(sums - held).sum() / max(1, pairs.sum()))
    with np.errstate(invalid="ignore"):  # 0 / 0 where a bin is empty
        return Reliability(score=sums / pairs, share=held / pairs, pairs=pairs, error=error)


def fit_scaling(scores: Floats, holds: Truth) -> tuple[float, float]:
    """Fit slope and offset of the logits, so that scores become probabilities.

    Parameters
    ----------
    scores : float32 (clips, classes)
        Sigmoids of the logits.
    holds : bool (clips, classes)
        True if the class is in the clip.

    Returns
    -------
    slope, offset : float
        Slope, above 0, and offset.

    Raises
    ------
    TrainingError
        The scores don't rise with the true labels, or all labels are true or all are false.
    """
    if holds.all() or not holds.any():
        raise TrainingError(
            "scores can't be calibrated on clips that have every class or no class: take more clips"
        )
    logits = _logits(scores.ravel())
    fitted = LogisticRegression(C=1e6).fit(logits[:, None], holds.ravel())  # practically unpenalised
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        raise TrainingError(
            "the model's scores can't be calibrated, because they don't rise with the teacher's labels: train it longer"
        )
    return slope, offset


def fit_class_scaling(scores: Floats, holds: Truth) -> tuple[Floats, Floats]:
    """Fit slope and offset of the logits of each class, near 1 and 0 where few clips say anything else.

    Parameters
    ----------
    scores : float32 (clips, classes)
        Sigmoids of the logits.
    holds : bool (clips, classes)
        True if the class is in the clip.

    Returns
    -------
    slopes, offsets : float32 (classes,)
        Slopes, above 0, and offsets.
    """
    logits, truth = torch.from_numpy(_logits(scores)), torch.from_numpy(holds.astype(np.float64))
    distances = torch.zeros(2, scores.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([distances], max_iter=_FITTING_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        log_slopes, offsets = distances
        scaled = logits * log_slopes.exp() + offsets
        total = F.binary_cross_entropy_with_logits(scaled, truth, reduction="sum")
        total = total + _COMMON * distances.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    log_slopes, offsets = distances.detach().float()
    return log_slopes.exp().numpy(), offsets.numpy()


def with_scaling(checkpoint: Checkpoint, slope: float | Floats, offset: float | Floats) -> Checkpoint:
    """Return a checkpoint without thresholds whose logits are `slope` times the given ones plus `offset`: of all classes, or of each."""
    weight, bias = (checkpoint.weights[name] for name in _CLASSIFIER)
    slopes, offsets = (torch.as_tensor(value).expand(len(bias)) for value in (slope, offset))
    scaled = (
        (weight.float() * slopes[:, None]).to(weight.dtype),
        (bias.float() * slopes + offsets).to(bias.dtype),
    )
    weights = checkpoint.weights | dict(zip(_CLASSIFIER, scaled, strict=True))
    return replace(checkpoint, weights=weights, thresholds=None)


def class_thresholds(
    scores: Floats,
    holds: Truth,
    *,
    average_holds: Truth | None = None,
    precision: float = _PRECISION,
    prior_clips: float = _PRIOR_CLIPS,
) -> Floats:
    """Choose the detection threshold of each class.

    It is the lowest score, in steps of 0.01 from 0.15 to 0.9, at which the precision of a class is high enough; 0.9 if it never is. As the
    precision is uncertain for few clips, `prior_clips` clips with the average precision of all classes are added to those in which a class
    is detected. In that average, a class with n detections has the weight n / (n + `prior_clips`), so that frequent classes don't
    dominate. A class without detections gets the threshold of the average.

    Parameters
    ----------
    scores : float32 (clips, classes)
        Scores in 0..1.
    holds : bool (clips, classes)
        True if the class is in the clip.
    average_holds : bool (clips, classes), optional
        True labels for the average precision of all classes; by default `holds`.
    precision : float
        Minimum share of true detections among all detections of a class.
    prior_clips : float
        Weight of the average precision of all classes.

    Returns
    -------
    float32 (classes,)
    """
    grid = np.arange(round(_LOWEST / _STEP), round(_HIGHEST / _STEP) + 1) * _STEP
    detected = np.array([(scores >= threshold).sum(0) for threshold in grid])  # (thresholds, classes)
    right, right_in_average = (
        np.array([((scores >= threshold) & labels).sum(0) for threshold in grid])
        for labels in (holds, holds if average_holds is None else average_holds)
    )
    weight = 1 / (detected + prior_clips)
    average = (right_in_average * weight).sum(1, keepdims=True) / (detected * weight).sum(
        1, keepdims=True
    ).clip(_SMALLEST)
    reached = (right + prior_clips * average) * weight >= precision
    thresholds: Floats = np.where(reached.any(0), grid[reached.argmax(0)], grid[-1]).astype(np.float32)
    return thresholds


def raised(thresholds: Floats, detected: Iterable[FalseAlarms]) -> Floats:
    """Raise thresholds (classes,) to 0.2 above the scores of each class in backgrounds without it, at most to 1."""
    highest: Floats = np.max([background.highest for background in detected], 0)
    above: Floats = np.maximum(thresholds, np.minimum(highest + np.float32(_MARGIN), 1))
    return above


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Calibration:
    """Result of a calibration.

    Attributes
    ----------
    checkpoint : Checkpoint
        Checkpoint with scaled logits and thresholds.
    slope, offset : float
        Slope and offset of all logits.
    class_slopes, class_offsets : float32 (classes,)
        Slopes and offsets of each class, applied after those of all.
    raised : int
        Number of thresholds that a background raised.
    """

    checkpoint: Checkpoint
    slope: float
    offset: float
    class_slopes: Floats
    class_offsets: Floats
    raised: int

    @property
    def median_threshold(self) -> float:
        """Median of the thresholds of all classes."""
        return float(np.median(self.checkpoint.thresholds or ()))


def calibrate(
    checkpoint: Checkpoint,
    packs: Sequence[Pack],
    *,
    teacher: Scorer | None = None,
    limit: int | None = None,
    background_seconds: float | None = None,
    scales_classes: bool = True,
    device: str = "auto",
    progress: Callable[[str, int, int], None] = lambda _part, _done, _of: None,
) -> Calibration:
    """Calibrate a checkpoint's scores to probabilities and choose thresholds.

    Parameters
    ----------
    checkpoint : Checkpoint
        Checkpoint with the classes of the packs.
    packs : sequence of Pack
        Audio packs: the common slope and offset come from training clips, those of each class from validation clips without names that are no
        copies of clips with names, and thresholds from all validation clips. One has the weights of YAMNet, if that is the teacher.
    teacher : Scorer, optional
        Teacher of all classes, which decides with the names of a clip what is in it; by default YAMNet, without names.
    limit : int, optional
        Maximum number of clips of each split of each pack, chosen at random; by default 600 for training, and all for validation.
    background_seconds : float, optional
        Length of each background; ten minutes by default.
    scales_classes : bool
        True to give each class a slope and an offset of its own; a student of a teacher that has learned names needs none.
    device : str
        As for `load_tagger`.
    progress : callable, optional
        Function that receives the name of the step, the amount done and the total.

    Raises
    ------
    TrainingError
        The model has other classes, its scores can't be calibrated, or a pack is broken.
    """
    _check_independent(checkpoint)
    by_clips = _Scoring(packs, teacher, device, progress)
    audible = np.array([label != "Silence" for label in checkpoint.labels])
    training = by_clips(checkpoint, "train", min(limit or TRAINING_CLIPS, TRAINING_CLIPS))
    slope, offset = fit_scaling(training.scores[:, audible], training.truth[:, audible] > SURE)
    validation = by_clips(with_scaling(checkpoint, slope, offset), "val", limit)
    # Rare classes, which teachers score too low, keep the scale of the training clips. YAMNet's label of a word is hardly above 0.5.
    holds, sure = validation.truth > (SURE if teacher is None else HOLDS), validation.truth > SURE
    class_slopes, class_offsets = _class_scaling(validation, holds, packs, audible & scales_classes)
    scaled = with_scaling(checkpoint, slope * class_slopes, offset * class_slopes + class_offsets)
    scores = _scores(_logits(validation.scores) * class_slopes + class_offsets)
    chosen = class_thresholds(scores, holds, average_holds=sure)
    seconds = background_seconds or BACKGROUND_SECONDS
    thresholds = raised(chosen, _in_backgrounds(tagger_of(scaled, device=device), seconds, progress))
    return Calibration(
        checkpoint=replace(scaled, thresholds=tuple(round(float(threshold), 4) for threshold in thresholds)),
        slope=slope,
        offset=offset,
        class_slopes=class_slopes,
        class_offsets=class_offsets,
        raised=int((thresholds > chosen).sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Scores and the teacher's probabilities (rows, classes) in the student's order, and the pack of each row and the position of its clip there."""

    scores: Floats
    truth: Floats
    clips: list[tuple[Pack, int]]


@dataclass(frozen=True, slots=True)
class _Scoring:
    """Scores of clips, beside what a teacher hears in them."""

    packs: Sequence[Pack]
    teacher: Scorer | None
    device: str
    progress: Callable[[str, int, int], None]

    def __call__(self, model: Checkpoint, split: Split, limit: int | None) -> _Scored:
        """Score a split of the packs that have it, at most `limit` clips of each, in all places, one after the other."""
        tagger, scored, clips = tagger_of(model, device=self.device), list[Scored](), list[tuple[Pack, int]]()
        for pack in [pack for pack in self.packs if pack.of(split)] or self.packs:
            places = self._places(tagger, pack, split, limit)
            scored += places
            clips += [(pack, position) for position in clips_to_score(pack, split, limit)] * len(places)
        scores = np.concatenate([place.scores for place in scored])
        truth = np.concatenate([place.truth for place in scored])
        if self.teacher is None:
            scores, truth = _to_student(scores, self.packs[0]), _to_student(truth, self.packs[0])
        return _Scored(scores, truth, clips)

    def _places(self, tagger: Scorer, pack: Pack, split: Split, limit: int | None) -> list[Scored]:
        def update(done: int, total: int) -> None:
            self.progress(_PARTS[split], done, total)

        options: dict[str, Any] = {"split": split, "limit": limit, "progress": update}
        if self.teacher is None:
            file = TEACHERS["yamnet"].weights
            folder = next((one.folder for one in self.packs if (one.folder / file).is_file()), pack.folder)
            scored = score_places(tagger, pack, weights=folder, **options)
        else:
            scored = score_beside(tagger, self.teacher, pack, named=True, **options)
        return list(scored.values())


def _class_scaling(
    validation: _Scored, holds: Truth, packs: Sequence[Pack], audible: Truth
) -> tuple[Floats, Floats]:
    """Return slopes and offsets of all classes, fitted without the recordings that measure names; 1 and 0 for inaudible ones."""
    slopes, offsets = np.ones(len(audible), np.float32), np.zeros(len(audible), np.float32)
    if not audible.any():
        return slopes, offsets
    unnamed = [clip for clip in dict.fromkeys(validation.clips) if not clip[0].clips[clip[1]].names]
    kept = set[tuple[Pack, int]]()
    if unnamed:
        measuring = Recordings(named_energies(packs))
        kept.update(
            (pack, position)
            for pack, position in unnamed
            if not measuring.are_in(log_energies(pack.samples(pack.clips[position])))
        )
    fitted = np.ix_(np.array([clip in kept for clip in validation.clips]), audible)
    slopes[audible], offsets[audible] = fit_class_scaling(validation.scores[fitted], holds[fitted])
    return slopes, offsets


def _in_backgrounds(
    tagger: Scorer, seconds: float, progress: Callable[[str, int, int], None]
) -> list[FalseAlarms]:
    """Return the false alarms in all backgrounds, each of this length, with several seeds."""
    return [
        false_alarms
        for seed in _BACKGROUND_SEEDS
        for false_alarms in measure_background(
            tagger, seconds, seed=seed, progress=lambda done, total: progress("backgrounds", done, total)
        ).values()
    ]


def _check_independent(checkpoint: Checkpoint) -> None:
    if checkpoint.activation != "sigmoid":
        raise TrainingError(
            f"the classes of '{checkpoint.name}' exclude each other and have no thresholds: give a model of AudioSet"
        )


def _logits(scores: Floats) -> NDArray[np.float64]:
    logits: NDArray[np.float64] = torch.from_numpy(scores).double().logit(_SMALLEST).numpy()
    return logits


def _scores(logits: NDArray[np.float64]) -> Floats:
    scores: Floats = torch.from_numpy(logits).sigmoid().float().numpy()
    return scores


def _to_student(of_teacher: NDArray[Any], pack: Pack) -> NDArray[Any]:
    """Map the teacher's classes (n, 521) to the student's (n, classes), with 0 for those that the teacher lacks."""
    of_student = np.zeros((len(of_teacher), len(pack.labels)), of_teacher.dtype)
    of_student[:, pack.teacher_to_student] = of_teacher
    return of_student
