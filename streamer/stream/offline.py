"""A whole stream at once, in the caller's thread: the same parts as live, so that both give the same."""

from collections.abc import Iterable, Iterator

from ..errors import SourceError
from ..events.detector import EventDetector
from ..messages import AudioChunk, Event, Tagging, Window
from .scoring import Scorer, score, tagging_of
from .windows import Lengths, PairedCutter


def tag_stream(
    source: str,
    chunks: Iterable[AudioChunk],
    scorer: Scorer,
    *,
    window_samples: int,
    hop_samples: int,
    fast_samples: int | None = None,
    detector: EventDetector | None = None,
) -> Iterator[Tagging | Event]:
    """Tag a stream window by window; each tagging is followed by the events that it causes. Fast windows cause events only.

    Parameters
    ----------
    source : str
        Name of the source.
    chunks : iterable of AudioChunk
        Sound of the source.
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    window_samples, hop_samples : int
        Length of a window, and distance between the ends of two windows.
    fast_samples : int, optional
        Length of the fast windows beside them; None without these.
    detector : EventDetector, optional
        Detects the events; without one there are no events.

    Raises
    ------
    SourceError
        The source failed; the sound before the failure is tagged.
    """
    cutter = PairedCutter(source, Lengths(window_samples, hop_samples, fast_samples))
    detector = detector or EventDetector(())

    def tag(windows: Iterable[Window]) -> Iterator[Tagging | Event]:
        due = list(windows)
        scored = dict(score(scorer, due))
        for window in due:
            if window in scored:
                tagging = tagging_of(window, scored[window])
                if not tagging.is_fast:
                    yield tagging
                yield from detector.feed(tagging)

    failure = None
    try:
        for chunk in chunks:
            yield from tag(cutter.feed(chunk))
    except SourceError as error:
        failure = error
    yield from tag(cutter.flush())
    yield from detector.close()
    if failure is not None:
        raise failure
