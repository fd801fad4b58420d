"""What the window keeps of each source's sound: the columns of ten minutes. No Qt here."""

from collections.abc import Iterable

import numpy as np

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

from .columns import Columns, RowsFunction
from .feed import Feed, Snapshot, SourceView

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
    sources : iterable of str
        Their names.
    rows : callable
        See `RowsFunction`.
    """

    def __init__(self, sources: Iterable[str], rows: RowsFunction) -> None:
        self._pasts = {source: Past(rows) for source in sources}
        self._due_at = 0.0

    def __getitem__(self, source: str) -> Past:
        return self._pasts[source]

    def extend(self, snapshot: Snapshot, now_seconds: float, *, shown: Iterable[str]) -> None:
        """Take what is new."""
        if now_seconds >= self._due_at:
            self._extend_all(snapshot, now_seconds)
        else:
            for source in shown:
                self._pasts[source].extend(snapshot.sources[source])

    def extend_unseen(self, feed: Feed, now_seconds: float) -> None:
        """Take what is new while none is on show: once a second."""
        if now_seconds >= self._due_at:
            self._extend_all(feed.snapshot(), now_seconds)

    def _extend_all(self, snapshot: Snapshot, now_seconds: float) -> None:
        self._due_at = now_seconds + _HIDDEN_PERIOD_SECONDS
        for source, past in self._pasts.items():
            past.extend(snapshot.sources[source])


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
