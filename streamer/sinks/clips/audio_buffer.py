"""Recent audio of a source, by position in the stream."""

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
    """Part of a stream.

    Attributes
    ----------
    samples : int16 (n,)
        16 kHz mono; missing samples are zero.
    start_sample : int
        Stream index of the first sample.
    gaps : tuple of (int, int)
        Half-open spans of missing samples, relative to the start of the excerpt.
    """

    samples: Pcm
    start_sample: int
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def end_sample(self) -> int:
        """Stream index after the last sample."""
        return self.start_sample + len(self.samples)


class AudioBuffer:
    """Chunks of one source, kept until they are discarded.

    One thread may write while another one reads.

    Parameters
    ----------
    capacity : int, optional
        Maximum number of samples, the newest; without a limit, the reader must discard old ones.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()  # held only while chunks are added or removed
        self._chunks: deque[AudioChunk] = deque()

    def write(self, chunk: AudioChunk) -> None:
        """Append the next chunk, without a copy."""
        with self._lock:
            self._chunks.append(chunk)
            if self._capacity is not None:
                self._discard(_end(chunk) - self._capacity)

    def discard(self, before_sample: int) -> None:
        """Discard the chunks that end before a sample."""
        with self._lock:
            self._discard(before_sample)

    def cut(self, start_sample: int, end_sample: int) -> Excerpt | None:
        """Copy a part; it starts later if its start is missing, and is None if all of it is missing."""
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
            # Samples that were 16-bit integers become the same integers again.
            samples[begin - start_sample : end - start_sample] = np.clip(
                np.rint(part * 32_768.0), -32_768, 32_767
            )
            if begin > position:
                gaps.append((position - start_sample, begin - start_sample))
            position = end
        if position < end_sample:
            gaps.append((position - start_sample, end_sample - start_sample))
        return Excerpt(samples, start_sample, tuple(gaps))

    def _discard(self, before_sample: int) -> None:
        while self._chunks and _end(self._chunks[0]) <= before_sample:
            self._chunks.popleft()


def _end(chunk: AudioChunk) -> int:
    return chunk.start_sample + len(chunk.samples)
