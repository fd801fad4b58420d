"""Taggings of a sound, for Python: times and scores as arrays, events, tables and a picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamer import messages
from streamer.messages import SAMPLE_RATE_HZ, Event

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Tagging(messages.Tagging):
    """Scores of one window, with the names of the classes.

    Attributes
    ----------
    labels : tuple of str
        A name for each score.
    """

    labels: tuple[str, ...] = ()

    @property
    def start_seconds(self) -> float:
        """Start of the window, in seconds since the source began."""
        return self.start_sample / SAMPLE_RATE_HZ

    @property
    def end_seconds(self) -> float:
        """End of the window, in seconds since the source began."""
        return self.end_sample / SAMPLE_RATE_HZ

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the labels with the highest scores, and these scores, the highest first."""
        return _highest(self.labels, self.scores, count)


class Taggings(list[Tagging]):
    """Taggings of a recording or an array, a window each, in order: a list with views of the whole.

    Parameters
    ----------
    taggings : iterable of Tagging
        Taggings of one source.
    labels : sequence of str
        Names of the classes.
    thresholds : float32 (classes,), optional
        Thresholds of the model, for events.

    Attributes
    ----------
    labels : tuple of str
        As given.
    """

    def __init__(
        self, taggings: Iterable[Tagging], labels: Sequence[str], thresholds: Floats | None = None
    ) -> None:
        super().__init__(taggings)
        self.labels = tuple(labels)
        self._thresholds = thresholds

    @property
    def times(self) -> NDArray[np.float64]:
        """Start and end of each window, in seconds: float64 (windows, 2)."""
        times = [(tagging.start_seconds, tagging.end_seconds) for tagging in self]
        return np.array(times, np.float64).reshape(-1, 2)

    @property
    def scores(self) -> Floats:
        """Scores in 0..1: float32 (windows, classes)."""
        scores = np.array([tagging.scores for tagging in self], np.float32)
        return scores.reshape(-1, len(self.labels))

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the labels with the highest scores in any window, and these scores, the highest first."""
        return _highest(self.labels, self.scores.max(0, initial=0.0), count)

    def events(self, watch: Sequence[str] | None = None) -> list[Event]:
        """Return what happened: a sound each, with its start and end, in the order of the starts.

        Parameters
        ----------
        watch : sequence of str, optional
            Sounds: names that ``earshot sounds`` lists, or labels of the model. By default those that the program watches.

        Raises
        ------
        StreamerError
            A sound is unknown, or detected by its level, of which scores say nothing; give it to `tag` as `watch`.
        TypeError
            `watch` is a single text.
        """
        from streamer.events.catalogue import Watch, resolve_scored_sounds
        from streamer.events.detector import EventDetector

        wanted = None if watch is None else [Watch(name) for name in require_list(watch)]
        detector = EventDetector(resolve_scored_sounds(wanted, self.labels, self._thresholds))
        found = [event for tagging in self for event in detector.feed(tagging)] + detector.close()
        return sorted((event for event in found if event.kind == "ended"), key=lambda event: event.started_at)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with a row per window, ``start`` and ``end`` in seconds and a column per label.

        A label whose name is taken, such as ``end``, has the column ``end (class)``.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        import pandas as pd

        return pd.DataFrame(self._columns())

    def to_polars(self) -> "pl.DataFrame":
        """Return the same table for Polars.

        Raises
        ------
        ImportError
            Polars is not installed.
        """
        import polars as pl

        return pl.DataFrame(self._columns())

    def plot(self, count: int = 8, axes: "Axes | None" = None) -> "Axes":
        """Draw the scores of the highest labels over time, with matplotlib.

        Parameters
        ----------
        count : int
            Labels to draw.
        axes : matplotlib.axes.Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        matplotlib.axes.Axes
            Its ``figure`` can be shown or saved.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            There are no taggings.
        """
        if not self:
            raise ValueError("there is nothing to draw: the sound is empty")
        if axes is None:
            from matplotlib.figure import Figure

            axes = Figure(figsize=(9, 0.6 + 0.35 * count), layout="constrained").subplots()
        names = [label for label, _ in self.top(count)]
        ends = self.times[:, 1]
        shares = self.scores[:, [self.labels.index(name) for name in names]].T
        edges = np.concatenate(([2 * ends[0] - ends[1]] if len(ends) > 1 else [0.0], ends))
        mesh = axes.pcolormesh(edges, np.arange(len(names) + 1), shares, vmin=0.0, vmax=1.0, cmap="inferno")
        axes.set_yticks(np.arange(len(names)) + 0.5, names)
        axes.invert_yaxis()
        axes.set_xlabel("end of the window, seconds")
        axes.figure.colorbar(mesh, ax=axes, label="score")
        return axes

    def _columns(self) -> dict[str, Any]:
        times, scores = self.times, self.scores
        columns: dict[str, Any] = {"start": times[:, 0], "end": times[:, 1]}
        for index, label in enumerate(self.labels):
            name = label
            while name in columns:
                name = f"{name} (class)"
            columns[name] = scores[:, index]
        return columns


def require_list(watch: Sequence[str]) -> Sequence[str]:
    """Return names of sounds.

    Raises
    ------
    TypeError
        It is a single text.
    """
    if isinstance(watch, str):
        raise TypeError(f"watch must be a list of sounds; write watch=[{watch!r}]")
    return watch


def _highest(labels: Sequence[str], scores: Floats, count: int) -> list[tuple[str, float]]:
    order = np.argsort(-scores, kind="stable")[:count]
    return [(labels[index], float(scores[index])) for index in order]
