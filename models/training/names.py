"""Names that are right: how often the first names that a model gives a recording are among those that people would give it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import TrainingError
from ..frontends import SAMPLE_RATE_HZ
from .agreement import Scorer
from .pack import Clip, Pack, Samples

_TOPS = (1, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesRight:
    """Shares of clips that have a right name among a model's first ones.

    Attributes
    ----------
    clips : int
        Number of clips.
    first, of_three, of_five : float
        Share of clips with a right name first, among the first three, and among the first five.
    """

    clips: int
    first: float
    of_three: float
    of_five: float


def with_names(packs: Iterable[Pack]) -> Pack | None:
    """Return the first pack with clips for validation that have names; None if there is none."""
    return next((pack for pack in packs if _named_clips(pack)), None)


def names_right(
    tagger: Scorer,
    pack: Pack,
    *,
    seconds: float | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> NamesRight:
    """Measure how often a model's first names are right, on the clips for validation that have names.

    Parameters
    ----------
    tagger : Scorer
        Model with AudioSet's classes. A clip longer than its window is cropped to its start.
    pack : Pack
        Clips with names, such as those of real life.
    seconds : float, optional
        Length to crop each clip to: its part with the most energy. By default the whole clip.
    limit : int, optional
        Number of clips to choose at random, always the same ones; by default all.
    progress : callable, optional
        Function that receives the number of clips done and the total.

    Raises
    ------
    TrainingError
        No clip has names, or the pack is broken.
    """
    clips = _named_clips(pack)
    if not clips:
        raise TrainingError(
            f"no clip for validation in {pack.folder} has names in a column accept: give another pack"
        )
    if limit is not None and limit < len(clips):
        clips = [clips[index] for index in np.random.default_rng(0).choice(len(clips), limit, replace=False)]
    right = []
    for clip in clips:
        samples = pack.samples(clip)
        if seconds is not None:
            samples = loudest(samples, round(seconds * SAMPLE_RATE_HZ))
        best = tagger(samples[: tagger.window_samples])[0].argsort()[::-1][: max(_TOPS)]
        right.append([any(tagger.labels[index] in clip.names for index in best[:top]) for top in _TOPS])
        progress(len(right), len(clips))
    first, of_three, of_five = np.mean(right, 0).tolist()
    return NamesRight(clips=len(right), first=first, of_three=of_three, of_five=of_five)


def _named_clips(pack: Pack) -> list[Clip]:
    return [clip for clip in pack.clips if clip.split == "val" and clip.names]


def loudest(samples: Samples, length: int) -> Samples:
    """Return the part of `length` samples with the most energy, or all samples (n,) if they are fewer."""
    if len(samples) <= length:
        return samples
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    start = int((energy[length:] - energy[:-length]).argmax())
    return samples[start : start + length]
