"""How well a model agrees with the teacher, on the validation part of an audio pack.

Everything goes through the `Tagger`, as in the live program.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .. import frontends
from ..errors import TrainingError
from . import teacher
from .metrics import hits_in_top, mean_average_precision
from .pack import TEACHER_WEIGHTS, Kind, Pack, Split
from .places import CLIP_ALONE, DEFAULT_PLACES, FOLLOWED_BY_SILENCE, PLACES
from .teacher_tagger import patch_labels

Floats = NDArray[np.float32]

FEWEST_POSITIVES = 5
"""A class counts for the mean average precision where it holds in this many clips."""
HOLDS = 0.5
"""Probability from which a class holds, for the teacher."""
SURE = 0.3
"""Probability from which the teacher's first class is asked for, and score from which the model's counts as an answer."""

_SMALLEST = 1e-7
"""Scores are kept so far from 0 and 1 where their logarithm is taken."""


class Scorer(Protocol):
    """What is asked of a `Tagger`; `TeacherTagger` has it too."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def window_samples(self) -> int:
        """The most samples that one call looks at."""

    def __call__(self, samples: Floats) -> Floats:
        """Samples float32 (n,) or (batch, n) -> scores float32 (batch, classes)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scored:
    """What a model scores where clips lie in one place, and what the teacher says of the same clips.

    The classes are the teacher's, in its order, ``Silence`` included.

    Attributes
    ----------
    scores : float32 (clips, 521)
        The model's.
    truth : float32 (clips, 521)
        The teacher's probabilities, of the clean clip.
    kinds : tuple of Kind
        What each clip is.
    """

    scores: Floats
    truth: Floats
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Figures of one place. The class ``Silence`` doesn't count in any.

    Attributes
    ----------
    clips : int
        Clips scored.
    mean_average_precision : float
        Over `classes`; NaN where there are none.
    classes : int
        Classes that hold, for the teacher, in at least 5 clips.
    cross_entropy : float
        Binary cross entropy of the scores against the teacher's probabilities in nats, a mean over clips and all 521 classes, to which
        ``Silence`` adds 0. A model that has the teacher's very probabilities reaches these probabilities' own entropy, not 0.
    asked : int
        Clips in which the teacher is sure of its first class, the figures below are about them.
    top1, top1_speech, top1_music, top1_other : float
        Share of these clips whose first class is the teacher's; NaN without such clips.
    top5 : float
        Share whose first five classes have it.
    score : float
        Mean score of the teacher's first class.
    right_over_03 : float
        Share in which that score is above 0.3.
    same : float
        Share whose first class, right or wrong, is the one that the model itself hears in the clip followed by silence; NaN where that
        was not scored.
    """

    clips: int
    mean_average_precision: float
    classes: int
    cross_entropy: float
    asked: int
    top1: float
    top1_speech: float
    top1_music: float
    top1_other: float
    top5: float
    score: float
    right_over_03: float
    same: float


def compare_with_teacher(
    tagger: Scorer,
    pack: Pack,
    *,
    places: Sequence[str] = DEFAULT_PLACES,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, Agreement]:
    """Score clips and measure how far model and teacher agree: `agreements` of `score_places`, whose parameters these are."""
    return agreements(score_places(tagger, pack, places, limit=limit, progress=progress), pack.silence)


def score_places(
    tagger: Scorer,
    pack: Pack,
    places: Sequence[str] = DEFAULT_PLACES,
    *,
    split: Split = "val",
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, Scored]:
    """Score a pack's clips in some places of a window.

    A clip that is longer than the window is cropped to its start. The truth is the teacher's label of the clean clip, pooled over the
    clip followed by silence up to the window's end; for ``clip alone``, over the clip only.

    Parameters
    ----------
    tagger : Scorer
        A `Tagger` or `TeacherTagger` with the classes of the pack.
    pack : Pack
        Holds the clips, and the teacher.
    places : sequence of str
        Names in `places.PLACES`.
    split : {"val", "train"}
        The part of the pack that is looked at: for validation, if nothing else is said.
    limit : int, optional
        A random choice of so many clips, always the same.
    progress : callable, optional
        Told clips done and clips in all.

    Returns
    -------
    dict of str to Scored
        By place, with the same clips in the same order.

    Raises
    ------
    TrainingError
        The model has other classes, or the pack is broken.
    KeyError
        There is no such place.
    """
    if tagger.labels != pack.labels:
        raise TrainingError(
            f"the model '{tagger.name}' has other classes than the pack, so that they can't be compared"
        )
    chosen = _clips_to_score(pack, split, limit)
    network = teacher.load_teacher(pack.folder / TEACHER_WEIGHTS, torch.device("cpu"))
    silence = network.label(torch.full((1, teacher.PATCH_ROWS, teacher.MEL_BINS), teacher.SILENT_ROW))[0]
    patches = teacher.patch_count(tagger.window_samples // frontends.FRAME_SHIFT)
    scores: dict[str, list[Floats]] = {place: [] for place in places}
    truths: dict[str, list[Floats]] = {place: [] for place in places}
    for done, position in enumerate(chosen):
        clip = pack.samples(pack.clips[position])[: tagger.window_samples]
        clip_labels = patch_labels(network, clip)  # (patches, 521)
        window_labels = torch.cat((clip_labels, silence.expand(max(0, patches - len(clip_labels)), -1)))
        for place in places:
            window = PLACES[place](clip, tagger.window_samples, np.random.default_rng(position))
            scores[place].append(tagger(window)[0, pack.teacher_to_student])
            labels = clip_labels if place == CLIP_ALONE else window_labels
            truths[place].append(teacher.pool_all(labels, pack.silence).numpy())
        progress(done + 1, len(chosen))
    kinds = tuple(pack.clips[position].kind for position in chosen)
    return {
        place: Scored(scores=np.array(scores[place]), truth=np.array(truths[place]), kinds=kinds)
        for place in places
    }


def agreements(scored: Mapping[str, Scored], silence: int | None) -> dict[str, Agreement]:
    """Measure how far model and teacher agree in each place.

    Parameters
    ----------
    scored : mapping of str to Scored
        By place.
    silence : int or None
        The teacher's number of the class ``Silence``, which doesn't count.
    """
    compared = {place: without_silence(scored_place, silence) for place, scored_place in scored.items()}
    reference = compared[FOLLOWED_BY_SILENCE].scores.argmax(1) if FOLLOWED_BY_SILENCE in compared else None
    return {place: _agreement(scored_place, reference) for place, scored_place in compared.items()}


def without_silence(scored: Scored, silence: int | None) -> Scored:
    """Leave the class ``Silence`` out: its scores and probabilities are 0."""
    if silence is None:
        return scored
    scores, truth = scored.scores.copy(), scored.truth.copy()
    scores[:, silence] = truth[:, silence] = 0.0
    return Scored(scores=scores, truth=truth, kinds=scored.kinds)


def _clips_to_score(pack: Pack, split: Split, limit: int | None) -> list[int]:
    """Positions of the clips to score."""
    chosen = pack.of(split)
    if not chosen:
        purpose = {"val": "validation", "train": "training"}[split]
        raise TrainingError(f"the audio pack {pack.folder} has no clips for {purpose}")
    if limit is None or limit >= len(chosen):
        return chosen
    return sorted(np.random.default_rng(0).choice(chosen, limit, replace=False).tolist())


def _agreement(scored: Scored, reference: NDArray[np.int64] | None) -> Agreement:
    """Figures of one place; `reference` is the model's first class (clips,) of the clips followed by silence."""
    scores, truth = scored.scores, scored.truth
    precision, classes = mean_average_precision(scores, truth > HOLDS, FEWEST_POSITIVES)
    sure = truth.max(1) > SURE
    first = truth.argmax(1)
    top1, top5 = (hits_in_top(scores, first, top) for top in (1, 5))
    of_kind = {kind: sure & (np.array(scored.kinds) == kind) for kind in ("speech", "music", "other")}
    asked_scores = np.take_along_axis(scores, first[:, None], 1)[sure]
    return Agreement(
        clips=len(scores),
        mean_average_precision=precision,
        classes=classes,
        cross_entropy=_cross_entropy(scores, truth),
        asked=int(sure.sum()),
        top1=_mean(top1[sure]),
        top1_speech=_mean(top1[of_kind["speech"]]),
        top1_music=_mean(top1[of_kind["music"]]),
        top1_other=_mean(top1[of_kind["other"]]),
        top5=_mean(top5[sure]),
        score=_mean(asked_scores),
        right_over_03=_mean(asked_scores > SURE),
        same=float("nan") if reference is None else _mean((scores.argmax(1) == reference)[sure]),
    )


def _cross_entropy(scores: Floats, truth: Floats) -> float:
    bounded = scores.astype(np.float64).clip(_SMALLEST, 1 - _SMALLEST)
    return float(-(truth * np.log(bounded) + (1 - truth) * np.log1p(-bounded)).mean())


def _mean(values: NDArray[np.bool_] | Floats) -> float:
    return float(values.mean()) if values.size else float("nan")
