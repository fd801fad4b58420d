"""What would have been told: events from scores that were logged, under any rule."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..events.catalogue import NO_SOUNDS, WatchedSound
from ..events.detector import EventDetector
from ..messages import Event, SourceStatus, Tagging


def replay(
    messages: Iterable[Tagging | SourceStatus],
    sounds: Sequence[WatchedSound],
    own_sounds: Mapping[str, Sequence[WatchedSound]] = NO_SOUNDS,
) -> Iterator[Event]:
    """Decide on events again, exactly as when the scores were made.

    Parameters
    ----------
    messages : iterable of Tagging and SourceStatus
        In the order of the stream: what `LoggedScores.messages` yields.
    sounds : sequence of WatchedSound
        What to decide on.
    own_sounds : mapping of str to sequence of WatchedSound
        By source, what to decide on instead.

    Yields
    ------
    Event
        Beginnings and ends, as they are decided.
    """
    detectors: dict[str, EventDetector] = {}
    for message in messages:
        own = own_sounds.get(message.source, sounds)
        detector = detectors.setdefault(message.source, EventDetector(own))
        if isinstance(message, Tagging):
            yield from detector.feed(message)
        elif not message.online:
            yield from detector.close()
    for detector in detectors.values():
        yield from detector.close()
