"""One source's way from chunks to taggings and events; synchronous, so that live and offline are the same code."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..errors import SourceError
from ..events.catalogue import WatchedSound
from ..events.detector import EventDetector
from ..levels import level_dbfs, levels_dbfs
from ..messages import (
    AudioChunk,
    Event,
    Samples,
    Tagging,
    Window,
)
from .scoring import Scorer, score
from .windows import WindowCutter


class Pipeline:
    """One source's way: cut into windows, turn each window's scores into a tagging, decide on events.

    Parameters
    ----------
    source : str
        Name of the source.
    window_samples, hop_samples : int
        Length of a window, and from the end of one to the end of the next.
    live : bool
        Whether a clock paces the source: only then does latency mean anything.
    detector : EventDetector, optional
        Decides on events; without one there are none.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self,
        source: str,
        *,
        window_samples: int,
        hop_samples: int,
        live: bool,
        detector: EventDetector | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._windows = WindowCutter(source, window_samples=window_samples, hop_samples=hop_samples)
        self._hop_samples = hop_samples
        self._live = live
        self._detector = detector or EventDetector(())
        self._clock = clock

    def pace(self, hop_samples: int) -> None:
        """Cut with this hop from the next chunk on."""
        self._windows.pace(hop_samples)
        self._hop_samples = hop_samples

    def feed(self, chunk: AudioChunk) -> Iterator[Window]:
        """Take a chunk and yield the windows that have become due."""
        return self._windows.feed(chunk)

    def flush(self) -> Iterator[Window]:
        """Yield what is left at the end of the stream."""
        return self._windows.flush()

    def conclude(self, window: Window, scores: Samples) -> Tagging:
        """Make the tagging of a window from its scores (classes,)."""
        return Tagging(
            source=window.source,
            start_sample=window.start_sample,
            end_sample=window.end_sample,
            ended_at=window.ended_at,
            scores=scores,
            level_dbfs=level_dbfs(window.samples[-self._hop_samples :]),
            latency_seconds=max(0.0, self._clock() - window.ended_at) if self._live else None,
            levels_dbfs=levels_dbfs(window.samples),
        )

    def decide(self, tagging: Tagging) -> list[Event]:
        """Return the events that a tagging brings about; taggings come in the order of the stream."""
        return self._detector.feed(tagging)

    def watch(self, sounds: Sequence[WatchedSound]) -> list[Event]:
        """Decide on these sounds from the next tagging on; returns the ends of those that are on and not among them."""
        return self._detector.watch(sounds)

    def close(self) -> list[Event]:
        """End what is on, at the end of the stream."""
        return self._detector.close()

    def run(self, chunks: Iterable[AudioChunk], scorer: Scorer) -> Iterator[Tagging | Event]:
        """Tag a whole stream, window by window, in the caller's thread; events follow the tagging that brought them about.

        Raises
        ------
        SourceError
            The stream broke off; what came before is tagged.
        """
        failure = None
        try:
            for chunk in chunks:
                yield from self._tag(self.feed(chunk), scorer)
        except SourceError as error:
            failure = error
        yield from self._tag(self.flush(), scorer)
        yield from self.close()
        if failure is not None:
            raise failure

    def _tag(self, windows: Iterable[Window], scorer: Scorer) -> Iterator[Tagging | Event]:
        for window, scores in score(scorer, list(windows)):
            tagging = self.conclude(window, scores)
            yield tagging
            yield from self.decide(tagging)
