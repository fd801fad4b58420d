"""What the window draws from: threads write, the window's timer takes snapshots. No Qt here."""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Health, Message, SourceStatus, Tagging

KEPT_SAMPLES = 12 * SAMPLE_RATE_HZ
"""Sound kept of each source: the 10.24 s on show, and room for a window that was covered for a moment."""

KEPT_SECONDS = 600.0
"""For how long taggings are kept."""

KEPT_EVENTS = 500
"""Events kept, of all sources together."""

_MOST_TAGGINGS = 2400
"""Bounds the memory also where the hop is short."""

_MOST_CHUNKS = KEPT_SAMPLES // 16
"""Bounds the memory also where a source's chunks are absurdly small (less than 1 ms)."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceView:
    """One source at one moment.

    Attributes
    ----------
    chunks : tuple of AudioChunk
        The newest sound, oldest first: about `KEPT_SAMPLES`.
    heard : int
        Chunks heard since the beginning; the last of `chunks` is the ``heard``-th.
    taggings : tuple of Tagging
        Those of the last `KEPT_SECONDS`, oldest first.
    status : SourceStatus or None
        The newest; None before the source has said anything.
    """

    chunks: tuple[AudioChunk, ...] = ()
    heard: int = 0
    taggings: tuple[Tagging, ...] = ()
    status: SourceStatus | None = None

    @property
    def tagging(self) -> Tagging | None:
        """The newest."""
        return self.taggings[-1] if self.taggings else None

    @property
    def offline(self) -> bool:
        """Whether the source has said that it delivers nothing."""
        return self.status is not None and not self.status.online

    def tagging_at(self, time_seconds: float) -> Tagging | None:
        """Return the newest tagging at a Unix time; the oldest kept, if that is older."""
        place = bisect_right(self.taggings, time_seconds, key=lambda tagging: tagging.ended_at)
        return self.taggings[max(0, place - 1)] if self.taggings else None

    def chunks_after(self, heard: int) -> tuple[AudioChunk, ...]:
        """Return what came after the ``heard``-th chunk, as far as it is still kept; all, if another source has the name now."""
        new = self.heard - heard if heard <= self.heard else self.heard
        return self.chunks[-new:] if new > 0 else ()


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that there is to draw at one moment.

    Attributes
    ----------
    sources : mapping of str to SourceView
        By name, in the order in which they are offered.
    health : Health or None
        The newest.
    events : tuple of Event
        Each occurrence once, as it stands now, in the order in which they began to be told; also of sources that have gone.
    """

    sources: Mapping[str, SourceView]
    health: Health | None
    events: tuple[Event, ...] = ()


class Feed:
    """Holds the newest sound and results of each source, in bounded memory.

    `hear`, `accept` and `follow` may be called from any thread; they hold a lock only to put down what they bring. Of sources
    that they don't know, nothing is kept but events.

    Parameters
    ----------
    sources : sequence of str
        Names of the sources at first, at least one, in the order in which they are offered.
    labels : sequence of str
        The name of each score of a tagging.
    """

    def __init__(self, sources: Iterable[str], labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._lock = threading.Lock()
        self._pasts = {name: _Past() for name in sources}
        self._events: dict[str, Event] = {}
        self._told: tuple[Event, ...] = ()
        self._statuses: dict[str, SourceStatus] = {}
        self._health: Health | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Their names at this moment."""
        return tuple(self._pasts)

    def follow(self, sources: Sequence[str]) -> None:
        """Take that these are the sources from now on, in this order; at least one."""
        with self._lock:
            self._pasts = {name: self._pasts.get(name) or _Past() for name in sources}
            self._statuses = {name: status for name, status in self._statuses.items() if name in self._pasts}
            if self._health is not None:
                known = tuple(entry for entry in self._health.sources if entry.source in self._pasts)
                self._health = replace(self._health, sources=known)

    def hear(self, source: str, chunk: AudioChunk) -> None:
        """Keep a chunk of a source."""
        with self._lock:
            if source in self._pasts:
                self._pasts[source].hear(chunk)

    def accept(self, message: Message) -> None:
        """Keep a message for as long as the window may show it."""
        with self._lock:
            match message:
                case Tagging(source=source) if source in self._pasts:
                    self._pasts[source].tag(message)
                case Event():
                    self._events[message.id] = message
                    if len(self._events) > KEPT_EVENTS:
                        del self._events[next(iter(self._events))]
                    self._told = tuple(self._events.values())
                case SourceStatus(source=source) if source in self._pasts:
                    self._statuses[source] = message
                case Health():
                    self._health = message
                case _:
                    pass

    def snapshot(self) -> Snapshot:
        """Return what is there now."""
        with self._lock:
            views = {
                name: SourceView(
                    tuple(past.chunks), past.heard, tuple(past.taggings), self._statuses.get(name)
                )
                for name, past in self._pasts.items()
            }
            return Snapshot(MappingProxyType(views), self._health, self._told)


class _Past:
    """The newest chunks and taggings of one source."""

    def __init__(self) -> None:
        self.chunks: deque[AudioChunk] = deque()
        self.taggings: deque[Tagging] = deque(maxlen=_MOST_TAGGINGS)
        self.heard = 0
        self._samples = 0

    def tag(self, tagging: Tagging) -> None:
        while self.taggings and self.taggings[-1].ended_at > tagging.ended_at:
            self.taggings.pop()  # the clock was set back
        self.taggings.append(tagging)
        while tagging.ended_at - self.taggings[0].ended_at > KEPT_SECONDS:
            self.taggings.popleft()

    def hear(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)
        self.heard += 1
        self._samples += len(chunk.samples)
        while self._samples - len(self.chunks[0].samples) >= KEPT_SAMPLES or len(self.chunks) > _MOST_CHUNKS:
            self._samples -= len(self.chunks.popleft().samples)
