"""Agreement of a model with the teacher on the validation part of an audio pack, through the `Tagger`, as in the live program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .. import frontends
from ..errors import TrainingError
from .clip_names import groups_of, lower_other_groups, named_classes, raise_to_names
from .metrics import hits_in_top, mean_average_precision
from .pack import Kind, Pack, Split
from .places import CLIP_ALONE, DEFAULT_PLACES, FOLLOWED_BY_SILENCE, PLACES
from .teachers import TEACHERS, load_network, yamnet

Floats = NDArray[np.float32]

FEWEST_POSITIVES = 5
"""Minimum number of clips with a class for it to count in the mean average precision."""
HOLDS = 0.5
"""Minimum probability at which the teacher's label counts as true."""
SURE = 0.3
"""Minimum probability at which the teacher counts as sure of its first class, and minimum score of the model's answer."""

_SMALLEST = 1e-7
"""Distance from 0 and 1 that scores are clipped to before taking their logarithm."""


class Scorer(Protocol):
    """Protocol of taggers that can be measured: such as `Tagger`."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def window_samples(self) -> int:
        """Maximum number of samples that one call scores."""

    def __call__(self, samples: Floats) -> Floats:
        """Samples float32 (n,) or (batch, n) -> scores float32 (batch, classes)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scored:
    """Scores of a model for clips in one place, and the teacher's probabilities for the same clips.

    The classes are YAMNet's, in its order, ``Silence`` included; those of `score_beside` are the pack's.

    Attributes
    ----------
    scores : float32 (clips, classes)
        Scores of the model.
    truth : float32 (clips, classes)
        Probabilities of the teacher, of the clean clip.
    kinds : tuple of Kind
        Kind of each clip.
    """

    scores: Floats
    truth: Floats
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Figures of one place, without the class ``Silence``.

    Attributes
    ----------
    clips : int
        Number of clips scored.
    mean_average_precision : float
        Mean over `classes`; NaN without classes.
    classes : int
        Number of classes that the teacher finds in at least 5 clips.
    cross_entropy : float
        Binary cross entropy of the scores against the teacher's probabilities in nats, a mean over clips and all 521 classes, to which
        ``Silence`` adds 0. A model with exactly the teacher's probabilities reaches the entropy of these probabilities, not 0.
    asked : int
        Number of clips in which the teacher is sure of its first class. The figures below are about these clips.
    top1, top1_speech, top1_music, top1_other : float
        Share of clips whose first class is the teacher's; NaN without such clips.
    top5 : float
        Share of clips with the teacher's class among the first five.
    score : float
        Mean score of the teacher's first class.
    right_over_03 : float
        Share of clips in which that score is above 0.3.
    same : float
        Share of clips whose first class, right or wrong, is the same as for the clip followed by silence; NaN if that was not scored.
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


def score_places(
    tagger: Scorer,
    pack: Pack,
    places: Sequence[str] = DEFAULT_PLACES,
    *,
    split: Split = "val",
    limit: int | None = None,
    weights: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, Scored]:
    """Score a pack's clips in some places of a window.

    A clip that is longer than the window is cropped to its start. The truth is the teacher's label of the clean clip, pooled over the
    clip followed by silence up to the window's end; for ``clip alone``, over the clip only.

    Parameters
    ----------
    tagger : Scorer
        `Tagger` with the classes of the pack.
    pack : Pack
        Clips and teacher.
    places : sequence of str
        Names in `places.PLACES`.
    split : {"val", "train"}
        Part of the pack to score.
    limit : int, optional
        Number of clips to choose at random, always the same ones; by default all.
    weights : Path, optional
        Folder of YAMNet's weights; by default that of the pack.
    progress : callable, optional
        Function that receives the number of clips done and the total.

    Returns
    -------
    dict of str to Scored
        Scores by place, with the same clips in the same order.

    Raises
    ------
    TrainingError
        The model has other classes, or the pack is broken.
    KeyError
        There is no such place.
    """
    _check_classes(tagger, pack)
    chosen = clips_to_score(pack, split, limit)
    network = load_network(
        yamnet.YamNet, (weights or pack.folder) / TEACHERS["yamnet"].weights, torch.device("cpu")
    )
    patches = yamnet.patch_count(tagger.window_samples // frontends.FRAME_SHIFT)

    def labels(clip: Floats, _position: int) -> Mapping[str, Floats]:
        return _labels_in_places(network, clip, patches, places, pack.silence)

    scored = _score_each(tagger, pack, chosen, places, labels, progress)
    return {
        place: replace(in_place, scores=in_place.scores[:, pack.teacher_to_student])
        for place, in_place in scored.items()
    }


def score_beside(
    tagger: Scorer,
    teacher: Scorer,
    pack: Pack,
    places: Sequence[str] = DEFAULT_PLACES,
    *,
    split: Split = "val",
    limit: int | None = None,
    named: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[str, Scored]:
    """Score a pack's clips in some places of a window, beside a teacher that hears the clips alone.

    Parameters and exceptions are those of `score_places`, and `teacher` may be any tagger of the same classes. With `named`, the names of
    clips are true, too, and groups of sounds that they do not allow are less likely.

    Returns
    -------
    dict of str to Scored
        Scores by place, in the order of the pack's classes, with the same clips in the same order.
    """
    _check_classes(tagger, pack)
    _check_classes(teacher, pack)
    chosen = clips_to_score(pack, split, limit)
    every = range(len(pack.labels))

    def labels(clip: Floats, position: int) -> Mapping[str, Floats]:
        probabilities = teacher(clip[: teacher.window_samples])[0]
        if named:
            truth = torch.from_numpy(probabilities)  # the same memory
            known = pack.clips[position]
            names = named_classes(known, pack, truth, every)
            lower_other_groups(truth[None], {0: groups_of(known)}, every)
            raise_to_names(truth[None], [(0, index) for index in names], every)
        return dict.fromkeys(places, probabilities)

    return _score_each(tagger, pack, chosen, places, labels, progress)


def _score_each(
    tagger: Scorer,
    pack: Pack,
    positions: Sequence[int],
    places: Sequence[str],
    labels: Callable[[Floats, int], Mapping[str, Floats]],
    progress: Callable[[int, int], None],
) -> dict[str, Scored]:
    """Score the clips at some positions of a pack in each place; `labels` gives the truth of each place, from a clip and its position."""
    scores: dict[str, list[Floats]] = {place: [] for place in places}
    truths: dict[str, list[Floats]] = {place: [] for place in places}
    for done, position in enumerate(positions):
        clip = pack.samples(pack.clips[position])[: tagger.window_samples]
        truth = labels(clip, position)
        for place in places:
            window = PLACES[place](clip, tagger.window_samples, np.random.default_rng(position))
            scores[place].append(tagger(window)[0])
            truths[place].append(truth[place])
        progress(done + 1, len(positions))
    kinds = tuple(pack.clips[position].kind for position in positions)
    return {
        place: Scored(scores=np.array(scores[place]), truth=np.array(truths[place]), kinds=kinds)
        for place in places
    }


def _check_classes(tagger: Scorer, pack: Pack) -> None:
    if tagger.labels != pack.labels:
        raise TrainingError(
            f"the model '{tagger.name}' has other classes than the pack: give a model of AudioSet"
        )


def _labels_in_places(
    network: yamnet.YamNet, clip: Floats, patches: int, places: Sequence[str], silence: int | None
) -> dict[str, Floats]:
    """Return the labels (521,) of a clip in each place: followed by silence up to a number of patches, or alone."""
    of_clip = network.label_sound(torch.from_numpy(clip))  # (patches, 521)
    silent = torch.full((1, yamnet.PATCH_ROWS, yamnet.MEL_BINS), yamnet.SILENT_ROW)
    rest = network.label_patches(silent)[0].expand(max(0, patches - len(of_clip)), -1)
    of_window = torch.cat((of_clip, rest))
    by_place = {place: of_clip if place == CLIP_ALONE else of_window for place in places}
    return {place: yamnet.pool_all(labels, silence).numpy() for place, labels in by_place.items()}


def agreements(scored: Mapping[str, Scored], silence: int | None) -> dict[str, Agreement]:
    """Measure the agreement of model and teacher in each place.

    Parameters
    ----------
    scored : mapping of str to Scored
        Scores by place.
    silence : int or None
        Index of the class ``Silence``, which doesn't count, among the teacher's classes.
    """
    compared = {place: without_silence(scored_place, silence) for place, scored_place in scored.items()}
    reference = compared[FOLLOWED_BY_SILENCE].scores.argmax(1) if FOLLOWED_BY_SILENCE in compared else None
    return {place: _agreement(scored_place, reference) for place, scored_place in compared.items()}


def without_silence(scored: Scored, silence: int | None) -> Scored:
    """Set scores and probabilities of the class ``Silence`` to 0."""
    if silence is None:
        return scored
    scores, truth = scored.scores.copy(), scored.truth.copy()
    scores[:, silence] = truth[:, silence] = 0.0
    return Scored(scores=scores, truth=truth, kinds=scored.kinds)


def clips_to_score(pack: Pack, split: Split, limit: int | None) -> list[int]:
    """Return the positions of a split's clips, or of `limit` that are chosen at random, always the same.

    Raises
    ------
    TrainingError
        There are none.
    """
    chosen = pack.of(split)
    if not chosen:
        purpose = {"val": "validation", "train": "training"}[split]
        raise TrainingError(f"the audio pack {pack.folder} has no clips for {purpose}: give another --pack")
    if limit is None or limit >= len(chosen):
        return chosen
    return sorted(np.random.default_rng(0).choice(chosen, limit, replace=False).tolist())


def _agreement(scored: Scored, reference: NDArray[np.int64] | None) -> Agreement:
    """Return the figures of one place; `reference` is the model's first class (clips,) of the clips followed by silence."""
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
