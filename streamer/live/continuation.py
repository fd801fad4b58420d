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
        self._end_sample = 0
        self._heard_at: float | None = None

    def of(self, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """Yield the chunks of the next stream with continued positions."""
        shift = None
        for chunk in chunks:
            if shift is None:
                shift = self._shift(chunk)
            placed = replace(chunk, start_sample=chunk.start_sample + shift) if shift else chunk
            self._end_sample = placed.start_sample + len(placed.samples)
            self._heard_at = elapsed_seconds()
            yield placed

    def _shift(self, first: AudioChunk) -> int:
        if self._heard_at is None or first.start_sample >= self._end_sample:
            return 0
        away = round((elapsed_seconds() - self._heard_at) * SAMPLE_RATE_HZ)
        return self._end_sample + max(0, away - len(first.samples)) - first.start_sample
