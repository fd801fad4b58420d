"""What would have been told: events from scores that were logged, under any rule."""

from collections.abc import Iterable, Iterator, Sequence

from .events import Decider
from .messages import Event, SourceStatus, Tagging
from .sounds import WatchedSound


def replay(messages: Iterable[Tagging | SourceStatus], sounds: Sequence[WatchedSound]) -> Iterator[Event]:
    """Decide on events again, exactly as when the scores were made.

    Parameters
    ----------
    messages : iterable of Tagging and SourceStatus
        In the order of the stream: what `LoggedScores.messages` yields.
    sounds : sequence of WatchedSound
        What to decide on.

    Yields
    ------
    Event
        Beginnings and ends, as they are decided.
    """
    deciders: dict[str, Decider] = {}
    for message in messages:
        decider = deciders.setdefault(message.source, Decider(sounds))
        if isinstance(message, Tagging):
            yield from decider.feed(message)
        elif not message.online:
            yield from decider.close()
    for decider in deciders.values():
        yield from decider.close()
