"""Newest sound and results of all sources: other threads write, the window's timer takes snapshots."""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Health, Message, SourceStatus, Tagging

KEPT_SAMPLES = 12 * SAMPLE_RATE_HZ
"""Samples kept of each source: the 10.24 s on screen, and some for a window that was covered for a moment."""

KEPT_SECONDS = 600.0
"""Time for which taggings are kept."""

KEPT_EVENTS = 5000
"""Number of events kept, of all sources together."""

_MAX_TAGGINGS = 2400
"""Bounds the memory if the hop is short."""

_MAX_CHUNKS = KEPT_SAMPLES // 16
"""Bounds the memory if the chunks of a source are tiny (less than 1 ms)."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceView:
    """Data of one source at one moment.

    Attributes
    ----------
    chunks : tuple of AudioChunk
        Newest sound, oldest first: about `KEPT_SAMPLES`.
    chunk_count : int
        Number of chunks since the start; the last of `chunks` has this number.
    taggings : tuple of Tagging
        Taggings of the last `KEPT_SECONDS`, oldest first.
    status : SourceStatus or None
        Newest status; None before the first.
    """

    chunks: tuple[AudioChunk, ...] = ()
    chunk_count: int = 0
    taggings: tuple[Tagging, ...] = ()
    status: SourceStatus | None = None

    @property
    def tagging(self) -> Tagging | None:
        """Newest tagging."""
        return self.taggings[-1] if self.taggings else None

    @property
    def offline(self) -> bool:
        """True if the newest status says that the source is offline."""
        return self.status is not None and not self.status.online

    def tagging_at(self, time_seconds: float) -> Tagging | None:
        """Return the newest tagging at a Unix time, or the oldest one that is kept."""
        index = bisect_right(self.taggings, time_seconds, key=lambda tagging: tagging.ended_at)
        return self.taggings[max(0, index - 1)] if self.taggings else None

    def chunks_after(self, count: int) -> tuple[AudioChunk, ...]:
        """Return the chunks after the first ``count`` that are still kept; all if another source now has the name."""
        new = self.chunk_count - count if count <= self.chunk_count else self.chunk_count
        return self.chunks[-new:] if new > 0 else ()


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All data at one moment.

    Attributes
    ----------
    sources : mapping of str to SourceView
        Data of each source by name, in order.
    health : Health or None
        Newest health.
    events : tuple of Event
        Newest state of each event, in the order in which they began; removed sources included.
    ongoing : tuple of Event
        Those that go on.
    """

    sources: Mapping[str, SourceView]
    health: Health | None
    events: tuple[Event, ...] = ()
    ongoing: tuple[Event, ...] = ()

    @property
    def loading(self) -> str:
        """Model that is being loaded; empty for none."""
        return "" if self.health is None else self.health.loading

    @property
    def hint(self) -> str:
        """Words in the place of tags before the first tagging."""
        return f"Loading {self.loading}…" if self.loading else "Listening…"


class Feed:
    """Newest sound and results of each source, in bounded memory.

    `add_chunk`, `accept` and `follow` may be called from any thread; they hold the lock only to store what they are given. Of
    unknown sources only events are kept.

    Parameters
    ----------
    sources : sequence of str
        Names of the sources at the start, at least one, in order.
    labels : sequence of str
        Name of each score of a tagging. It may grow, and a name may become empty, as sounds are taught and removed.
    """

    def __init__(self, sources: Iterable[str], labels: Sequence[str]) -> None:
        self.labels = labels
        self._lock = threading.Lock()
        self._buffers = {name: _SourceBuffer() for name in sources}
        self._events: dict[str, Event] = {}
        self._event_list: tuple[Event, ...] = ()
        self._ongoing: tuple[Event, ...] = ()
        self._statuses: dict[str, SourceStatus] = {}
        self._health: Health | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return tuple(self._buffers)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Keep these sources, at least one, in this order, and drop all others."""
        with self._lock:
            self._buffers = {name: self._buffers.get(name) or _SourceBuffer() for name in sources}
            self._statuses = {
                name: status for name, status in self._statuses.items() if name in self._buffers
            }
            if self._health is not None:
                known = tuple(entry for entry in self._health.sources if entry.source in self._buffers)
                self._health = replace(self._health, sources=known)

    def add_chunk(self, source: str, chunk: AudioChunk) -> None:
        """Add a chunk of a source."""
        with self._lock:
            if source in self._buffers:
                self._buffers[source].add_chunk(chunk)

    def accept(self, message: Message) -> None:
        """Add a message."""
        with self._lock:
            match message:
                case Tagging(source=source) if source in self._buffers:
                    self._buffers[source].add_tagging(message)
                case Event():
                    self._add_events([message])
                case SourceStatus(source=source) if source in self._buffers:
                    self._statuses[source] = message
                case Health():
                    self._health = message
                case _:
                    pass

    def add_past(self, events: Iterable[Event]) -> None:
        """Add events of the past, in the order in which they began, before there are any others."""
        with self._lock:
            self._add_events(events)

    def _add_events(self, events: Iterable[Event]) -> None:
        self._events.update((event.id, event) for event in events)
        while len(self._events) > KEPT_EVENTS:
            del self._events[next(iter(self._events))]
        self._event_list = tuple(self._events.values())
        self._ongoing = tuple(event for event in self._event_list if event.ended_at is None)

    def snapshot(self) -> Snapshot:
        """Return the data of this moment."""
        with self._lock:
            views = {
                name: SourceView(
                    tuple(buffer.chunks),
                    buffer.chunk_count,
                    tuple(buffer.taggings),
                    self._statuses.get(name),
                )
                for name, buffer in self._buffers.items()
            }
            return Snapshot(MappingProxyType(views), self._health, self._event_list, self._ongoing)


class _SourceBuffer:
    """Newest chunks and taggings of one source."""

    def __init__(self) -> None:
        self.chunks: deque[AudioChunk] = deque()
        self.taggings: deque[Tagging] = deque(maxlen=_MAX_TAGGINGS)
        self.chunk_count = 0
        self._samples = 0

    def add_tagging(self, tagging: Tagging) -> None:
        while self.taggings and self.taggings[-1].ended_at > tagging.ended_at:
            self.taggings.pop()  # the clock was set back
        self.taggings.append(tagging)
        while tagging.ended_at - self.taggings[0].ended_at > KEPT_SECONDS:
            self.taggings.popleft()

    def add_chunk(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)
        self.chunk_count += 1
        self._samples += len(chunk.samples)
        while self._samples - len(self.chunks[0].samples) >= KEPT_SAMPLES or len(self.chunks) > _MAX_CHUNKS:
            self._samples -= len(self.chunks.popleft().samples)
