"""How well a model names labelled recordings.

Everything goes through the `Tagger`, as in the live program.
"""

import csv
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import frontends
from ..errors import SoundError, TrainingError
from .agreement import Scorer
from .dataset import Dataset, Reader, Samples
from .dataset.sounds import no_readable_recordings
from .metrics import ClassFigures, Figures, ranking_figures

Floats = NDArray[np.float32]

_READERS = 4
"""Threads that decode while the network works: one keeps up with a CPU, not with a GPU."""
_BATCHES_AHEAD = 4
"""How much is collected before it is sorted by length: windows of one batch must be equally long."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evaluation:
    """What a model scores on a data set.

    Attributes
    ----------
    dataset : Dataset
        The recordings that were scored.
    scores : float32 (recordings, classes)
        Their scores.
    figures : Figures
        How good these are.
    unreadable : tuple of (Path, str)
        Recordings that were not scored, and why.
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
    """Score labelled recordings and measure how good the scores are.

    A recording up to the tagger's window is scored whole, padded at the end by the tagger. The scores of a longer one are the mean over
    windows side by side, of which the last one ends with the recording (see `windows_of`). AST's authors look at the first 10.24 s
    only, which is the same for AudioSet's clips of 10 s.

    Parameters
    ----------
    tagger : Scorer
        The model.
    dataset : Dataset
        Read with the tagger's labels.
    reader : Reader
        Decodes the recordings; called in several threads.
    batch : int
        Windows that are scored at once.
    progress : callable, optional
        Told recordings done and recordings in all.

    Raises
    ------
    TrainingError
        The data set has other labels than the model, nothing can be read, or the scores are no finite numbers.
    """
    if dataset.labels != tagger.labels:
        raise TrainingError(
            f"the model '{tagger.name}' has other labels than the data, so that it can't be measured with it"
        )
    scored: list[int] = []
    scores: list[Floats] = []
    unreadable: list[tuple[Path, str]] = []
    paths = [example.path for example in dataset.examples]
    sounds = enumerate(_read_ahead(reader, paths, ahead=2 * batch))
    while group := list(islice(sounds, _BATCHES_AHEAD * batch)):
        windows = []
        for index, sound in group:
            if isinstance(sound, SoundError):
                unreadable.append((paths[index], str(sound)))
            else:
                windows.append(windows_of(sound, tagger.window_samples))
                scored.append(index)
        scores += _mean_scores(tagger, windows, batch)
        progress(group[-1][0] + 1, len(paths))
    if not scored:
        raise no_readable_recordings(unreadable)
    measured, table = dataset.subset(scored), np.array(scores)
    return Evaluation(
        dataset=measured,
        scores=table,
        figures=ranking_figures(table, measured.targets() > 0),
        unreadable=tuple(unreadable),
    )


def windows_of(samples: Samples, length: int) -> list[Samples]:
    """Cut a recording into windows.

    Parameters
    ----------
    samples : float32 (n,)
        A recording.
    length : int
        Samples of a window.

    Returns
    -------
    list of float32 (length,)
        Windows side by side; where they don't come out even, the last one ends with the recording and overlaps the one before. A
        recording that is shorter than a window is a window as it is.
    """
    last = max(0, len(samples) - length)
    return [samples[begin : begin + length] for begin in (*range(0, last, length), last)]


def _read_ahead(reader: Reader, paths: Sequence[Path], ahead: int) -> Iterator[Samples | SoundError]:
    """Decode recordings in order, some of them before they are asked for; the errors of what can't be read stand in for it."""

    def read(path: Path) -> Samples | SoundError:
        try:
            samples = reader(path)
        except SoundError as error:
            return error
        if len(samples) < frontends.FRAME_LENGTH:
            return SoundError(f"{path} is shorter than the 25 ms of a frame: name a longer recording")
        return samples

    pending: deque[Future[Samples | SoundError]] = deque()
    with ThreadPoolExecutor(_READERS, "recordings") as pool:
        for path in paths:
            pending.append(pool.submit(read, path))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _mean_scores(tagger: Scorer, recordings: Sequence[Sequence[Samples]], batch: int) -> list[Floats]:
    """Score the windows of some recordings: for each recording the mean, float32 (classes,).

    What has equally many rows is scored together: samples behind the last whole frame count for nothing.
    """
    windows = [window for windows in recordings for window in windows]
    rows = np.array([frontends.row_count(len(window)) for window in windows], np.int64)
    scores = np.empty((len(windows), len(tagger.labels)), np.float32)
    for count in np.unique(rows):
        samples = frontends.FRAME_LENGTH + (int(count) - 1) * frontends.FRAME_SHIFT
        equal = np.flatnonzero(rows == count)
        for begin in range(0, len(equal), batch):
            chosen = equal[begin : begin + batch]
            scores[chosen] = tagger(np.stack([windows[index][:samples] for index in chosen]))
    ends = np.cumsum([len(windows) for windows in recordings])
    return [part.mean(0) for part in np.split(scores, ends[:-1])] if recordings else []


def write_class_table(path: Path, labels: Sequence[str], per_class: Sequence[ClassFigures]) -> None:
    """Write the figures of each class as CSV: a line for each label, empty where a figure is not defined.

    Parameters
    ----------
    path : Path
        Written beside and renamed, so that a kill leaves the old file or the new one.
    labels : sequence of str
        Names of the classes.
    per_class : sequence of ClassFigures
        In the same order.

    Raises
    ------
    TrainingError
        It can't be written.
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
            f"the figures of the classes can't be written to {path} ({error.strerror}): make room or name another file"
        ) from error
