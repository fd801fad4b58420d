"""Chunks in, A-weighted levels of 50 ms frames and power in third-octave bands out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..messages import LEVEL_FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioChunk
from .blocks import Values
from .octaves import FRAME_SAMPLES, HOP_SAMPLES, ThirdOctaves
from .weighting import HALF_SAMPLES, AWeighting, FastWeighting

_SETTLING_SAMPLES = SAMPLE_RATE_HZ // 2
"""Time from the beginning of a stretch until the time weighting has forgotten the silence before it: four time constants."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A-weighted levels of consecutive frames of `LEVEL_FRAME_SAMPLES`, which begin at multiples of it.

    Attributes
    ----------
    first : int
        Number of the first frame; the frame 0 begins at the sample 0.
    power : float64 (n,)
        Mean square of each frame.
    fast, peak : float64 (n,)
        Power with the time weighting F: at the end of each frame, and the highest in it.
    settled : bool (n,)
        True where `fast` and `peak` no longer depend on the beginning of the sound.
    """

    first: int
    power: Values
    fast: Values
    peak: Values
    settled: NDArray[np.bool_]

    def part(self, begin: int, end: int) -> "Frames":
        """Return the frames from one number up to another."""
        cut = slice(begin - self.first, end - self.first)
        return Frames(begin, self.power[cut], self.fast[cut], self.peak[cut], self.settled[cut])


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Power in third-octave bands.

    Attributes
    ----------
    centre_sample : int
        Middle of the part of the stream that it belongs to.
    power : float64 (25,)
        Power in each band.
    """

    centre_sample: int
    power: Values


@dataclass(slots=True)
class Heard:
    """Results of a chunk.

    Attributes
    ----------
    frames : list of Frames
        Levels.
    spectra : list of Spectrum
        Power in bands.
    """

    frames: list[Frames] = field(default_factory=list)
    spectra: list[Spectrum] = field(default_factory=list)


class FrameMeter:
    """Measures one source. Chunks of any size give the same frames and spectra.

    A gap in the index ends a stretch of sound; what follows is measured by itself, and the gap is not silence.

    Parameters
    ----------
    has_bands : bool
        True if third octaves are measured too.
    """

    def __init__(self, *, has_bands: bool = True) -> None:
        self._weighting, self._fast = AWeighting(), FastWeighting()
        self._octaves = ThirdOctaves() if has_bands else None
        self._position: int | None = None  # end of the sound so far
        self._weighted_from = 0  # sample of the first value in _rest
        self._settled_from = 0
        self._rest: Values = np.zeros(0)
        self._rest_fast: Values = np.zeros(0)
        self._spectrum_from = 0

    def feed(self, chunk: AudioChunk) -> Heard:
        """Add a chunk, and return what is complete."""
        heard = Heard()
        if chunk.start_sample != self._position:
            heard = self.finish()
            self._begin(chunk.start_sample)
        self._position = chunk.start_sample + len(chunk.samples)
        heard.frames.extend(self._frames(self._weighting.feed(chunk.samples)))
        if self._octaves is not None:
            for power in self._octaves.feed(chunk.samples):
                heard.spectra.append(Spectrum(self._spectrum_from + FRAME_SAMPLES // 2, power))
                self._spectrum_from += HOP_SAMPLES
        return heard

    def finish(self) -> Heard:
        """End the stretch of sound, and return its last frames."""
        heard = Heard(list(self._frames(self._weighting.finish())))
        self._position = None
        return heard

    def _begin(self, start_sample: int) -> None:
        self._fast.reset()
        if self._octaves is not None:
            self._octaves.reset()
        self._spectrum_from = start_sample
        self._weighted_from = start_sample + HALF_SAMPLES
        self._settled_from = self._weighted_from + _SETTLING_SAMPLES
        self._rest, self._rest_fast = np.zeros(0), np.zeros(0)

    def _frames(self, weighted: Values) -> Iterator[Frames]:
        """Yield the frames that weighted samples complete, in one piece."""
        power = np.square(weighted)
        power, fast = (
            np.concatenate([self._rest, power]),
            np.concatenate([self._rest_fast, self._fast.feed(power)]),
        )
        skipped = -self._weighted_from % LEVEL_FRAME_SAMPLES  # up to the first whole frame
        count = max(0, (len(power) - skipped) // LEVEL_FRAME_SAMPLES)
        if not count:
            self._rest, self._rest_fast = power, fast
            return
        end = skipped + count * LEVEL_FRAME_SAMPLES
        powers, levels = (values[skipped:end].reshape(count, LEVEL_FRAME_SAMPLES) for values in (power, fast))
        first = (self._weighted_from + skipped) // LEVEL_FRAME_SAMPLES
        begins = (first + np.arange(count)) * LEVEL_FRAME_SAMPLES
        self._rest, self._rest_fast = power[end:], fast[end:]
        self._weighted_from += end
        yield Frames(
            first, powers.mean(axis=1), levels[:, -1], levels.max(axis=1), begins >= self._settled_from
        )
