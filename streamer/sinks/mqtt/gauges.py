"""Values of which only the changes are of interest."""

import time


class ChangeThrottle:
    """Decides which values to publish: those that have changed, and not too often.

    Parameters
    ----------
    pause_seconds : float
        The least time between two values of one topic.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._published: dict[str, tuple[str, float]] = {}

    def due(self, topic: str, text: str) -> bool:
        """Whether a value is to be published now; it counts as published if so."""
        now = time.monotonic()
        last, at = self._published.get(topic, (None, -float("inf")))
        if text == last or now - at < self._pause_seconds:
            return False
        self._published[topic] = text, now
        return True

    def forget(self) -> None:
        """Publish each value once more, changed or not."""
        self._published.clear()
