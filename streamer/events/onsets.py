"""Onsets and offsets of sounds from the level, which is far finer than windows."""

import numpy as np

from ..messages import (
    LEVEL_FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Samples,
    Tagging,
)

_STEP_DB = 6.0
"""Rise of the level above the background that counts as an onset."""

_BACKGROUND_PERCENTILE = 10
_CONTEXT_FRAMES = 3 * SAMPLE_RATE_HZ // LEVEL_FRAME_SAMPLES
_QUIET_FRAMES = 3


def first_rise(tagging: Tagging, earliest: int, latest: int) -> int | None:
    """Return the sample in earliest .. latest at which the level first rises out of the background; None without a rise.

    The background is the level that a tenth of the frames from 3 s before `earliest` to `latest` stay below. A rise is a
    frame 6 dB above it, after 150 ms that are not.
    """
    levels = tagging.levels_dbfs
    begin = tagging.end_sample - len(levels) * LEVEL_FRAME_SAMPLES
    frame = _first_rise(levels, _frames(earliest - begin), _frames(latest - begin))
    return None if frame is None else min(max(begin + frame * LEVEL_FRAME_SAMPLES, earliest), latest)


def last_fall(tagging: Tagging, earliest: int, latest: int, *, final: bool = False) -> int | None:
    """Return the sample in earliest .. latest at which the level last falls back to the background; None without a fall.

    The mirror image of `first_rise`. With `final`, the level must still be low at `latest`.
    """
    levels, end = tagging.levels_dbfs[::-1], tagging.end_sample
    frame = _first_rise(levels, _frames(end - latest), _frames(end - earliest), from_quiet=final)
    return None if frame is None else min(max(end - frame * LEVEL_FRAME_SAMPLES, earliest), latest)


def last_rise(tagging: Tagging, earliest: int, latest: int) -> int | None:
    """Return the sample in earliest .. latest at which the level last rises out of the background; None without a rise. See `first_rise`."""
    rise = None
    while earliest <= latest and (found := first_rise(tagging, earliest, latest)) is not None:
        rise, earliest = found, found + LEVEL_FRAME_SAMPLES
    return rise


def first_fall(tagging: Tagging, earliest: int, latest: int) -> int | None:
    """Return the sample in earliest .. latest at which the level first falls back to the background; None without a fall. See `last_fall`."""
    fall = None
    while earliest <= latest and (found := last_fall(tagging, earliest, latest)) is not None:
        fall, latest = found, found - LEVEL_FRAME_SAMPLES
    return fall


def _frames(samples: int) -> int:
    return max(0, samples // LEVEL_FRAME_SAMPLES)


def _first_rise(levels: Samples, earliest: int, latest: int, *, from_quiet: bool = False) -> int | None:
    """Return the first of the frames earliest .. latest that is loud, after some that are not."""
    context = max(0, earliest - _CONTEXT_FRAMES)
    near = levels[context : latest + 1]
    if earliest - context >= len(near):
        return None
    loud = near > np.percentile(near, _BACKGROUND_PERCENTILE) + _STEP_DB
    if from_quiet and loud[earliest - context]:
        return None
    for frame in range(max(1, earliest - context), len(near)):
        if loud[frame] and not loud[max(0, frame - _QUIET_FRAMES) : frame].any():
            return context + frame
    return None
