"""Evaluation of a model on labelled recordings, through the `Tagger`, as in the live program."""

import csv
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import frontends
from ..errors import SoundError, TrainingError
from .agreement import Scorer
from .dataset import Dataset, Example, Reader, Samples
from .dataset.sounds import RecentSounds, no_readable_recordings
from .metrics import ClassFigures, Figures, ranking_figures

Floats = NDArray[np.float32]

_READERS = 4
"""Number of threads that decode ahead of the network: one keeps up with a CPU, not with a GPU."""
_BATCHES_AHEAD = 4
"""Number of batches collected before sorting by length, because windows of one batch must be equally long. Recordings wait no longer than
for so many windows: one of an hour has 350."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluation:
    """Evaluation of a model on a data set.

    Attributes
    ----------
    dataset : Dataset
        Recordings that were scored.
    scores : float32 (recordings, classes)
        Scores of the recordings.
    figures : Figures
        Figures of merit of the scores.
    unreadable : tuple of (Path, str)
        Recordings that were not scored, and the reasons.
    """

    dataset: Dataset
    scores: Floats
    figures: Figures
    unreadable: tuple[tuple[Path, str], ...]


def evaluate(
    tagger: Scorer,
    dataset: Dataset,
    reader: Reader,
    *,
    batch: int = 8,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Evaluation:
    """Score labelled recordings and measure the quality of the scores.

    A recording up to the tagger's window is scored whole, padded at the end by the tagger. The scores of a longer one are the mean over
    adjacent windows, of which the last one ends with the recording (see `windows_of`). AST's authors score the first 10.24 s
    only, which is the same for AudioSet's clips of 10 s.

    Parameters
    ----------
    tagger : Scorer
        Model to evaluate.
    dataset : Dataset
        Recordings, read with the tagger's labels.
    reader : Reader
        Function that decodes a recording; called in several threads.
    batch : int
        Number of windows in a batch.
    progress : callable, optional
        Function that receives the number of recordings done and the total.

    Raises
    ------
    TrainingError
        The data set has other labels than the model, no recording can be read, or the scores are not finite.
    """
    if dataset.labels != tagger.labels:
        raise TrainingError(
            f"the model '{tagger.name}' has other labels than the data: give data with the labels of the model"
        )
    scores, faults = _scores(tagger, dataset.examples, RecentSounds(reader), batch, progress)
    unreadable = [(dataset.examples[index].path, faults[index]) for index in sorted(faults)]
    if not scores:
        raise no_readable_recordings(unreadable)
    scored = sorted(scores)
    measured, table = dataset.subset(np.array(scored)), np.array([scores[index] for index in scored])
    return Evaluation(
        dataset=measured,
        scores=table,
        figures=ranking_figures(table, measured.targets() > 0),
        unreadable=tuple(unreadable),
    )


def _scores(
    tagger: Scorer,
    examples: Sequence[Example],
    reader: Reader,
    batch: int,
    progress: Callable[[int, int], None],
) -> tuple[dict[int, Floats], dict[int, str]]:
    """Return the scores of recordings, and the reasons for which others can't be read, by index; all parts of a recording are read together."""
    scores: dict[int, Floats] = {}
    faults: dict[int, str] = {}
    waiting: dict[int, list[Samples]] = {}
    order = sorted(range(len(examples)), key=lambda index: examples[index].path)
    sounds = _read_ahead(reader, [examples[index] for index in order])
    for done, (index, sound) in enumerate(zip(order, sounds, strict=True), 1):
        if isinstance(sound, SoundError):
            faults[index] = str(sound)
        else:
            waiting[index] = windows_of(sound, tagger.window_samples)
        if sum(map(len, waiting.values())) >= _BATCHES_AHEAD * batch or done == len(examples):
            scores |= zip(waiting, _mean_scores(tagger, list(waiting.values()), batch), strict=True)
            waiting.clear()
            progress(done, len(examples))
    return scores, faults


def windows_of(samples: Samples, length: int) -> list[Samples]:
    """Cut a recording into windows.

    Parameters
    ----------
    samples : float32 (n,)
        Recording.
    length : int
        Number of samples in a window.

    Returns
    -------
    list of float32 (length,)
        Adjacent windows; the last one ends with the recording and may overlap the one before. A recording that is shorter than a
        window is returned unchanged.
    """
    last = max(0, len(samples) - length)
    return [samples[begin : begin + length] for begin in (*range(0, last, length), last)]


def _read_ahead(reader: Reader, examples: Sequence[Example]) -> Iterator[Samples | SoundError]:
    """Decode recordings in order, some of them ahead; yield the error of a recording that can't be read."""

    def read(example: Example) -> Samples | SoundError:
        try:
            samples = example.cut(reader(example.path))
            if example.part:
                samples = samples.copy()  # the whole recording does not wait with it
        except SoundError as error:
            return error
        if len(samples) < frontends.FRAME_LENGTH:
            return SoundError(example.too_short)
        return samples

    pending: deque[Future[Samples | SoundError]] = deque()
    with ThreadPoolExecutor(_READERS, "recordings") as pool:
        for example in examples:
            pending.append(pool.submit(read, example))
            if len(pending) > _READERS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _mean_scores(tagger: Scorer, recordings: Sequence[Sequence[Samples]], batch: int) -> list[Floats]:
    """Return the mean scores, float32 (classes,), of the windows of each recording.

    Windows of the same length are scored together.
    """
    windows = [window for windows in recordings for window in windows]
    lengths = np.array([len(window) for window in windows], np.int64)
    scores = np.empty((len(windows), len(tagger.labels)), np.float32)
    for length in np.unique(lengths):
        equal = np.flatnonzero(lengths == length)
        for begin in range(0, len(equal), batch):
            chosen = equal[begin : begin + batch]
            scores[chosen] = tagger(np.stack([windows[index] for index in chosen]))
    ends = np.cumsum([len(windows) for windows in recordings])
    return [part.mean(0) for part in np.split(scores, ends[:-1])] if recordings else []


def write_class_table(path: Path, labels: Sequence[str], per_class: Sequence[ClassFigures]) -> None:
    """Write the figures of each class as CSV: a line for each label, empty where a figure is not defined.

    Parameters
    ----------
    path : Path
        CSV file, written under another name and renamed, so that a kill leaves the old file or the new one.
    labels : sequence of str
        Names of the classes.
    per_class : sequence of ClassFigures
        Figures in the same order.

    Raises
    ------
    TrainingError
        The file can't be written.
    """
    names = [field.name for field in fields(ClassFigures)]
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("label", *names))
            for label, figures in zip(labels, per_class, strict=True):
                values = asdict(figures).values()
                rows.writerow((label, *("" if math.isnan(value) else value for value in values)))
        part.replace(path)
    except OSError as error:
        raise TrainingError(
            f"the figures of the classes can't be written to {path} ({error.strerror}): free some space, or give another file"
        ) from error
