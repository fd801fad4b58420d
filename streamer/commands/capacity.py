"""How many live sources a tagger keeps up with on this machine."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..live.session import LiveSession
from ..messages import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Message,
    Tagging,
)
from ..runtime.threads import ThreadGroup
from ..sources import Source
from ..sources.recording import Recording
from ..stream.scoring import Scorer

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What became of so many sources.

    Attributes
    ----------
    sources : int
        All of them live, each beginning at its own moment within a hop.
    windows, dropped_windows : int
        Tagged, and replaced by newer ones because inference was late.
    latency_p50_seconds, latency_p95_seconds : float
        From the capture of a window's last sample to its tagging.
    cores : float
        Processor time over time: of everything, decoding the recordings included.
    """

    sources: int
    windows: int
    dropped_windows: int
    latency_p50_seconds: float
    latency_p95_seconds: float
    cores: float

    @property
    def kept(self) -> bool:
        """Whether every window was tagged."""
        return self.dropped_windows == 0


class _Late:
    """A source that begins after a while, so that not all of them are due at once."""

    def __init__(self, source: Source, seconds: float) -> None:
        self.name, self.live, self.repaired_samples = source.name, source.live, 0
        self.retry_seconds = source.retry_seconds
        self._source = source
        self._seconds = seconds

    def chunks(self) -> Generator[AudioChunk, None, None]:
        time.sleep(self._seconds)
        yield from self._source.chunks()

    def close(self) -> None:
        self._source.close()


class _Latencies:
    """A sink that remembers how late taggings were."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def accept(self, message: Message) -> None:
        if isinstance(message, Tagging) and message.latency_seconds is not None:
            self.seconds.append(message.latency_seconds)


def measure(
    scorer: Scorer, sources: int, *, window_samples: int, hop_samples: int, recording: Path, seconds: float
) -> Load:
    """Listen to a recording as so many live sources, through one tagger.

    Parameters
    ----------
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    sources : int
        How many.
    window_samples, hop_samples : int
        Length of a window, and from one to the next.
    recording : Path
        Played over and over.
    seconds : float
        How long.

    Raises
    ------
    SourceError
        The recording can't be read.
    """
    hop_seconds = hop_samples / SAMPLE_RATE_HZ
    heard = _Latencies()
    session = LiveSession(
        [
            _Late(Recording(str(place), recording, live=True, loop=True), hop_seconds * place / sources)
            for place in range(sources)
        ],
        scorer,
        window_samples=window_samples,
        hop_samples=hop_samples,
        sinks=[heard],
        limit_samples=round(seconds * SAMPLE_RATE_HZ),
    )
    began, busy = time.perf_counter(), time.process_time()
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(_POLL_SECONDS)
    if session.failure is not None:
        raise session.failure
    cores = (time.process_time() - busy) / (time.perf_counter() - began)
    p50, p95 = np.percentile(heard.seconds, (50, 95))
    return Load(sources, len(heard.seconds), session.dropped_windows, float(p50), float(p95), cores)


def capacity(
    scorer: Scorer, *, window_samples: int, hop_samples: int, recording: Path, seconds: float, most: int
) -> Iterator[Load]:
    """Double the sources until windows are dropped, then close in on the most that are kept; parameters as for `measure`."""
    kept, lost = 0, most + 1
    while lost - kept > max(1, kept // 8):
        sources = min(2 * kept or 1, most) if lost > most else (kept + lost) // 2
        load = measure(
            scorer,
            sources,
            window_samples=window_samples,
            hop_samples=hop_samples,
            recording=recording,
            seconds=seconds,
        )
        yield load
        kept, lost = (sources, lost) if load.kept else (kept, sources)
