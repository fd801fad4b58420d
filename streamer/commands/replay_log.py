"""Events of logged scores, under any settings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..events.catalogue import NO_SOUNDS, WatchedSound
from ..events.detector import EventDetector
from ..messages import Event, SourceStatus, Tagging


def replay(
    messages: Iterable[Tagging | SourceStatus],
    sounds: Sequence[WatchedSound],
    sound_overrides: Mapping[str, Sequence[WatchedSound]] = NO_SOUNDS,
) -> Iterator[Event]:
    """Detect events again, exactly as if the sources were live.

    Parameters
    ----------
    messages : iterable of Tagging and SourceStatus
        Messages in the order of the stream, from `LoggedScores.messages`.
    sounds : sequence of WatchedSound
        Sounds to detect.
    sound_overrides : mapping of str to sequence of WatchedSound
        Other sounds for single sources, by the source's name.

    Yields
    ------
    Event
        Starts and ends, in order.
    """
    detectors: dict[str, EventDetector] = {}
    for message in messages:
        watched = sound_overrides.get(message.source, sounds)
        detector = detectors.setdefault(message.source, EventDetector(watched))
        if isinstance(message, Tagging):
            yield from detector.feed(message)
        elif not message.online:
            yield from detector.close()
    for detector in detectors.values():
        yield from detector.close()
