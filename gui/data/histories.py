"""What the window keeps of each source's sound: the columns of ten minutes. No Qt here."""

from collections.abc import Iterable

import numpy as np

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

from .columns import Columns, RowsFunction
from .feed import Snapshot, SourceView

_HIDDEN_PERIOD_SECONDS = 1.0
_NEWEST_SAMPLES = SAMPLE_RATE_HZ // 4
_NO_SAMPLES = np.zeros(0, np.float32)


class Past:
    """One source's sound so far.

    Attributes
    ----------
    columns : Columns
        As a picture.
    newest_samples : float32 (n,)
        What the newest snapshot brought, a quarter of a second at most.
    """

    def __init__(self, rows: RowsFunction) -> None:
        self.columns = Columns(rows)
        self.newest_samples: Samples = _NO_SAMPLES
        self._heard = 0

    def extend(self, view: SourceView) -> None:
        """Take what is new."""
        chunks = view.chunks_after(self._heard)
        self._heard = view.heard
        self.columns.extend(chunks)
        self.newest_samples = _newest(chunks)


class Pasts:
    """The past of every source: of those on show at each tick, of the others once a second, which is cheaper.

    Parameters
    ----------
    rows : callable
        See `RowsFunction`.
    """

    def __init__(self, rows: RowsFunction) -> None:
        self._rows = rows
        self._pasts: dict[str, Past] = {}
        self._due_at = 0.0

    def __getitem__(self, source: str) -> Past:
        return self._pasts[source]

    def follow(self, sources: Iterable[str]) -> None:
        """Keep the past of these from now on: what there is of those that stay, and nothing of the others."""
        self._pasts = {source: self._pasts.get(source) or Past(self._rows) for source in sources}

    def due(self, now_seconds: float) -> bool:
        """Whether it is time for those that are not on show."""
        return now_seconds >= self._due_at

    def extend(self, snapshot: Snapshot, now_seconds: float, *, shown: Iterable[str]) -> None:
        """Take what is new."""
        if self.due(now_seconds):
            self._due_at = now_seconds + _HIDDEN_PERIOD_SECONDS
            shown = self._pasts
        for source in shown:
            self._pasts[source].extend(snapshot.sources[source])


def _newest(chunks: tuple[AudioChunk, ...]) -> Samples:
    """Return the samples of the last quarter of a second at most: what is older moves no meter."""
    if not chunks:
        return _NO_SAMPLES
    wanted = _NEWEST_SAMPLES
    parts = []
    for chunk in reversed(chunks):
        parts.append(chunk.samples)
        wanted -= len(chunk.samples)
        if wanted <= 0:
            break
    return np.concatenate(parts[::-1])
