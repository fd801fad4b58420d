"""The last minutes of all sources, in memory only, from which a sound can be taught."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Message, Samples

SHORT_SECONDS = 15
"""Time that is kept anyway: the sound of the picture on screen."""
LONG_SECONDS = 600
"""Time that is kept if the user wants it."""

_FULL_SCALE = 32_767


class SoundMemory:
    """Newest sound of each source, with 16 bits a sample: 0.5 MB, or 19 MB for ten minutes. It is never written to a disk.

    It is a sink for the list of sources. All methods may be called from any thread.

    Parameters
    ----------
    is_long : bool
        True to keep ten minutes, False for what is on screen.
    """

    def __init__(self, *, is_long: bool = False) -> None:
        self._lock = threading.Lock()
        self._is_long = is_long
        self._recent: dict[str, _Recent] = {}

    @property
    def is_long(self) -> bool:
        """True if ten minutes are kept. Setting it to False forgets all that is older than what is on screen."""
        return self._is_long

    @is_long.setter
    def is_long(self, is_long: bool) -> None:
        with self._lock:
            self._is_long = is_long
            self._recent = {name: recent.resized(self._capacity) for name, recent in self._recent.items()}

    def add_chunk(self, source: str, chunk: AudioChunk) -> None:
        """Keep a chunk of a source."""
        with self._lock:
            recent = self._recent.setdefault(source, _Recent(self._capacity))
            recent.write(chunk.samples, chunk.start_sample)

    def accept(self, message: Message) -> None:
        """Ignore a message."""

    def set_sources(self, sources: Sequence[str]) -> None:
        """Forget all other sources."""
        with self._lock:
            self._recent = {name: recent for name, recent in self._recent.items() if name in sources}

    def cut(self, source: str, start_sample: int, end_sample: int) -> Samples:
        """Return a stretch of a source's sound, float32 (n,); lost sound is silent.

        Raises
        ------
        SourceError
            It is not kept any more.
        """
        with self._lock:
            recent = self._recent.get(source)
            if recent is None or start_sample < recent.oldest or start_sample >= recent.end:
                ago = "this sound is older than what is kept in memory"
                raise SourceError(
                    f"{ago}: it was longer than ten minutes ago, or before ten minutes were kept"
                    if self._is_long
                    else f"{ago}: keep ten minutes of sound (menu More), and wait for the next occurrence"
                )
            return recent.cut(start_sample, min(end_sample, recent.end))

    @property
    def _capacity(self) -> int:
        return (LONG_SECONDS if self._is_long else SHORT_SECONDS) * SAMPLE_RATE_HZ


class _Recent:
    """Newest samples of one source: sample `i` is at `i % capacity`."""

    def __init__(self, capacity: int) -> None:
        self._ring: NDArray[np.int16] = np.zeros(capacity, np.int16)
        self._first = self.end = 0

    @property
    def oldest(self) -> int:
        """Index of the oldest sample."""
        return max(self._first, self.end - len(self._ring))

    def write(self, samples: Samples, start: int) -> None:
        """Add samples; an index that goes back is another stream."""
        if start < self.end or start - self.end >= len(self._ring) or self._first == self.end:
            self._first = self.end = start
        self._put(np.zeros(start - self.end, np.int16))
        self._put(np.rint(samples.clip(-1, 1) * _FULL_SCALE).astype(np.int16))

    def cut(self, start: int, end: int) -> Samples:
        """Return samples as floats."""
        steps = self._ring[np.arange(start, end) % len(self._ring)]
        return steps.astype(np.float32) / np.float32(_FULL_SCALE)

    def resized(self, capacity: int) -> "_Recent":
        """Return a copy of another size, with the newest samples."""
        other = _Recent(capacity)
        kept = np.arange(max(self.oldest, self.end - capacity), self.end)
        other._first = other.end = int(kept[0]) if len(kept) else self.end
        other._put(self._ring[kept % len(self._ring)])
        return other

    def _put(self, steps: NDArray[np.int16]) -> None:
        end = self.end + len(steps)
        newest = steps[-len(self._ring) :]
        self._ring[np.arange(end - len(newest), end) % len(self._ring)] = newest
        self.end = end
