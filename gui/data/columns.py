"""Columns of the spectrogram: log-mel energies on the stream's 10 ms grid, each computed once."""

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

FRAME_SAMPLES = 400
HOP_SAMPLES = 160
MEL_BINS = 128

COLUMNS = 1024
"""Columns on screen, as many as the model sees: 10.24 s in steps of 10 ms."""

KEPT_COLUMNS = 60_000
"""Columns kept to scroll back to: ten minutes."""

EMPTY = 0
"""Value of a column before the first sound."""
GAP = 255
"""Value of a column whose sound was lost; the maximum, so that it stays visible when columns are merged."""

_SILENT, _LOUD = -13.0, 6.0

LogMelFunction: TypeAlias = Callable[[Samples], NDArray[np.float32]]
"""Function from samples (n,) to natural-log mel energies (1 + (n - 400) // 160, 128); no row if n < 400."""


class Columns:
    """Newest columns of a source, in 8 bits.

    Values 1 to 254 are log-mel energies from silent to loud; `EMPTY` and `GAP` fill whole columns.
    Column ``i`` is the frame that starts at stream index ``160 * i``, whatever the sizes of the chunks.

    Parameters
    ----------
    log_mel : callable
        See `LogMelFunction`.
    kept : int
        Number of columns to keep.

    Attributes
    ----------
    first, end : int
        Index of the oldest column since the stream started, and of the one after the newest.
    restarts : int
        Number of times that the stream's index went back, which clears the picture; -1 before the first chunk.
    started_at : float
        Unix time in seconds of stream index 0, according to the newest chunk.
    """

    def __init__(self, log_mel: LogMelFunction, *, kept: int = KEPT_COLUMNS) -> None:
        self._log_mel = log_mel
        self._ring: NDArray[np.uint8] = np.zeros((kept, MEL_BINS), np.uint8)
        self.first = self.end = 0
        self.restarts = -1
        self.started_at = 0.0
        self._next_sample = -1
        self._pending: list[Samples] = []
        self._pending_start = 0

    def extend(self, chunks: Iterable[AudioChunk]) -> None:
        """Add consecutive chunks; a jump of the index becomes a gap of at least two columns."""
        for chunk in chunks:
            if self._next_sample < 0 or chunk.start_sample < self._next_sample:
                self._restart(chunk.start_sample)
            elif chunk.start_sample > self._next_sample:
                self._compute()
                self._fill_gap(chunk.start_sample)
            self.started_at = chunk.captured_at - chunk.start_sample / SAMPLE_RATE_HZ
            self._pending.append(chunk.samples)
            self._next_sample = chunk.start_sample + len(chunk.samples)
        self._compute()

    def values(self, first: int, last: int) -> NDArray[np.uint8]:
        """Return columns ``first`` to ``last`` (exclusive) as uint8 (n, 128), lowest mel bin first."""
        indices = np.arange(first, last)
        values = self._ring[indices % len(self._ring)]
        oldest = self.oldest
        if first < oldest or last > self.end:
            values[(indices < oldest) | (indices >= self.end)] = EMPTY
        return values

    @property
    def started(self) -> bool:
        """True once there was any sound."""
        return self.restarts >= 0

    @property
    def oldest(self) -> int:
        """Index of the oldest column kept."""
        return max(self.first, self.end - len(self._ring))

    def time_of(self, column: int) -> float:
        """Return the Unix time in seconds at which a column starts."""
        return self.started_at + column * HOP_SAMPLES / SAMPLE_RATE_HZ

    def column_at(self, time_seconds: float) -> int:
        """Return the column that starts at a Unix time."""
        return round((time_seconds - self.started_at) * SAMPLE_RATE_HZ / HOP_SAMPLES)

    def _restart(self, start_sample: int) -> None:
        self.restarts += 1
        self._seek(start_sample)
        self.first = self.end

    def _fill_gap(self, start_sample: int) -> None:
        before = self.end
        self._seek(start_sample)
        self._fill(np.full((min(self.end - before, len(self._ring)), MEL_BINS), GAP, np.uint8))

    def _seek(self, start_sample: int) -> None:
        self.end = -(-start_sample // HOP_SAMPLES)
        self._pending = []
        self._pending_start = start_sample

    def _compute(self) -> None:
        """Turn pending samples into columns, and keep those that the next frame needs."""
        if not self._pending:
            return
        samples = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending)
        first = self.end * HOP_SAMPLES - self._pending_start
        if len(samples) >= first + FRAME_SAMPLES:
            rows = self._log_mel(samples[first:])
            self.end += len(rows)
            self._fill(_quantise(rows[-len(self._ring) :]))
            used = self.end * HOP_SAMPLES - self._pending_start
            samples = samples[used:].copy()
            self._pending_start += used
        self._pending = [samples]

    def _fill(self, values: NDArray[np.uint8]) -> None:
        """Write the columns before `end`."""
        self._ring[np.arange(self.end - len(values), self.end) % len(self._ring)] = values


def _quantise(rows: NDArray[np.float32]) -> NDArray[np.uint8]:
    scaled = np.clip((rows - _SILENT) * (253 / (_LOUD - _SILENT)), 0, 253)
    values: NDArray[np.uint8] = (scaled + 1.5).astype(np.uint8)
    return values


def bin_of(frequency_hz: float) -> float:
    """Return the height of a frequency in the picture, in mel bins: 0.5 is the middle of the lowest bin.

    Kaldi's mel scale, ``1127 ln(1 + f / 700)``, with triangles between 20 Hz and 8 kHz.
    """
    low, high = _mel(20.0), _mel(8000.0)
    return (_mel(frequency_hz) - low) / (high - low) * (MEL_BINS + 1) - 0.5


def _mel(frequency_hz: float) -> float:
    return 1127.0 * math.log(1.0 + frequency_hz / 700.0)
