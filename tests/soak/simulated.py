"""Simulated microphone with realistic faults, in simulated time, as fast as the machine allows."""

import random
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from streamer.errors import DeviceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.sources.conversion import Converter
from streamer.sources.portaudio.wire import Stamp
from streamer.sources.timeline import Assembler, Timeline

BLOCK_SAMPLES = SAMPLE_RATE_HZ
HOUR_SAMPLES = 3_600 * SAMPLE_RATE_HZ
CRYSTAL_PPM = 40.0
CLOCK_STEPS_SECONDS = {20: 2.5, 21: -1.5}
"""Corrections of the clock by a time server, by hour of the day."""

_QUIET, _LOUD = 0.01, 0.3
_SOUND_EVERY_SECONDS, _SOUND_SECONDS = 300, 8
_OVERRUNS_AN_HOUR = 2
_HOURS_BETWEEN_ABSENCES = 3
_LATENCY_SECONDS = 0.1


@dataclass
class SimulatedClock:
    """Clocks of a machine, in seconds: a monotonic one, and the time of day, which a time server sets."""

    elapsed: float = 5_000.0
    ahead: float = 1_772_366_400.0

    @property
    def wall(self) -> float:
        """Unix time."""
        return self.elapsed + self.ahead


@dataclass
class SimulatedMicrophone:
    """Microphone with a sound every five minutes, lost blocks, outages and a fast crystal.

    Its blocks take the path of real ones, from the output of the PortAudio process on.

    Attributes
    ----------
    hours : int
        Duration of its audio.
    delivered_samples, refused_samples, absences : int
        Its own counts so far.
    """

    hours: int
    clock: SimulatedClock
    name: str = "mic"
    live: bool = True
    retry_seconds: float | None = 0.001
    repaired_samples: int = 0
    delivered_samples: int = 0
    refused_samples: int = 0
    absences: int = 0
    frame: int = 0
    timeline: Timeline = field(default_factory=Timeline)
    _chance: random.Random = field(default_factory=lambda: random.Random(0))
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        noise = np.random.default_rng(0).uniform(-1.0, 1.0, (BLOCK_SAMPLES, 1)).astype(np.float32)
        self._quiet, self._loud = noise * np.float32(_QUIET), noise * np.float32(_LOUD)

    def true_seconds(self, frame: int) -> float:
        """Return the time of a frame by the monotonic clock."""
        return 5_000.0 + frame / SAMPLE_RATE_HZ / (1.0 + 1e-6 * CRYSTAL_PPM)

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield audio until the next outage, or the end."""
        assembler = Assembler(Converter(SAMPLE_RATE_HZ, 1), SAMPLE_RATE_HZ, _LATENCY_SECONDS, self.timeline)
        refused = 0
        while self.frame < self.hours * HOUR_SAMPLES and not self._closed.is_set():
            block = self.frame // BLOCK_SAMPLES
            if block % (HOUR_SAMPLES // BLOCK_SAMPLES // _OVERRUNS_AN_HOUR) == 1_000:
                refused = self._lose(self._chance.randrange(100, 8_000))
                self.refused_samples += refused
            for chunk in assembler.accept(self._heard(block), self._stamp(refused)):
                self.delivered_samples += len(chunk.samples)
                yield chunk
            refused = 0
            if block // 3_600 % _HOURS_BETWEEN_ABSENCES == 1 and block % 3_600 == 1_800:
                self.absences += 1
                self._lose(round(self._chance.uniform(0.5, 300.0) * SAMPLE_RATE_HZ))
                raise DeviceError("it was unplugged; plug it in again")

    def close(self) -> None:
        """Make `chunks` end."""
        self._closed.set()

    def _lose(self, frames: int) -> int:
        self.frame += frames
        return frames

    def _heard(self, block: int) -> Samples:
        return self._loud if block % _SOUND_EVERY_SECONDS < _SOUND_SECONDS else self._quiet

    def _stamp(self, refused_frames: int) -> Stamp:
        captured = self.true_seconds(self.frame)
        self.frame += BLOCK_SAMPLES
        delivered = self.true_seconds(self.frame) + _LATENCY_SECONDS + self._chance.uniform(0.0, 0.02)
        self.clock.elapsed = delivered
        hour = self.frame // HOUR_SAMPLES
        if step := CLOCK_STEPS_SECONDS.get(hour % 24) if self.frame % HOUR_SAMPLES < BLOCK_SAMPLES else None:
            self.clock.ahead += step
        return Stamp(
            captured=captured,
            now=delivered,
            elapsed=delivered,
            wall=self.clock.wall,
            overflowed=False,
            refused_frames=refused_frames,
        )


def loudness_as_scores(batch: Samples) -> Samples:
    """Score samples (batch, n) as two classes, (batch, 2): the first is high if the end of a window is loud."""
    loud = np.abs(batch[:, -1_600:]).max(axis=1) > _LOUD / 2
    return np.stack([0.9 * loud, np.full(len(batch), 0.1)], axis=1).astype(np.float32)
