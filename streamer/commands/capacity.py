"""Capacity of this machine: the number of live sources that a tagger keeps up with."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..live.channel import Input, Mode
from ..live.session import LiveSession, Outputs
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
    """Figures of a number of sources.

    Attributes
    ----------
    sources : int
        Number of live sources; their hops are spread evenly.
    windows, dropped_windows : int
        Windows tagged, and windows replaced by newer ones because inference was late.
    latency_p50_seconds, latency_p95_seconds : float
        Time from the capture of a window's last sample to its tagging.
    cores : float
        Processor time per second, including the decoding of the recordings.
    """

    sources: int
    windows: int
    dropped_windows: int
    latency_p50_seconds: float
    latency_p95_seconds: float
    cores: float

    @property
    def kept(self) -> bool:
        """True if every window was tagged."""
        return self.dropped_windows == 0


class _Delayed:
    """A source that starts after a delay, so that not all windows are due at once."""

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
    """A sink that keeps the latencies of taggings."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def accept(self, message: Message) -> None:
        if isinstance(message, Tagging) and message.latency_seconds is not None:
            self.seconds.append(message.latency_seconds)


def measure(
    scorer: Scorer, sources: int, *, window_samples: int, hop_samples: int, recording: Path, seconds: float
) -> Load:
    """Listen to a recording as a number of live sources, with one tagger.

    Parameters
    ----------
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    sources : int
        Number of sources.
    window_samples, hop_samples : int
        Length of a window, and of a hop.
    recording : Path
        Recording to play in a loop.
    seconds : float
        Time to listen.

    Raises
    ------
    SourceError
        The recording can't be read.
    """
    hop_seconds = hop_samples / SAMPLE_RATE_HZ
    heard = _Latencies()
    players = (
        _Delayed(
            Recording(str(place), recording, live=True, loop=True, isolated=False),  # no process for each
            hop_seconds * place / sources,
        )
        for place in range(sources)
    )
    session = LiveSession(
        [Input(player, hop_samples) for player in players],
        scorer,
        Mode(window_samples, limit_samples=round(seconds * SAMPLE_RATE_HZ)),
        Outputs([heard]),
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
    """Double the sources until windows are dropped, then bisect; yield each measurement. Parameters as for `measure`."""
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
