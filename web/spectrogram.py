"""Rows of the spectrogram: log-mel energies on the stream's 10 ms grid, in 8 bits, each computed once."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples

from .actions import LogMelFunction

FRAME_SAMPLES = 400
HOP_SAMPLES = 160
MEL_BINS = 128

GAP = 255
"""Value of a row whose sound was lost."""

FLOOR_DBFS = -120.0

_SILENT, _LOUD = -13.0, 6.0
_MOST_CLIP_ROWS = 1_000
_BLOCK_SAMPLES = 60 * SAMPLE_RATE_HZ
_MOST_ROWS = 400
"""Rows sent at once: what a page shows after a pause."""


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Consecutive rows, and the level of their sound.

    Attributes
    ----------
    first : int
        Index of the first row since the stream started: row ``i`` is the frame that starts at sample ``160 * i``.
    values : uint8 (rows, 128)
        Energies from silent (1) to loud (254), lowest mel bin first; `GAP` in rows whose sound was lost.
    started_at : float
        Unix time in seconds of row 0.
    level_dbfs, peak_dbfs : float
        RMS level and highest sample of the newest sound.
    """

    first: int
    values: NDArray[np.uint8]
    started_at: float
    level_dbfs: float
    peak_dbfs: float


class Rows:
    """Rows of a source, made from its chunks.

    Parameters
    ----------
    log_mel : callable
        See `LogMelFunction`.
    """

    def __init__(self, log_mel: LogMelFunction) -> None:
        self._log_mel = log_mel
        self._end = 0
        self._next_sample = -1
        self._samples: Samples = np.zeros(0, np.float32)
        self._samples_start = 0

    def extend(self, chunks: Iterable[AudioChunk]) -> RowBlock | None:
        """Add chunks and return the new rows; None if there are none yet."""
        blocks: list[NDArray[np.uint8]] = []
        newest: list[Samples] = []
        first, started_at = -1, 0.0
        for chunk in chunks:
            if self._next_sample < 0 or chunk.start_sample < self._next_sample:
                self._seek(chunk.start_sample)
                blocks, first = [], -1
            elif chunk.start_sample > self._next_sample:
                before = self._end
                self._seek(chunk.start_sample)
                lost = min(self._end - before, _MOST_ROWS)
                first = self._end - lost if first < 0 else first
                blocks.append(np.full((lost, MEL_BINS), GAP, np.uint8))
            self._samples = np.concatenate((self._samples, chunk.samples))
            self._next_sample = chunk.start_sample + len(chunk.samples)
            started_at = chunk.captured_at - chunk.start_sample / SAMPLE_RATE_HZ
            newest.append(chunk.samples)
            rows = self._compute()
            first = self._end - len(rows) if first < 0 else first
            blocks.append(rows)
        values = np.concatenate(blocks)[-_MOST_ROWS:] if blocks else np.zeros((0, MEL_BINS), np.uint8)
        if not len(values):
            return None
        level, peak = _levels(np.concatenate(newest))
        return RowBlock(self._end - len(values), values, started_at, level, peak)

    def _seek(self, start_sample: int) -> None:
        self._end = -(-start_sample // HOP_SAMPLES)
        self._samples = np.zeros(0, np.float32)
        self._samples_start = start_sample

    def _compute(self) -> NDArray[np.uint8]:
        """Turn samples into rows, and keep those that the next frame needs."""
        first = self._end * HOP_SAMPLES - self._samples_start
        if len(self._samples) < first + FRAME_SAMPLES:
            return np.zeros((0, MEL_BINS), np.uint8)
        rows = self._log_mel(self._samples[first:])
        self._end += len(rows)
        used = self._end * HOP_SAMPLES - self._samples_start
        self._samples = self._samples[used:].copy()
        self._samples_start += used
        return _quantise(rows)


def clip_rows(samples: Samples, log_mel: LogMelFunction) -> NDArray[np.uint8]:
    """Return the spectrogram of a whole clip, uint8 (rows, 128), with at most 1,000 rows: of a long clip, the loudest of several.

    Parameters
    ----------
    samples : float32 (n,)
        The clip.
    log_mel : callable
        See `LogMelFunction`.
    """
    blocks = [np.zeros((0, MEL_BINS), np.uint8)]
    for start in range(0, len(samples), _BLOCK_SAMPLES):
        part = samples[start : start + _BLOCK_SAMPLES + FRAME_SAMPLES - HOP_SAMPLES]
        if len(part) >= FRAME_SAMPLES:
            blocks.append(_quantise(log_mel(part)))
    rows = np.concatenate(blocks)
    each = -(-len(rows) // _MOST_CLIP_ROWS)
    if each > 1:
        rows = np.maximum.reduceat(rows, np.arange(0, len(rows), each), axis=0)
    return rows


def _quantise(rows: NDArray[np.float32]) -> NDArray[np.uint8]:
    scaled = np.clip((rows - _SILENT) * (253 / (_LOUD - _SILENT)), 0, 253)
    values: NDArray[np.uint8] = (scaled + 1.5).astype(np.uint8)
    return values


def _levels(samples: Samples) -> tuple[float, float]:
    """Return the RMS level and the peak in dBFS."""
    if not len(samples):
        return FLOOR_DBFS, FLOOR_DBFS
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return _decibels(power), _decibels(float(np.max(np.abs(samples))) ** 2)


def _decibels(power: float) -> float:
    return max(FLOOR_DBFS, 10.0 * math.log10(power)) if power > 0 else FLOOR_DBFS
