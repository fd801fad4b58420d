"""Sound of each source over ten minutes, as the columns of a spectrogram."""

from collections.abc import Iterable

import numpy as np

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

from .columns import Columns, LogMelFunction
from .feed import Snapshot, SourceView

_HIDDEN_PERIOD_SECONDS = 1.0
_NEWEST_SAMPLES = SAMPLE_RATE_HZ // 4
_NO_SAMPLES = np.zeros(0, np.float32)


class SourceHistory:
    """Sound of one source.

    Parameters
    ----------
    log_mel : callable
        See `LogMelFunction`.

    Attributes
    ----------
    columns : Columns
        Columns of its spectrogram.
    newest_samples : float32 (n,)
        Samples that the last update brought, at most a quarter of a second.
    """

    def __init__(self, log_mel: LogMelFunction) -> None:
        self.columns = Columns(log_mel)
        self.newest_samples: Samples = _NO_SAMPLES
        self._chunk_count = 0

    def extend(self, view: SourceView) -> None:
        """Add the chunks that are new since the last call."""
        chunks = view.chunks_after(self._chunk_count)
        self._chunk_count = view.chunk_count
        self.columns.extend(chunks)
        self.newest_samples = _newest(chunks)


class SourceHistories:
    """Sound of all sources. Those on screen are updated at each tick, the others once a second, which is cheaper.

    Parameters
    ----------
    log_mel : callable
        See `LogMelFunction`.
    """

    def __init__(self, log_mel: LogMelFunction) -> None:
        self._log_mel = log_mel
        self._histories: dict[str, SourceHistory] = {}
        self._due_at = 0.0

    def __getitem__(self, source: str) -> SourceHistory:
        return self._histories[source]

    def set_sources(self, sources: Iterable[str]) -> None:
        """Keep the histories of these sources and drop all others."""
        self._histories = {
            source: self._histories.get(source) or SourceHistory(self._log_mel) for source in sources
        }

    def due(self, now_seconds: float) -> bool:
        """Return True if the sources that are not on screen need an update."""
        return now_seconds >= self._due_at

    def extend(self, snapshot: Snapshot, now_seconds: float, *, shown: Iterable[str]) -> None:
        """Update the sources on screen, and the others if they are due."""
        if self.due(now_seconds):
            self._due_at = now_seconds + _HIDDEN_PERIOD_SECONDS
            shown = self._histories
        for source in shown:
            self._histories[source].extend(snapshot.sources[source])


def _newest(chunks: tuple[AudioChunk, ...]) -> Samples:
    """Return the samples of the last quarter of a second, which is all that a level meter needs."""
    if not chunks:
        return _NO_SAMPLES
    missing = _NEWEST_SAMPLES
    parts = []
    for chunk in reversed(chunks):
        parts.append(chunk.samples)
        missing -= len(chunk.samples)
        if missing <= 0:
            break
    return np.concatenate(parts[::-1])
