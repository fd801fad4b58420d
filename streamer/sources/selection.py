"""Part of a source to listen to: the audio track and the channel behind the ``#`` of an address."""

import re
from dataclasses import dataclass

_NUMBER = r"([1-9]\d{0,3})"


@dataclass(frozen=True, slots=True)
class Selection:
    """Audio track and channel.

    Attributes
    ----------
    track : int
        Number of the audio track, counted from 1.
    channel : int or None
        Number of the channel, counted from 1; None for a mix of all channels.
    """

    track: int = 1
    channel: int | None = None


def parse_selection(fragment: str) -> Selection | None:
    """Parse the text behind ``#``: ``2`` or ``channel=2`` for a channel, ``track=2`` for an audio track, or both, as in ``track=2,channel=1``.

    Returns None for any other text. An empty text selects the first track, and all of its channels.
    """
    if not fragment:
        return Selection()
    if re.fullmatch(_NUMBER, fragment, re.ASCII):
        return Selection(channel=int(fragment))
    numbers: dict[str, int] = {}
    for part in fragment.split(","):
        found = re.fullmatch(rf"(track|channel)={_NUMBER}", part.strip(), re.ASCII)
        if found is None or found[1] in numbers:
            return None
        numbers[found[1]] = int(found[2])
    return Selection(numbers.get("track", 1), numbers.get("channel"))
