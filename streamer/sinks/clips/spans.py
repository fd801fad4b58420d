"""Which parts of a stream something holds for."""

from collections import deque


class Spans:
    """Half-open spans of samples, added in the order of the stream; those that meet become one."""

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque()

    def add(self, start_sample: int, end_sample: int) -> None:
        """Add a span, which begins no earlier than the one before it."""
        if self._spans and start_sample <= self._spans[-1][1]:
            first, last = self._spans.pop()
            start_sample, end_sample = first, max(last, end_sample)
        self._spans.append((start_sample, end_sample))

    def cover(self, start_sample: int, end_sample: int) -> bool:
        """Whether all of a stretch is in them."""
        return any(first <= start_sample and end_sample <= last for first, last in self._spans)

    def touch(self, start_sample: int, end_sample: int) -> bool:
        """Whether any of a stretch is in them."""
        return any(first < end_sample and start_sample < last for first, last in self._spans)

    def forget(self, before_sample: int) -> None:
        """Let go of the spans that end before a sample."""
        while self._spans and self._spans[0][1] <= before_sample:
            self._spans.popleft()
