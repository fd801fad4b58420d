"""Buffer of sound that no worker scored in time: two minutes, scored later, so that its events are late instead of lost."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..events.catalogue import WatchedSound
from ..events.detector import EventDetector
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Event, Window
from ..stream.scoring import LONGEST_ANSWER_SECONDS, Scorer, answer_seconds, score, tagging_of
from ..stream.windows import WindowCutter
from .channel import Channel

_KEPT_SAMPLES = 120 * SAMPLE_RATE_HZ
_STRIDE_SAMPLES = 5 * SAMPLE_RATE_HZ
"""Distance between windows that are scored late; an outage that is shorter leaves nothing unheard, because windows overlap."""
_WINDOWS_AT_ONCE = 4
"""Windows scored late after each batch of live ones: few, for the live ones come first."""
_REMEMBERED_EVENTS = 64
_LARGEST_STEP = 32_767
_SMALLEST_SCALE = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Sound as 16-bit numbers: a sample is a step times the scale."""

    start_sample: int
    captured_at: float
    scale: float
    steps: NDArray[np.int16]

    @classmethod
    def of(cls, window: Window, samples: int) -> "_Piece":
        """Return the newest samples of a window."""
        newest = window.samples[-samples:]
        scale = max(float(np.abs(newest).max(initial=0.0)) / _LARGEST_STEP, _SMALLEST_SCALE)
        return cls(
            window.end_sample - len(newest),
            window.ended_at - len(newest) / SAMPLE_RATE_HZ,
            scale,
            np.rint(newest / scale).astype(np.int16),
        )

    def chunk(self) -> AudioChunk:
        return AudioChunk(self.steps * np.float32(self.scale), self.start_sample, self.captured_at)


class Backlog:
    """Sound of one source without scores, and the events in it.

    Parameters
    ----------
    source : str
        Name of the source.
    kept_samples : int
        Most samples that are kept; the oldest are given up first.
    """

    def __init__(self, source: str, *, kept_samples: int = _KEPT_SAMPLES) -> None:
        self._source = source
        self._kept_samples = kept_samples
        self._pieces: deque[_Piece] = deque()
        self._unheard_samples = 0
        self._replay: Iterator[Window] | None = None
        self._again: list[Window] = []
        self._detector = EventDetector(())
        self._found: dict[str, list[Event]] = {}
        self._told: deque[Event] = deque(maxlen=_REMEMBERED_EVENTS)
        self._late: list[list[Event]] = []

    @property
    def samples(self) -> int:
        """Number of samples in memory."""
        return sum(len(piece.steps) for piece in self._pieces)

    def keep(self, window: Window) -> None:
        """Keep the sound of a window without scores that is not in memory yet."""
        end = self._pieces[-1].start_sample + len(self._pieces[-1].steps) if self._pieces else 0
        new = window.end_sample - max(end, window.start_sample)
        if new <= 0:
            return
        self._pieces.append(_Piece.of(window, new))
        self._unheard_samples += min(new, window.hop_samples)
        while self.samples > self._kept_samples:
            self._pieces.popleft()

    def note(self, event: Event) -> None:
        """Remember an event that was published, so that it is not published again; forget one that was taken back."""
        self._told = deque((told for told in self._told if told.id != event.id), maxlen=_REMEMBERED_EVENTS)
        if event.confirmed or event.kind != "ended":
            self._told.append(event)

    def next_windows(self, window_samples: int, sounds: Sequence[WatchedSound], count: int) -> list[Window]:
        """Return the next windows to score late, at most so many."""
        if self._replay is None and self._pieces:
            if self._unheard_samples >= _STRIDE_SAMPLES:
                self._detector = EventDetector(sounds)
                self._replay = _cut(self._source, list(self._pieces), window_samples)
            self._pieces.clear()
            self._unheard_samples = 0
        windows, self._again = self._again, []
        if self._replay is not None:
            windows += list(islice(self._replay, max(0, count - len(windows))))
            if not windows:
                self._replay = None
                self._collect(self._detector.close())
                self._late += [pair for pair in self._found.values() if not self._is_told(pair)]
                self._found = {}
        return windows

    def put(self, windows: Sequence[Window], scored: Mapping[Window, NDArray[np.float32]]) -> None:
        """Take the scores of windows, in order; those from the first without scores on are asked for again."""
        for index, window in enumerate(windows):
            if window not in scored:
                self._again = list(windows[index:])
                return
            self._collect(self._detector.feed(tagging_of(window, scored[window])))

    def late_events(self) -> list[Event]:
        """Return starts and ends that were found late, except those of sounds that go on at present."""
        active = {event.label for event in self._told if event.kind != "ended"}
        ready = [pair for pair in self._late if pair[0].label not in active]
        self._late = [pair for pair in self._late if pair[0].label in active]
        events = [event for pair in ready for event in pair]
        for event in events:
            self.note(event)  # the next unanswered window contains older sound once more
        return events

    def _collect(self, events: Sequence[Event]) -> None:
        for event in events:
            self._found.setdefault(event.id, []).append(event)

    def _is_told(self, pair: Sequence[Event]) -> bool:
        start, end = pair[0].started_at, pair[-1].ended_at or pair[0].started_at
        margin = _STRIDE_SAMPLES / SAMPLE_RATE_HZ
        return any(
            told.label == pair[0].label
            and told.started_at - margin <= end
            and start <= (told.ended_at if told.ended_at is not None else end) + margin
            for told in (*self._told, *(late[-1] for late in self._late))
        )


class Backlogs:
    """Backlogs of all channels, for the tagger's thread."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Channel, Backlog] = WeakKeyDictionary()
        self._is_complete = True
        self._seconds = LONGEST_ANSWER_SECONDS

    def after_batch(self, channels: Mapping[Window, Channel], answered: Collection[Window]) -> None:
        """Keep the windows of a batch that have no answer, but for the fast ones, whose sound is in the others too."""
        self._is_complete = all(window in answered for window in channels)
        self._seconds = answer_seconds(channel.hop_samples for channel in channels.values())
        for window, channel in channels.items():
            if window not in answered and not window.is_fast:
                self._of.setdefault(channel, Backlog(channel.name)).keep(window)

    def note(self, channel: Channel, event: Event) -> None:
        """Remember an event that was published in time."""
        self._of.setdefault(channel, Backlog(channel.name)).note(event)

    def catch_up(self, scorer: Scorer, publish: Callable[[Event], None]) -> None:
        """Score a few windows late, if the newest batch had all its answers, and publish the events that are complete."""
        if not self._is_complete:
            return
        room = _WINDOWS_AT_ONCE
        for channel, backlog in list(self._of.items()):
            windows = backlog.next_windows(channel.window_samples, channel.sounds, room)
            if windows:
                backlog.put(windows, dict(score(scorer, windows, self._seconds)))
                room -= len(windows)
            for event in backlog.late_events():
                publish(event)
            if room <= 0:
                return


def _cut(source: str, pieces: Sequence[_Piece], window_samples: int) -> Iterator[Window]:
    """Yield windows of kept sound."""
    cutter = WindowCutter(source, window_samples=window_samples, hop_samples=_STRIDE_SAMPLES)
    for piece in pieces:
        yield from cutter.feed(piece.chunk())
    yield from cutter.flush()
