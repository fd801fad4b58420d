"""Noise of each minute, and of the hour that ends with it."""

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, NoiseLevels
from .blocks import Values
from .distribution import Distribution, decibels_of
from .frames import Frames, Heard
from .octaves import FRAME_SAMPLES

MINUTE_SAMPLES = 60 * SAMPLE_RATE_HZ
_MINUTE_FRAMES = MINUTE_SAMPLES // LEVEL_FRAME_SAMPLES
_HOUR_MINUTES = 60
_FEWEST_FRAMES = SAMPLE_RATE_HZ // LEVEL_FRAME_SAMPLES
"""Frames from which a minute has figures: one second."""


@dataclass(slots=True)
class _Minute:
    """Sums of a minute."""

    number: int
    first: int  # its first and its last frame
    last: int = 0
    energy: float = 0.0
    frames: int = 0
    peak: float = 0.0
    levels: Distribution = field(default_factory=Distribution)
    bands: Values | None = None
    spectra: int = 0


class Minutes:
    """Sums the levels of a source by the minute. Minutes are counted from the beginning of the stream; memory use does not grow.

    Parameters
    ----------
    source : str
        Name of the source.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: dict[int, _Minute] = {}
        self._hour: deque[_Minute] = deque()
        self._hour_levels = Distribution()

    def add(self, heard: Heard) -> None:
        """Add levels and spectra."""
        for frames in heard.frames:
            for number, part in _by_minute(frames):
                minute = self._minute(number, part.first)
                minute.last = part.first + len(part.power)
                minute.energy += float(part.power.sum())
                minute.frames += len(part.power)
                if part.settled.any():
                    minute.peak = max(minute.peak, float(part.peak[part.settled].max()))
                    minute.levels.add(part.fast[part.settled])
        for spectrum in heard.spectra:
            minute = self._minute(
                spectrum.centre_sample // MINUTE_SAMPLES, spectrum.centre_sample // LEVEL_FRAME_SAMPLES
            )
            minute.bands = spectrum.power if minute.bands is None else minute.bands + spectrum.power
            minute.spectra += 1

    def close(
        self, *, anchor: float, offset_db: float | None, position: int | None = None
    ) -> list[NoiseLevels]:
        """Return the minutes that are over, oldest first.

        Parameters
        ----------
        anchor : float
            Unix time in seconds of the sample 0.
        offset_db : float or None
            Level in dB(A) of a sound of 0 dBFS; None if it is unknown.
        position : int, optional
            Stream index up to which sound was heard; None closes all minutes.
        """
        # The sound around the end of a minute is part of its last spectrum.
        over = [
            number
            for number in sorted(self._open)
            if position is None or (number + 1) * MINUTE_SAMPLES + FRAME_SAMPLES <= position
        ]
        minutes = [self._open.pop(number) for number in over]
        return [
            self._levels(minute, anchor, offset_db) for minute in minutes if minute.frames >= _FEWEST_FRAMES
        ]

    def _minute(self, number: int, first: int) -> _Minute:
        return self._open.setdefault(number, _Minute(number, first))

    def _levels(self, minute: _Minute, anchor: float, offset_db: float | None) -> NoiseLevels:
        self._hour.append(minute)
        self._hour_levels += minute.levels
        while self._hour[0].number <= minute.number - _HOUR_MINUTES or len(self._hour) > 2 * _HOUR_MINUTES:
            self._hour_levels -= self._hour.popleft().levels
        offset = offset_db or 0.0
        hour_frames = sum(one.frames for one in self._hour)
        lmax = _decibels(minute.peak) if minute.levels.count else None
        return NoiseLevels(
            source=self._source,
            started_at=anchor + _seconds(minute.first),
            ended_at=anchor + _seconds(minute.last),
            seconds=_seconds(minute.frames),
            is_calibrated=offset_db is not None,
            leq_db=_decibels(minute.energy / minute.frames) + offset,
            lmax_db=_raised(lmax, offset),
            l10_db=_raised(minute.levels.exceeded(0.1), offset),
            l90_db=_raised(minute.levels.exceeded(0.9), offset),
            bands_db=()
            if minute.bands is None
            else tuple((decibels_of(minute.bands / minute.spectra) + offset).tolist()),
            hour_leq_db=_decibels(sum(one.energy for one in self._hour) / hour_frames) + offset,
            hour_l10_db=_raised(self._hour_levels.exceeded(0.1), offset),
            hour_l90_db=_raised(self._hour_levels.exceeded(0.9), offset),
            hour_seconds=_seconds(hour_frames),
        )


def _by_minute(frames: Frames) -> list[tuple[int, Frames]]:
    """Cut frames where a minute ends."""
    last = frames.first + len(frames.power)
    ends = range((frames.first // _MINUTE_FRAMES + 1) * _MINUTE_FRAMES, last, _MINUTE_FRAMES)
    return [
        (begin // _MINUTE_FRAMES, frames.part(begin, end))
        for begin, end in pairwise([frames.first, *ends, last])
    ]


def _seconds(frames: int) -> float:
    return frames * LEVEL_FRAME_SAMPLES / SAMPLE_RATE_HZ


def _decibels(power: float) -> float:
    return float(decibels_of(power))


def _raised(level_db: float | None, offset_db: float) -> float | None:
    return None if level_db is None else level_db + offset_db
