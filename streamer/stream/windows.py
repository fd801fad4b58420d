"""Chunks of any size in, due windows out."""

from collections.abc import Iterator

import numpy as np

from ..messages import SAMPLE_RATE_HZ, WINDOW_SAMPLES, AudioChunk, Window
from .ring_buffer import RingBuffer

_SMALLEST_REST = 400
"""New samples that justify a last window: one frame of the model."""


class WindowCutter:
    """Cuts one source into sliding windows.

    A window ends at each multiple of the hop and reaches back over `window_samples`, or to the beginning of a younger stream.
    The size of the chunks makes no difference.

    A gap in the index that is shorter than a window becomes silence of the same length, so that the sound around it keeps its
    place. After a longer gap the stream starts again. No window ends inside a gap.

    Parameters
    ----------
    source : str
        Name of the source.
    window_samples, hop_samples : int
        Length of a window, and distance between the ends of two windows.
    """

    def __init__(self, source: str, *, window_samples: int, hop_samples: int) -> None:
        self._source = source
        self._window_samples = window_samples
        self._hop_samples = hop_samples
        self._ring = RingBuffer(max(window_samples, WINDOW_SAMPLES))
        self._position = 0
        self._due = hop_samples
        self._last_end = 0
        self._anchor = 0.0
        self._flushed = False

    def set_lengths(self, window_samples: int, hop_samples: int) -> None:
        """Use another length of a window, at most the longest of all models, and another hop from the next chunk on."""
        self._window_samples = window_samples
        if hop_samples != self._hop_samples:
            self._hop_samples = hop_samples
            self._due = self._next_due()

    def feed(self, chunk: AudioChunk) -> Iterator[Window]:
        """Add a chunk and yield the windows that are due, oldest first."""
        self._anchor = chunk.captured_at - chunk.start_sample / SAMPLE_RATE_HZ
        if chunk.start_sample > self._position:
            self._skip(chunk.start_sample - self._position)
        self._flushed = False
        rest = chunk.samples
        while len(rest):
            part, rest = np.split(rest, [self._due - self._position])
            self._ring.write(part)
            self._position += len(part)
            if self._position == self._due:
                self._due += self._hop_samples
                yield self._window()

    def flush(self) -> Iterator[Window]:
        """Yield a last window at the end of the stream, if there is sound that no window holds; the next chunk starts a new stream."""
        rest = self._position - self._last_end
        if rest >= _SMALLEST_REST or (rest and not self._last_end):
            yield self._window()
        self._ring.clear()
        self._flushed = True

    def _window(self) -> Window:
        samples = self._ring.last(self._window_samples)
        self._last_end = self._position
        return Window(
            source=self._source,
            samples=samples,
            start_sample=self._position - len(samples),
            end_sample=self._position,
            ended_at=self._anchor + self._position / SAMPLE_RATE_HZ,
            hop_samples=self._hop_samples,
        )

    def _skip(self, gap: int) -> None:
        if gap < self._window_samples and not self._flushed:
            self._ring.write(np.zeros(gap, np.float32))
        else:
            self._ring.clear()
        self._position += gap
        self._due = self._next_due()

    def _next_due(self) -> int:
        return (self._position // self._hop_samples + 1) * self._hop_samples
