"""Ends of events by their level, which are known before the windows that contain them are tagged."""

from ..messages import Event


class LateEnds:
    """Ends of one source's events that wait until their sound is tagged: only then can their clips be whole.

    Only the tagger uses it.
    """

    def __init__(self) -> None:
        self._tagged_until = 0
        self._waiting: list[Event] = []

    def add(self, event: Event) -> list[Event]:
        """Add an event, and return those that are due: a start at once, with the ends before it."""
        self._waiting.append(event)
        if event.kind == "ended":
            return self._due()
        due, self._waiting = self._waiting, []
        return due

    def tagged(self, end_sample: int) -> list[Event]:
        """Note that the sound up to a sample is tagged, or never will be, and return the ends that are due."""
        self._tagged_until = end_sample
        return self._due()

    def close(self) -> list[Event]:
        """Return all ends, as nothing more of this stretch of sound is tagged."""
        due, self._waiting, self._tagged_until = self._waiting, [], 0
        return due

    def _due(self) -> list[Event]:
        due = [event for event in self._waiting if (event.end_sample or 0) <= self._tagged_until]
        self._waiting = [event for event in self._waiting if event not in due]
        return due
