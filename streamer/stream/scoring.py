"""Scores of windows, one batch for each length, and taggings of scores."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from ..levels import level_dbfs, levels_dbfs
from ..messages import SAMPLE_RATE_HZ, RawScores, Samples, Tagging, Window

Scorer: TypeAlias = Callable[[Samples], Samples]
"""A tagger as the stream sees it: samples float32 (batch, n) -> scores float32 (batch, classes)."""

LONGEST_ANSWER_SECONDS = 2.0
"""Longest time for an answer of a scorer on other machines to live sound."""
_LARGEST_BATCH = 16
"""Windows in a batch of a scorer that does not say how many it takes at once."""


class Traffic(Protocol):
    """Figures of the requests of a scorer on other machines; see `messages.WorkerHealth`."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def requests(self) -> int: ...  # noqa: D102
    @property
    def retries(self) -> int: ...  # noqa: D102
    @property
    def seconds_p50(self) -> float | None: ...  # noqa: D102
    @property
    def seconds_p95(self) -> float | None: ...  # noqa: D102
    @property
    def problem(self) -> str: ...  # noqa: D102


@runtime_checkable
class RemoteScorer(Protocol):
    """Tagger on other machines, of which some windows may have no answer."""

    @property
    def traffic(self) -> Traffic:
        """Figures of its requests."""

    def in_time(self, samples: Samples, seconds: float, /) -> Samples:
        """Score windows within a time; a window without an answer has a row of NaN."""


def answer_seconds(hops: Iterable[int]) -> float:
    """Return the time for an answer of a scorer on other machines: until the next window of a source with one of these hops, and at most 2 s."""
    return min((LONGEST_ANSWER_SECONDS, *(hop_samples / SAMPLE_RATE_HZ for hop_samples in hops)))


def traffic_of(scorer: Scorer | None) -> Traffic | None:
    """Return the figures of a scorer's requests; None for one on this machine."""
    return getattr(scorer, "traffic", None)


@runtime_checkable
class RawScorer(Protocol):
    """Scorer that also says what its model gave before sounds and corrections of the user's own."""

    @property
    def gives_raw(self) -> bool:
        """True if that is wanted."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model."""

    def raw(self, samples: Samples, /) -> tuple[Samples, Samples, Samples]:
        """Samples (batch, n) -> scores (batch, labels), scores of the model (batch, classes), embeddings (batch, width)."""


def score(
    scorer: Scorer, windows: Sequence[Window], seconds: float | None = None
) -> Iterator[tuple[Window, Samples]]:
    """Score windows, those of one length together as one batch; yield each window with its scores (classes,).

    Parameters
    ----------
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    windows : sequence of Window
        Sound to score.
    seconds : float, optional
        Time in which a scorer on other machines has to answer for a batch; a window without an answer is left out.
    """
    for window, scores, _ in score_raw(scorer, windows, seconds):
        yield window, scores


def score_raw(
    scorer: Scorer, windows: Sequence[Window], seconds: float | None = None
) -> Iterator[tuple[Window, Samples, RawScores | None]]:
    """Do the same as `score`; yield the output of the model too, if the scorer gives it."""
    largest = getattr(scorer, "largest_batch", _LARGEST_BATCH)
    by_length = sorted(windows, key=lambda window: len(window.samples))
    for _, group in itertools.groupby(by_length, key=lambda window: len(window.samples)):
        same = list(group)
        for batch in (same[i : i + largest] for i in range(0, len(same), largest)):
            for window, row, raw in zip(
                batch, *_scored(scorer, np.stack([window.samples for window in batch]), seconds), strict=True
            ):
                if not np.isnan(row[0]):
                    yield window, row, raw


def _scored(
    scorer: Scorer, batch: Samples, seconds: float | None
) -> tuple[Samples, Sequence[RawScores | None]]:
    if seconds is not None and isinstance(scorer, RemoteScorer):
        return scorer.in_time(batch, seconds), [None] * len(batch)
    if not (isinstance(scorer, RawScorer) and scorer.gives_raw):
        return scorer(batch), [None] * len(batch)
    scores, own, embeddings = scorer.raw(batch)
    fingerprint = scorer.fingerprint
    return scores, [RawScores(fingerprint, *output) for output in zip(own, embeddings, strict=True)]


def tagging_of(
    window: Window,
    scores: Samples,
    latency_seconds: float | None = None,
    raw: RawScores | None = None,
) -> Tagging:
    """Return the tagging of a window.

    Parameters
    ----------
    window : Window
        Sound that was scored.
    scores : float32 (classes,)
        Scores of the window.
    latency_seconds : float, optional
        Time since the capture of the last sample; None if no clock paces the source.
    raw : RawScores, optional
        Output of the model, if it is logged.
    """
    return Tagging(
        source=window.source,
        start_sample=window.start_sample,
        end_sample=window.end_sample,
        ended_at=window.ended_at,
        scores=scores,
        level_dbfs=level_dbfs(window.samples[-window.hop_samples :]),
        latency_seconds=latency_seconds,
        raw=raw,
        levels_dbfs=levels_dbfs(window.samples)
        if window.fast_levels_dbfs is None
        else window.fast_levels_dbfs,
        is_fast=window.is_fast,
    )
