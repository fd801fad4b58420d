"""Sources, scorers and sinks without sound, model or network."""

import threading
import time
from collections.abc import Generator, Sequence

import numpy as np

from streamer.messages import AudioChunk, Event, Message, Samples, Tagging

HOP, WINDOW = 1_600, 16_000


class Tone:
    """Source of `seconds` of sound, in real time if `live`."""

    repaired_samples = 3

    def __init__(
        self,
        name: str,
        seconds: float,
        *,
        live: bool,
        error: Exception | None = None,
        retry_seconds: float | None = None,
    ) -> None:
        self.name, self.live, self.retry_seconds = name, live, retry_seconds
        self._seconds, self._error = seconds, error
        self._closed = threading.Event()

    def chunks(self) -> Generator[AudioChunk, None, None]:
        anchor = time.time()
        for start in range(0, round(self._seconds * 16_000), 800):
            due = anchor + (start + 800) / 16_000
            if self._closed.wait(max(0.0, due - time.time()) if self.live else 0.0):
                return
            yield AudioChunk(np.full(800, 0.1, np.float32), start, anchor + start / 16_000)
        if self._error:
            raise self._error

    def close(self) -> None:
        self._closed.set()


class Memory:
    """Sink that keeps all messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.sources: list[tuple[str, ...]] = []

    def set_sources(self, sources: Sequence[str]) -> None:
        self.sources.append(tuple(sources))

    def accept(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def events(self) -> list[Event]:
        return [message for message in self.messages if isinstance(message, Event)]

    @property
    def taggings(self) -> list[Tagging]:
        return [message for message in self.messages if isinstance(message, Tagging)]


def scorer(batch: Samples) -> Samples:
    return np.stack([batch.mean(-1), batch.std(-1)], -1)


def slow_scorer(batch: Samples) -> Samples:
    time.sleep(0.35)
    return scorer(batch)
