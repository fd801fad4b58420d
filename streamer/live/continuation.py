"""One index for all sources that take the same place, one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..runtime.timing import elapsed_seconds


class Continuation:
    """Continues the index of a stream when its source starts again, or another source takes its place.

    A stream that starts at a position that was already reached is moved behind it, after a gap as long as the interruption.
    """

    def __init__(self) -> None:
        self._source: object = None
        self._source_end = 0
        self._shift_samples = 0
        self._end_sample = 0
        self._heard_at: float | None = None

    def of(self, source: object, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """Yield the chunks of the next stream, of a source, with continued positions."""
        is_first = True
        for chunk in chunks:
            if is_first:
                self._shift_samples = self._shift(source, chunk)
                self._source, is_first = source, False
            shift = self._shift_samples
            self._source_end = chunk.start_sample + len(chunk.samples)
            self._end_sample, self._heard_at = self._source_end + shift, elapsed_seconds()
            yield replace(chunk, start_sample=chunk.start_sample + shift) if shift else chunk

    def _shift(self, source: object, first: AudioChunk) -> int:
        if self._heard_at is None:
            return 0
        if source is self._source and first.start_sample >= self._source_end:
            return self._shift_samples  # it has counted on
        away = round((elapsed_seconds() - self._heard_at) * SAMPLE_RATE_HZ)
        return self._end_sample + max(0, away - len(first.samples)) - first.start_sample
