"""What the window draws from: threads write, the window's timer takes snapshots. No Qt here."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Health, Message, SourceStatus, Tagging

KEPT_SAMPLES = 12 * SAMPLE_RATE_HZ
"""Sound kept of each source: the 10.24 s on show, and room for a window that was covered for a moment."""

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
    tagging : Tagging or None
        The newest.
    status : SourceStatus or None
        The newest; None before the source has said anything.
    """

    chunks: tuple[AudioChunk, ...] = ()
    heard: int = 0
    tagging: Tagging | None = None
    status: SourceStatus | None = None

    def chunks_after(self, heard: int) -> tuple[AudioChunk, ...]:
        """Return what came after the ``heard``-th chunk, as far as it is still kept."""
        new = self.heard - heard
        return self.chunks[-new:] if new > 0 else ()


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that there is to draw at one moment: a view for each source, and the newest health."""

    sources: Mapping[str, SourceView]
    health: Health | None


class Feed:
    """Holds the newest sound and results of each source, in bounded memory.

    `hear` and `accept` may be called from any thread; they hold a lock only to put down what they bring.

    Parameters
    ----------
    sources : sequence of str
        Names of the sources, in the order in which they are offered.
    labels : sequence of str
        The name of each score of a tagging.
    """

    def __init__(self, sources: Iterable[str], labels: Sequence[str]) -> None:
        self.sources = tuple(sources)
        self.labels = tuple(labels)
        self._lock = threading.Lock()
        self._sounds = {name: _Sound() for name in self.sources}
        self._taggings: dict[str, Tagging] = {}
        self._statuses: dict[str, SourceStatus] = {}
        self._health: Health | None = None

    def hear(self, source: str, chunk: AudioChunk) -> None:
        """Keep a chunk of a source."""
        sound = self._sounds[source]
        with self._lock:
            sound.append(chunk)

    def accept(self, message: Message) -> None:
        """Keep a message in place of the one before it; what the window does not show is ignored."""
        with self._lock:
            match message:
                case Tagging():
                    self._taggings[message.source] = message
                case SourceStatus():
                    self._statuses[message.source] = message
                case Health():
                    self._health = message

    def snapshot(self) -> Snapshot:
        """Return what is there now."""
        with self._lock:
            views = {
                name: SourceView(
                    tuple(sound.chunks), sound.heard, self._taggings.get(name), self._statuses.get(name)
                )
                for name, sound in self._sounds.items()
            }
            return Snapshot(MappingProxyType(views), self._health)


class _Sound:
    """The newest chunks of one source."""

    def __init__(self) -> None:
        self.chunks: deque[AudioChunk] = deque()
        self.heard = 0
        self._samples = 0

    def append(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)
        self.heard += 1
        self._samples += len(chunk.samples)
        while self._samples - len(self.chunks[0].samples) >= KEPT_SAMPLES or len(self.chunks) > _MOST_CHUNKS:
            self._samples -= len(self.chunks.popleft().samples)
