"""Set of spans of a stream."""

from collections import deque


class Spans:
    """Half-open spans of samples, added in stream order; adjacent ones are merged."""

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque()

    def add(self, start_sample: int, end_sample: int) -> None:
        """Add a span that starts no earlier than the previous one."""
        if self._spans and start_sample <= self._spans[-1][1]:
            first, last = self._spans.pop()
            start_sample, end_sample = first, max(last, end_sample)
        self._spans.append((start_sample, end_sample))

    def cover(self, start_sample: int, end_sample: int) -> bool:
        """Return True if the spans cover all of a part."""
        return any(first <= start_sample and end_sample <= last for first, last in self._spans)

    def overlap(self, start_sample: int, end_sample: int) -> bool:
        """Return True if the spans overlap a part."""
        return any(first < end_sample and start_sample < last for first, last in self._spans)

    def discard(self, before_sample: int) -> None:
        """Discard the spans that end before a sample."""
        while self._spans and self._spans[0][1] <= before_sample:
            self._spans.popleft()
