"""Chunks of any size in, due windows out."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..levels import levels_dbfs
from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, AudioChunk, Window
from .ring_buffer import RingBuffer

_SMALLEST_REST = 400
"""New samples that justify a last window: one frame of the model."""

_LEVEL_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Sound before the end of a fast window whose levels it has: to find an onset, and the background before it."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of the windows of a source, in samples.

    Attributes
    ----------
    window_samples, hop_samples : int
        Length of a window, and distance between the ends of two windows.
    fast_samples : int, optional
        Length of the fast windows that are cut beside them; None without these. There are none either if they would not be shorter.
    """

    window_samples: int
    hop_samples: int
    fast_samples: int | None = None

    @property
    def fast(self) -> tuple[int, int] | None:
        """Length of a fast window, and the distance between the ends of two: half of it, in whole frames of the level."""
        if self.fast_samples is None or self.fast_samples >= self.window_samples:
            return None
        return (
            self.fast_samples,
            max(1, self.fast_samples // 2 // LEVEL_FRAME_SAMPLES) * LEVEL_FRAME_SAMPLES,
        )

    @property
    def windows_per_second(self) -> float:
        """Number of windows, the fast ones included."""
        hops = [self.hop_samples] if self.fast is None else [self.hop_samples, self.fast[1]]
        return sum(SAMPLE_RATE_HZ / hop for hop in hops)


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
    is_fast : bool
        True for fast windows, which have the levels of the sound before them.
    """

    def __init__(self, source: str, *, window_samples: int, hop_samples: int, is_fast: bool = False) -> None:
        self._source = source
        self._is_fast = is_fast
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
            fast_levels_dbfs=levels_dbfs(self._ring.last(_LEVEL_SAMPLES)) if self._is_fast else None,
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


class PairedCutter:
    """Cuts one source into sliding windows, and into fast windows if there are any. Where both end together, the fast one comes first.

    Parameters
    ----------
    source : str
        Name of the source.
    lengths : Lengths
        Lengths of the windows.
    """

    def __init__(self, source: str, lengths: Lengths) -> None:
        self._source = source
        self._long = WindowCutter(
            source, window_samples=lengths.window_samples, hop_samples=lengths.hop_samples
        )
        self._fast: WindowCutter | None = None
        self.set_lengths(lengths)

    def set_lengths(self, lengths: Lengths) -> None:
        """Use other lengths from the next chunk on; see `WindowCutter.set_lengths`."""
        self._long.set_lengths(lengths.window_samples, lengths.hop_samples)
        if lengths.fast is None:
            self._fast = None
            return
        window_samples, hop_samples = lengths.fast
        if self._fast is None:
            self._fast = WindowCutter(
                self._source, window_samples=window_samples, hop_samples=hop_samples, is_fast=True
            )
        self._fast.set_lengths(window_samples, hop_samples)

    def feed(self, chunk: AudioChunk) -> Iterator[Window]:
        """Add a chunk and yield the windows that are due, in the order of their ends."""
        if self._fast is None:
            return self._long.feed(chunk)
        return heapq.merge(
            self._fast.feed(chunk), self._long.feed(chunk), key=lambda window: window.end_sample
        )

    def flush(self) -> Iterator[Window]:
        """Yield the last windows at the end of the stream; see `WindowCutter.flush`."""
        if self._fast is not None:
            yield from self._fast.flush()
        yield from self._long.flush()
