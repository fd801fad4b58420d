"""Scoring of the windows of many requests, batch by batch, on the side of a worker."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .reference_audio import reference_windows
from .score_protocol import ModelDescription, RequestError
from .tagger import Tagger

Floats = NDArray[np.float32]
Wanted: TypeAlias = Literal["scores", "embedding", "both"]

LARGEST_BATCH = 32
_SIZES = (1, 2, 4, 8, 16, 32)
"""Sizes of batches on a GPU, for each of which a graph is captured."""
_WAITING_SECONDS = 1.0
"""Work that may wait: what comes later would be scored too late."""
_FEWEST_WAITING = 2
_WEIGHT = 0.2
"""Weight of a new measurement of the speed."""
_MEASURED_WINDOWS = 4
_PROVEN_SECONDS = 5.0
"""Time for which the scores of a node show that a worker is well: scoring a known sound, too, would take its time."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A window that waits.

    Attributes
    ----------
    samples : float32 (n,)
        The window.
    wants : {"scores", "embedding", "both"}
        Content of its row; with "both", the embedding follows the scores.
    """

    samples: Floats
    wants: Wanted = "scores"


class BatchScoring:
    """Scores windows as fast as the machine allows, and refuses those that would wait for more than a second.

    Parameters
    ----------
    tagger : Tagger
        Model.
    description : ModelDescription
        Its description.

    Attributes
    ----------
    description : ModelDescription
        As given.
    windows_per_second : float
        Speed, as measured recently.
    """

    def __init__(self, tagger: Tagger, description: ModelDescription) -> None:
        self._tagger = tagger
        self._pads = "cuda" in tagger.engine.description
        self._waiting = 0
        self._proven_until = 0.0
        self._probe = reference_windows(tagger.window_samples)[:1].numpy()
        self.description = description
        self.windows_per_second = self._measured()

    def admit(self, windows: int) -> None:
        """Count windows that begin to wait.

        Raises
        ------
        RequestError
            Too many wait already.
        """
        most = max(_FEWEST_WAITING, round(self.windows_per_second * _WAITING_SECONDS))
        if self._waiting and self._waiting + windows > most:
            raise RequestError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"busy: {self._waiting} windows wait, as many as take a second",
            )
        self._waiting += windows

    def release(self, windows: int) -> None:
        """Count windows that no longer wait."""
        self._waiting -= windows

    def score(self, tasks: Sequence[Task]) -> list[Floats]:
        """Return a row for each task: its scores, its embedding, or both."""
        rows: dict[int, Floats] = {}
        numbered = sorted(enumerate(tasks), key=_kind)
        for _, group in groupby(numbered, key=_kind):
            same = list(group)
            batch = np.stack([task.samples for _, task in same])
            scored = self._run(batch, wants := same[0][1].wants)
            if wants != "embedding" and _are_scores(scored[:, : len(self.description.labels)]):
                self._proven_until = time.monotonic() + _PROVEN_SECONDS
            rows.update(zip((index for index, _ in same), scored, strict=True))
        return [rows[index] for index in range(len(tasks))]

    def check(self) -> None:
        """Score a known sound, unless a node has got scores in the last seconds.

        Raises
        ------
        ModelError
            The scores are not numbers in 0..1.
        """
        if time.monotonic() < self._proven_until:
            return
        scores = self._run(self._probe)
        if not _are_scores(scores):
            raise ModelError("the scores of a known sound are not numbers in 0..1: restart the worker")

    def _run(self, batch: Floats, wants: Wanted = "scores") -> Floats:
        began = time.perf_counter()
        count = len(batch)
        if self._pads:
            batch = _padded(batch)
        rows = self._rows(batch, wants)
        if batch.shape[1] == self.description.window_samples:
            speed = count / max(time.perf_counter() - began, 1e-6)
            self.windows_per_second += _WEIGHT * (speed - self.windows_per_second)
        return rows[:count]

    def _rows(self, batch: Floats, wants: Wanted) -> Floats:
        match wants:
            case "scores":
                return self._tagger(batch)
            case "embedding":
                return self._tagger.embed(batch)
            case "both":
                return np.concatenate(self._tagger.scores_and_embeddings(batch), axis=1)

    def _measured(self) -> float:
        """Warm up, with each size of a batch on a GPU, and return the windows per second."""
        full = np.repeat(self._probe, LARGEST_BATCH if self._pads else _MEASURED_WINDOWS, axis=0)
        for size in _SIZES if self._pads else (1,):
            self._tagger(full[:size])
        began = time.perf_counter()
        self._tagger(full)
        return len(full) / max(time.perf_counter() - began, 1e-6)


def _are_scores(rows: Floats) -> bool:
    return bool(np.isfinite(rows).all() and rows.min() >= 0.0 and rows.max() <= 1.0)


def _kind(numbered: tuple[int, Task]) -> tuple[Wanted, int]:
    _, task = numbered
    return task.wants, len(task.samples)


def _padded(batch: Floats) -> Floats:
    """Return a batch of one of the sizes that have a graph, with silence behind the windows."""
    size = next((size for size in _SIZES if size >= len(batch)), len(batch))
    return np.concatenate([batch, np.zeros((size - len(batch), batch.shape[1]), np.float32)])
