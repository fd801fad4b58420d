"""Measurement of a sound whose level a reference meter shows, for the command ``calibrate``."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from ..errors import SourceError
from ..levels import LOWEST_DBFS, MAX_CLIPPED_SHARE, Amplitudes
from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ
from ..noise.distribution import Distribution, decibels_of
from ..noise.frames import FrameMeter
from ..sources import Source

STEADY_DB = 3.0
"""Largest distance between the highest and the lowest levels of a steady sound."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Level of a source while a reference meter was read.

    Attributes
    ----------
    leq_dbfs : float
        Equivalent level, A-weighted, in dB relative to full scale.
    spread_db : float
        Distance between the levels that were exceeded for 2 % and 98 % of the time.
    seconds : float
        Duration of the sound that was measured.
    """

    leq_dbfs: float
    spread_db: float
    seconds: float

    def offset_db(self, reference_db: float) -> float:
        """Return the level in dB(A) of a sound of 0 dBFS, to a tenth of a dB."""
        return round(reference_db - self.leq_dbfs, 1)


def measure(source: Source, seconds: float, progress: Callable[[float], None]) -> Reference:
    """Measure the level of a source for some seconds of sound.

    Parameters
    ----------
    source : Source
        Source from `open_source`.
    seconds : float
        Time to listen.
    progress : callable
        Receives the seconds of sound so far.

    Raises
    ------
    SourceError
        The source can't be read, is silent, or clips.
    """
    meter, amplitudes, levels = FrameMeter(has_bands=False), Amplitudes(), Distribution()
    energy, frames = 0.0, 0
    with closing(source.chunks()) as chunks:
        for chunk in chunks:
            amplitudes += Amplitudes.of(chunk.samples)
            for part in meter.feed(chunk).frames:
                power = part.power[part.settled]  # a microphone may click when it is opened
                energy, frames = energy + float(power.sum()), frames + len(power)
                levels.add(part.fast[part.settled])
            heard = frames * LEVEL_FRAME_SAMPLES / SAMPLE_RATE_HZ
            progress(heard)
            if heard >= seconds:
                break
    loudest, quietest = levels.exceeded(0.02), levels.exceeded(0.98)
    if loudest is None or quietest is None:
        raise SourceError(f"{source.name}: less than a second was heard; listen for longer")
    if amplitudes.clipped > MAX_CLIPPED_SHARE * amplitudes.samples:
        raise SourceError(
            f"{source.name}: the sound clips, so its level is unknown; turn the microphone or the sound down, and try again"
        )
    leq_dbfs = float(decibels_of(energy / frames))
    if leq_dbfs <= LOWEST_DBFS:
        raise SourceError(f"{source.name}: nothing but zeros; unmute it in the system's sound settings")
    return Reference(leq_dbfs, loudest - quietest, frames * LEVEL_FRAME_SAMPLES / SAMPLE_RATE_HZ)
