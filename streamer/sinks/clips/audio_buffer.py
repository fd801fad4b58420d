"""The sound of a source that may still be wanted, by its place in the stream."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...messages import AudioChunk

Pcm: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """A stretch of a stream.

    Attributes
    ----------
    samples : int16 (n,)
        16 kHz mono; what is missing is digital silence.
    start_sample : int
        Stream index of the first sample.
    gaps : tuple of (int, int)
        What is missing: half-open spans, counted from the excerpt's beginning.
    """

    samples: Pcm
    start_sample: int
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def end_sample(self) -> int:
        """Stream index behind the last sample."""
        return self.start_sample + len(self.samples)


class AudioBuffer:
    """Keeps the chunks of one source until they are let go.

    One thread may write while another one reads.

    Parameters
    ----------
    capacity : int, optional
        Samples to keep at most, the newest; without a limit, it is for the reader to let go in time.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()  # held only while chunks come and go
        self._chunks: deque[AudioChunk] = deque()

    def write(self, chunk: AudioChunk) -> None:
        """Append the next chunk; none of it is copied."""
        with self._lock:
            self._chunks.append(chunk)
            if self._capacity is not None:
                self._let_go(_end(chunk) - self._capacity)

    def forget(self, before_sample: int) -> None:
        """Let go of the chunks that end before a sample."""
        with self._lock:
            self._let_go(before_sample)

    def cut(self, start_sample: int, end_sample: int) -> Excerpt | None:
        """Copy a stretch; it begins later where its beginning is not there, and is None where none of it is."""
        if end_sample <= start_sample:
            return None
        with self._lock:
            chunks = list(self._chunks)
        chunks = [chunk for chunk in chunks if chunk.start_sample < end_sample and _end(chunk) > start_sample]
        if not chunks:
            return None
        start_sample = max(start_sample, chunks[0].start_sample)
        samples = np.zeros(end_sample - start_sample, np.int16)
        gaps = []
        position = start_sample
        for chunk in chunks:
            begin, end = max(chunk.start_sample, start_sample), min(_end(chunk), end_sample)
            part = chunk.samples[begin - chunk.start_sample : end - chunk.start_sample]
            # Samples that came as 16-bit integers become the same ones again.
            samples[begin - start_sample : end - start_sample] = np.clip(
                np.rint(part * 32_768.0), -32_768, 32_767
            )
            if begin > position:
                gaps.append((position - start_sample, begin - start_sample))
            position = end
        if position < end_sample:
            gaps.append((position - start_sample, end_sample - start_sample))
        return Excerpt(samples, start_sample, tuple(gaps))

    def _let_go(self, before_sample: int) -> None:
        while self._chunks and _end(self._chunks[0]) <= before_sample:
            self._chunks.popleft()


def _end(chunk: AudioChunk) -> int:
    return chunk.start_sample + len(chunk.samples)
