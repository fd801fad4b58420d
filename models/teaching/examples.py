"""Examples: the sound in a recording, and whether it can be learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ExampleError, TeachingError
from ..frontends import SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

FEWEST = 3
_FRAME = SAMPLE_RATE_HZ // 50
_ABOVE_FLOOR_DB = 10.0
_BELOW_PEAK_DB = 30.0
_LONGEST_PAUSE_SECONDS = 0.6
_MARGIN_SECONDS = 0.1
_SHORTEST_SECONDS = 0.05
_SILENT_DBFS = -65.0
_FULL_SCALE = 0.995
_SHARE_CLIPPED = 0.01
_SAME = 0.9999
"""Correlation from which two recordings are the same one: two rings of an electronic bell differ by the noise of the room."""
_COMPARED_SECONDS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Example of a sound.

    Attributes
    ----------
    name : str
        Name of the recording, for people.
    samples : float32 (n,)
        The sound without what is before and after it, at 16 kHz.
    """

    name: str
    samples: Floats

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


def find_example(name: str, recording: Floats, longest_samples: int) -> Example:
    """Find the sound in a recording: its loudest stretch, with short pauses in it.

    Parameters
    ----------
    name : str
        Name of the recording.
    recording : float32 (n,)
        16 kHz mono.
    longest_samples : int
        Length of a window; of a longer sound, the loudest part is used.

    Raises
    ------
    ExampleError
        The recording is silent, overdriven or too short.
    """
    if len(recording) < _SHORTEST_SECONDS * SAMPLE_RATE_HZ:
        raise ExampleError(f"{name} is too short: record the whole sound", name)
    begin, end = _stretch(name, recording)
    sound = loudest(recording[begin:end], longest_samples)
    if np.mean(np.abs(sound) >= _FULL_SCALE) > _SHARE_CLIPPED:
        raise ExampleError(
            f"{name} is overdriven (clipped): record it again with less gain, or farther away", name
        )
    return Example(name, np.ascontiguousarray(sound, np.float32))


def require_enough(examples: Sequence[Example]) -> None:
    """Check that there are enough examples, all from different recordings.

    Raises
    ------
    TeachingError
        There are fewer than three, or two are the same.
    """
    require_different(examples)
    if len(examples) < FEWEST:
        count = "1 example is" if len(examples) == 1 else f"{len(examples)} examples are"
        raise TeachingError(f"{count} too few: give at least {FEWEST}, better 5, each another occurrence")


def require_different(examples: Sequence[Example]) -> None:
    """Check that all examples are from different recordings.

    Raises
    ------
    ExampleError
        Two are the same.
    """
    for index, example in enumerate(examples):
        for other in examples[:index]:
            if _is_same(example.samples, other.samples):
                names = example.name if example.name == other.name else f"{other.name} and {example.name}"
                verb = "was given twice" if example.name == other.name else "are the same recording"
                raise ExampleError(
                    f"{names} {verb}: each example must be another occurrence of the sound", example.name
                )


def _stretch(name: str, recording: Floats) -> tuple[int, int]:
    """Return the first and last sample of the sound in a recording."""
    count = len(recording) // _FRAME
    frames = recording[: count * _FRAME].reshape(count, _FRAME).astype(np.float64)
    level = 10 * np.log10(np.square(frames).mean(1) + 1e-12)
    if level.max() < _SILENT_DBFS:
        raise ExampleError(f"{name} is silent: check the microphone, and record it again", name)
    limit = max(level.max() - _BELOW_PEAK_DB, min(np.quantile(level, 0.1) + _ABOVE_FLOOR_DB, level.max() - 6))
    active = np.flatnonzero(level >= limit)
    pauses = np.flatnonzero(np.diff(active) * _FRAME > _LONGEST_PAUSE_SECONDS * SAMPLE_RATE_HZ)
    starts, ends = np.append(active[0], active[pauses + 1]), np.append(active[pauses], active[-1])
    energy = [np.square(frames[start : end + 1]).sum() for start, end in zip(starts, ends, strict=True)]
    best = int(np.argmax(energy))
    margin = round(_MARGIN_SECONDS * SAMPLE_RATE_HZ)
    return max(0, int(starts[best]) * _FRAME - margin), min(
        len(recording), (int(ends[best]) + 1) * _FRAME + margin
    )


def loudest(sound: Floats, length: int) -> Floats:
    """Return the part of this length with the most energy."""
    if len(sound) <= length:
        return sound
    energy = np.concatenate(([0.0], np.cumsum(np.square(sound, dtype=np.float64))))
    begin = int(np.argmax(energy[length:] - energy[:-length]))
    return sound[begin : begin + length]


def _is_same(one: Floats, other: Floats) -> bool:
    """Return True if two sounds are the same recording, at any delay and gain."""
    most = round(_COMPARED_SECONDS * SAMPLE_RATE_HZ)
    if abs(len(one) - len(other)) > SAMPLE_RATE_HZ // 10:
        return False
    one, other = one[:most], other[:most]
    size = 1 << (len(one) + len(other) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    norm = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return bool(np.abs(product).max() > _SAME * max(norm, 1e-12))
