"""One source's way: from its chunks to windows and news on the tagger's queue, and from scores to events."""

import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from ..errors import SourceError
from ..events.catalogue import WatchedSound
from ..events.detector import EventDetector
from ..health.source import SourceMeter
from ..messages import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Event,
    NoiseLevels,
    SourceActivity,
    SourceHealth,
    SourceStatus,
    Window,
)
from ..noise.source import SourceNoise
from ..runtime.queues import BoundedQueue
from ..sinks.clips.recorder import Clips
from ..sources import Source, hide_addresses
from ..stream.windows import Lengths, PairedCutter
from .backoff import Backoff
from .continuation import Continuation
from .late_ends import LateEnds
from .switches import Switches

_log = logging.getLogger(__name__)

ChunkTap: TypeAlias = Callable[[str, AudioChunk], None]
"""Receives the chunks of each source on that source's thread, and returns at once."""

_RELEASE_SECONDS = 2.0
"""Time that a new source waits for the sources that it replaces to release their devices."""

_POLL_SECONDS = 0.05


class State(Enum):
    """State of a channel."""

    IDLE = auto()
    """No reader has been started."""
    STARTING = auto()
    """The source has delivered no sound yet."""
    LISTENING = auto()
    SWITCHED_OFF = auto()
    """The sound is discarded."""
    RETRYING = auto()
    """The source failed; it is opened again after a pause."""
    WAITING = auto()
    """The source ended; the reader waits for another one in its place."""
    ENDED = auto()
    """The source ended, and so did the reader; another source needs another reader."""
    REMOVED = auto()
    """The channel leaves the session: its reader ends soon, or has ended."""
    STOPPED = auto()
    """The session stops: the reader ends soon, or has ended."""


_GONE = (State.REMOVED, State.STOPPED)
_UNREAD = (State.IDLE, State.ENDED)
_REASONS = {State.REMOVED: "it was removed", State.STOPPED: "listening was stopped"}
_SWITCHED_OFF = "listening is switched off"


@dataclass(frozen=True, slots=True)
class Input:
    """A source, and its own settings.

    Attributes
    ----------
    source : Source
        Source to listen to.
    hop_samples : int
        Distance between the ends of two windows.
    sounds : sequence of WatchedSound
        Sounds that become events.
    clipped : bool
        True if the sound of events is kept, where clips are kept at all.
    noise_offset_db : float, optional
        Level in dB(A) of a sound of 0 dBFS.
    """

    source: Source
    hop_samples: int
    sounds: Sequence[WatchedSound] = ()
    clipped: bool = False
    noise_offset_db: float | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """Settings that all channels of a session share.

    Attributes
    ----------
    window_samples : int
        Length of a window.
    fast_window_samples : int, optional
        Length of the fast windows; None without these.
    fast : bool
        True if readers wait for the tagger; otherwise late windows are dropped.
    stay : bool
        True if the reader of a source that ended waits for another source in its place.
    limit_samples : int, optional
        Length of sound to read from each source; everything if None.
    noise : bool
        True if the noise of each minute is measured.
    """

    window_samples: int
    fast_window_samples: int | None = None
    fast: bool = False
    stay: bool = False
    limit_samples: int | None = None
    noise: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """Something that a channel has for the tagger.

    Attributes
    ----------
    channel : Channel
        Sender.
    content : Window or SourceStatus or NoiseLevels or Event or None
        A window to tag, news of the source, its noise, an event that needs no model, or None as the last post: nothing more
        comes.
    stretch : int
        Number of the uninterrupted stretch of sound that a window belongs to.
    """

    channel: "Channel"
    content: Window | SourceStatus | NoiseLevels | Event | None
    stretch: int = 0


class _Outbox:
    """A channel's end of the tagger's queue. Posts stay in order, and only windows are ever dropped.

    News always have room: of each channel, at most one status for each state waits.
    """

    def __init__(
        self, channel: "Channel", queue: BoundedQueue[Post], meter: SourceMeter, *, fast: bool
    ) -> None:
        self._channel = channel
        self._queue = queue
        self._meter = meter
        self._fast = fast
        self._stretch = 0

    def send(self, windows: Iterable[Window]) -> None:
        """Post windows; without `fast`, a window replaces the one of its kind that waits."""
        for window in windows:
            self._meter.add_window(window)
            post = Post(self._channel, window, self._stretch)
            kind = "fast window" if window.is_fast else "window"
            if not self._queue.put(post, None if self._fast else (self._channel, kind)):
                self._meter.add_dropped(is_fast=window.is_fast)

    def end_stretch(self) -> None:
        """Note that the sound is interrupted after the windows so far."""
        self._meter.finish()
        self._stretch += 1

    def say(self, *, online: bool, reason: str = "") -> None:
        """Post a status behind the windows that wait."""
        status = SourceStatus(self._channel.name, online, reason)
        self._queue.put(Post(self._channel, status), (self._channel, self._channel.state))

    def publish(self, messages: Iterable[NoiseLevels | Event]) -> None:
        """Post noise and events, of which few come; nothing replaces them."""
        for message in messages:
            self._queue.put(Post(self._channel, message), (self._channel, id(message)))

    def end(self) -> None:
        """Post that nothing more comes."""
        self._queue.put(Post(self._channel, None), (self._channel, "end"))


class Channel:
    """One source and all that belongs to it: window cutter, event detector, watched sounds, status and figures.

    The reader's thread is in `run`: it posts windows and news in order, and an end as its last act. Other threads may `exchange`
    the source and make the channel `leave`; `source` and `state` change under a lock.

    Parameters
    ----------
    given : Input
        Source and its settings.
    mode : Mode
        Settings of the session.
    queue : BoundedQueue of Post
        Queue of the tagger.
    meter : SourceMeter
        Figures of the source.
    switches : Switches
        Sources whose sound is discarded.
    taps : sequence of callable
        Receive every chunk.
    clips : Clips, optional
        Keeps the sound of events.

    Attributes
    ----------
    name : str
        Name of the source, and of those that take its place.
    hop_samples, window_samples, fast_window_samples, sounds, clips
        Settings, from the next chunk or tagging on. The session sets them.
    detector, late_ends, status, stretch
        Detector, ends of events by their level, last published status, and newest stretch that was tagged. Only the tagger uses them.
    noise, failure
        Meter of the noise, which only the reader uses, and the failure that ended the reader, if any.
    """

    def __init__(
        self,
        given: Input,
        mode: Mode,
        queue: BoundedQueue[Post],
        *,
        meter: SourceMeter,
        switches: Switches,
        taps: Sequence[ChunkTap] = (),
        clips: Clips | None = None,
    ) -> None:
        self.name, self.source = given.source.name, given.source
        self.hop_samples, self.sounds, self.clips = given.hop_samples, tuple(given.sounds), clips
        self.meter, self.detector, self.late_ends = meter, EventDetector(given.sounds), LateEnds()
        self.window_samples, self.fast_window_samples = mode.window_samples, mode.fast_window_samples
        self.status: SourceStatus | None = None
        self.failure: SourceError | None = None
        self.stretch, self.state, self._changed = 0, State.IDLE, threading.Condition()
        self._mode, self._switches, self._taps, self._backoff = mode, switches, taps, Backoff(self.name)
        self._outbox = _Outbox(self, queue, meter, fast=mode.fast)
        self._cutter, self._continuation = PairedCutter(self.name, self.lengths), Continuation()
        self.noise = SourceNoise(self.name, measures=mode.noise, offset_db=given.noise_offset_db)

    @property
    def lengths(self) -> Lengths:
        """Lengths of its windows."""
        return Lengths(self.window_samples, self.hop_samples, self.fast_window_samples)

    @property
    def health(self) -> SourceHealth:
        """Figures of the source."""
        noise = self.noise.newest(time.time() if self.source.live else None)
        figures = self.meter.report(repaired_samples=self.source.repaired_samples, noise=noise)
        return replace(figures, activity=_activity(self.state, is_on=self._switches.is_on(self.name)))

    @property
    def has_ended(self) -> bool:
        """True if the source and the reader have ended, and all posts of the channel are on the queue."""
        with self._changed:  # held from the change of the state to the last post
            return self.state is State.ENDED

    def exchange(self, source: Source) -> bool:
        """Read another source from now on; return True if that needs a new reader."""
        with self._changed:
            before, self.source, self.failure = self.source, source, None
            unread = self.state is State.ENDED
            if self.state not in _GONE and self.state is not State.IDLE:
                self.state = State.STARTING
            self._changed.notify_all()
        before.close()
        if self.state in _GONE:
            source.close()
        return unread

    def leave(self, state: State) -> None:
        """Make the reader end; `state` is REMOVED or STOPPED, and does not change any more."""
        with self._changed:
            unread = self.state in _UNREAD
            self.state = self.state if self.state in _GONE else state
            if unread:
                self._outbox.end()
            self._changed.notify_all()
        self.source.close()

    def start(self) -> None:
        """Note that a reader is about to start."""
        self._enter(State.STARTING)

    def run(self, is_free: Callable[[], bool] = lambda: True) -> None:
        """Read the source, and those that take its place, until nothing more comes.

        It begins when `is_free` says that the sources that it replaces have released their devices, or after a short time.
        """
        deadline = time.monotonic() + _RELEASE_SECONDS
        while not (is_free() or self.state in _GONE or time.monotonic() > deadline):
            with self._changed:
                self._changed.wait(_POLL_SECONDS)
        try:
            while self._read(self.source):
                pass
        except Exception as error:
            with self._changed:
                self.state = self.state if self.state in _GONE else State.ENDED
                self._outbox.say(online=False, reason=str(error))
                self._outbox.end()
            raise

    def _read(self, source: Source) -> bool:
        """Read a source to its end; return True once there is another attempt to make, or another source to read."""
        failure = None
        try:
            self._listen(source)
        except Exception as error:  # noqa: BLE001 - whatever a library does, the other sources go on
            failure = _failure(self.name, error)
        with self._changed:
            pause_seconds = self._settle(source, failure)
            if self.state in (State.ENDED, *_GONE):
                self._outbox.end()
                return False
            state = self.state
            self._changed.wait_for(
                lambda: self.state is not state or self.source is not source,
                None if pause_seconds == math.inf else pause_seconds,
            )
            if self.state is State.RETRYING:
                self.state = State.STARTING
        return True

    def _settle(self, source: Source, failure: SourceError | None) -> float:
        """Choose the state after the end of a source, and post its reason; return the longest time in that state."""
        reason = "it has ended" if failure is None else str(failure)
        seconds = math.inf
        if self.state in _GONE:
            reason = _REASONS[self.state]
        elif self.source is not source:
            self.state, reason, seconds = State.STARTING, "another source was chosen", 0.0
        elif failure is not None and source.retry_seconds is not None:
            self.state, seconds = State.RETRYING, self._backoff.fail(reason, source.retry_seconds)
        elif self._mode.stay:
            self.state = State.WAITING
        else:
            self.state, self.failure = State.ENDED, failure
        self._outbox.say(online=False, reason=reason)
        return seconds

    def _listen(self, source: Source) -> None:
        self.meter.open(live=source.live)
        try:
            with closing(source.chunks()) as chunks:
                for chunk in _limited(self._continuation.of(source, chunks), self._mode.limit_samples):
                    self._backoff.deliver(len(chunk.samples) / SAMPLE_RATE_HZ)
                    self._take(chunk)
        finally:  # the sound before a failure is tagged too
            self._flush()

    def _take(self, chunk: AudioChunk) -> None:
        is_on = self._switches.is_on(self.name)
        if self._enter(State.LISTENING if is_on else State.SWITCHED_OFF):
            if not is_on:
                self._flush()
            self._outbox.say(online=is_on, reason="" if is_on else _SWITCHED_OFF)
        if not is_on:
            self.meter.add_paused(chunk)
            return
        self.meter.add(chunk)
        for tap in self._taps:
            tap(self.name, chunk)
        if (clips := self.clips) is not None:
            clips.write(self.name, chunk)
        self._cutter.set_lengths(self.lengths)
        self._outbox.publish(self.noise.feed(chunk, self.sounds))
        self._outbox.send(self._cutter.feed(chunk))

    def _flush(self) -> None:
        self._outbox.publish(self.noise.finish())
        self._outbox.send(self._cutter.flush())
        self._outbox.end_stretch()

    def _enter(self, state: State) -> bool:
        """Change the state, unless the channel leaves; return True if that is another state."""
        with self._changed:
            if self.state in _GONE or self.state is state:
                return False
            self.state = state
            return True


def _activity(state: State, *, is_on: bool) -> SourceActivity:
    """Return the activity of a source; one that is switched off is paused, also while it can't be opened."""
    if state in (State.WAITING, State.ENDED):
        return "ended"
    return "listening" if is_on else "paused"


def _failure(name: str, error: Exception) -> SourceError:
    """Return the failure of a source. An error that is none of its own is logged with its traceback, and translated."""
    if isinstance(error, SourceError):
        return error
    trace = "".join(traceback.format_exception(error))
    _log.debug("%s: unexpected error\n%s", name, hide_addresses(trace))
    kind = f"{type(error).__name__}: {hide_addresses(str(error))}".removesuffix(": ")
    return SourceError(f"an unexpected error ({kind}); run with --debug and report the traceback")


def _limited(chunks: Iterable[AudioChunk], limit_samples: int | None) -> Iterator[AudioChunk]:
    """Pass chunks on up to a position in the stream, where the last one is cut."""
    limit = sys.maxsize if limit_samples is None else limit_samples
    for chunk in chunks:
        rest = limit - chunk.start_sample
        if rest > 0:
            yield chunk if rest >= len(chunk.samples) else replace(chunk, samples=chunk.samples[:rest])
        if rest <= len(chunk.samples):
            return
