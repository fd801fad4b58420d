"""Live listening: readers, one for each source, and one tagger, joined by a mailbox that drops what is late."""

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from statistics import harmonic_mean
from types import MappingProxyType
from typing import TypeAlias

from ..errors import SourceError
from ..events.catalogue import NO_SOUNDS, WatchedSound
from ..events.detector import EventDetector
from ..health import HealthMeter
from ..messages import (
    AudioChunk,
    Event,
    Message,
    SourceStatus,
    Tagging,
    Window,
)
from ..runtime.queues import BoundedQueue
from ..runtime.threads import ThreadGroup
from ..runtime.timing import Every
from ..sinks import RosterSink, Sink, total_losses
from ..sinks.clips.recorder import Clips
from ..sources import Source
from ..stream.pipeline import Pipeline
from ..stream.scoring import Scorer, score
from .channel import Seat
from .switches import Switches

ChunkTap: TypeAlias = Callable[[str, AudioChunk], None]
"""Is told each source's chunks on that source's thread, and returns at once."""

NO_HOPS: Mapping[str, int] = MappingProxyType({})
"""No source has a hop of its own."""

_log = logging.getLogger(__name__)

_HEALTH_PERIOD_SECONDS = 2.0
_WAITING_PER_SOURCE = 4
_REMOVAL_SECONDS = 2.0
_RETRY_SECONDS = 0.05
_SWITCHED_OFF = "listening is switched off"


@dataclass(frozen=True, slots=True)
class _Left:
    """Says, behind all else that comes of a source, that it was removed."""

    source: str
    seat: Seat


class LiveSession:
    """Listens to sources until all have ended, or until its threads are stopped.

    One that has failed disturbs no other. If it is of a kind that returns, it is opened again until it is back, with pauses that
    grow to its `retry_seconds`; if not, that was its end, and `failure` has the first such error.

    Each source has a reader, which cuts it into windows; the tagger takes all the windows that wait as one
    batch. If it is late, a source's older window has been replaced by the newer one, and the drop counted; with `fast`,
    readers wait for the tagger instead and nothing is dropped.

    Parameters
    ----------
    sources : sequence of Source
        With different names.
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    window_samples, hop_samples : int
        Length of a window, and from the end of one to the end of the next.
    sinks : sequence of Sink
        Receive every message.
    sounds : sequence of WatchedSound
        What to decide on events of.
    own_sounds : mapping of str to sequence of WatchedSound
        By source, what to decide on instead; also for those that come later.
    own_hop_samples : mapping of str to int
        By source, the hop that it has instead; also for those that come later.
    taps : sequence of callable
        Are told every chunk.
    clips : Clips, optional
        Keeps the sound of events; without it none is kept.
    switches : Switches, optional
        Who is not to be listened to for a while; what a source delivers meanwhile is thrown away.
    fast : bool
        Wait rather than drop.
    stay : bool
        Where somebody looks on: a source that has ended waits for another in its place. Otherwise the session is over when
        all of them have.
    limit_samples : int, optional
        How much of each source to listen to; all of it if None.
    model, device : str
        For `Health`.
    broker_state : callable
        For `Health`.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        scorer: Scorer,
        *,
        window_samples: int,
        hop_samples: int,
        sinks: Sequence[Sink],
        sounds: Sequence[WatchedSound] = (),
        own_sounds: Mapping[str, Sequence[WatchedSound]] = NO_SOUNDS,
        own_hop_samples: Mapping[str, int] = NO_HOPS,
        taps: Sequence[ChunkTap] = (),
        clips: Clips | None = None,
        switches: Switches | None = None,
        fast: bool = False,
        stay: bool = False,
        limit_samples: int | None = None,
        model: str = "",
        device: str = "",
        broker_state: Callable[[], str] = lambda: "none",
    ) -> None:
        self._sounds = tuple(sounds)
        self._own_sounds = dict(own_sounds)
        self._window_samples, self._hop_samples = window_samples, hop_samples
        self._own_hop_samples = dict(own_hop_samples)
        self._stay = stay
        self._scorer = scorer
        self._sinks = sinks
        self._taps = taps
        self._clips = clips
        self._switches = switches or Switches()
        self._fast = fast
        self._limit_samples = limit_samples
        self._broker_state = broker_state
        # News of a source wait in line with its windows, so that its last tagging comes before the news of its end.
        self._due: BoundedQueue[Window | SourceStatus | _Left] = BoundedQueue(
            _WAITING_PER_SOURCE * len(sources), "wait" if fast else "refuse"
        )
        self._meter = HealthMeter(
            hop_samples=self._usual_hop(source.name for source in sources),
            sources=len(sources),
            model=model,
            device=device,
        )
        self._health_due = Every(_HEALTH_PERIOD_SECONDS)
        self._busy_since: float | None = None
        self._stopping = False
        self._failure: SourceError | None = None
        self._threads: ThreadGroup | None = None
        self._told: dict[str, SourceStatus] = {}  # what was said last of each source

        self._lock = threading.Lock()  # guards changes of what follows, which all threads may read
        self._seats = {source.name: Seat(source) for source in sources}
        self._leaving: dict[str, Seat] = {}  # removed, and the tagger has not come to the end of them
        self._pipelines = {source.name: self._pipeline(source) for source in sources}
        self._reading = 0

    def start(self, threads: ThreadGroup) -> None:
        """Start the tagger and the readers."""
        threads.start("tagger", self._tag, self._due.close)
        with self._lock:
            self._threads = threads
            seats = self._seats
            self._reading = len(seats)
        for name, seat in seats.items():
            self._start_reader(threads, name, seat)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources."""
        return tuple(self._seats)

    @property
    def failure(self) -> SourceError | None:
        """The first error of a source that does not return; None if all went well."""
        return self._failure

    def listens_to(self, source: Source) -> bool:
        """Whether this source is the one that is listened to under its name."""
        seat = self._seats.get(source.name)
        return seat is not None and seat.source is source

    def exchange(self, name: str, source: Source) -> None:
        """Listen to another source under a name from now on, also where the one before it has ended. The others don't notice.

        Raises
        ------
        SourceError
            No source has this name any more.
        """
        seat = self._seats.get(name)
        if seat is None:
            raise SourceError(f"'{name}' is not listened to any more: choose another source")
        seat.exchange(source)
        with self._lock:
            threads = self._threads
            if threads is None or not (seat.over and self._reading):
                return
            seat.over = False
            self._reading += 1
        self._start_reader(threads, name, seat)

    def check(self, newcomers: Iterable[str]) -> None:
        """See that sources of these names can come.

        Raises
        ------
        SourceError
            There is one of such a name, or listening is over.
        """
        for name in newcomers:
            if name in self._seats:
                raise SourceError(f"there is a source called '{name}' already: name it otherwise")
            if name in self._leaving:
                raise SourceError(f"'{name}' has not come to its end yet: try again in a moment")
            if self._threads is not None and (self._stopping or not self._reading):
                raise SourceError(f"'{name}' can't be listened to: listening is over")

    def rearrange(
        self, names: Sequence[str], newcomers: Sequence[Source] = (), *, clipped: Collection[str] = ()
    ) -> None:
        """Listen to the sources of these names from now on. Any thread but the tagger's may ask; those that stay don't notice.

        Those that are not among them any more end as if they were offline, which the sinks are told. Those that are new begin
        when the others have let go of their devices. The session is over when nobody is left.

        Parameters
        ----------
        names : sequence of str
            Of all sources, in their new order.
        newcomers : sequence of Source
            Those of them that are new.
        clipped : collection of str
            The names of the newcomers whose sound is kept, where any is.

        Raises
        ------
        SourceError
            As `check` does; all stays as it is.
        """
        with self._lock:
            self.check(source.name for source in newcomers)
            seated = self._seats | {source.name: Seat(source) for source in newcomers}
            leaving = {name: seat for name, seat in self._seats.items() if name not in names}
            ended = {name: seat for name, seat in leaving.items() if seat.over}
            self._seats = {name: seated[name] for name in names}
            self._leaving = {**self._leaving, **leaving}
            for source in newcomers:
                self._pipelines[source.name] = self._pipeline(source)
                if self._clips is not None and source.name in clipped:
                    self._clips.add(source.name)
            self._switches.mention(source.name for source in newcomers)
            self._resize()
            self._tell_names()
            threads = self._threads
            if threads is not None:
                self._reading += len(newcomers)
        for seat in leaving.values():
            seat.leave()
        if threads is None:
            ended = leaving
        for name, seat in ended.items():
            self._post_left(name, seat)
        if threads is not None:
            deadline = time.monotonic() + _REMOVAL_SECONDS
            for seat in leaving.values():
                seat.gone.wait(max(0.0, deadline - time.monotonic()))
            for source in newcomers:
                self._start_reader(threads, source.name, self._seats[source.name])

    def pace(self, hop_samples: Mapping[str, int]) -> None:
        """Cut sources into windows with these hops from their next chunks on; also those that come later."""
        with self._lock:
            self._own_hop_samples |= hop_samples
            self._resize()

    def watch(self, sounds: Sequence[WatchedSound], source: str | None = None) -> None:
        """Decide on these sounds from the next tagging on: at one source, or at all that have no sounds of their own."""
        if source is None:
            self._sounds = tuple(sounds)
        else:
            self._own_sounds[source] = tuple(sounds)

    def share(self, source: str) -> None:
        """Decide at a source on what holds for all that have no sounds of their own, from its next tagging on."""
        self._own_sounds.pop(source, None)

    def keep_clips(self, clips: Clips | None) -> None:
        """Keep the sound of events like this from now on, or no longer; what began before has a clip from here on, if any."""
        self._clips = clips

    @property
    def busy_seconds(self) -> float:
        """How long the tagger has been at the windows that it took last; 0 while it waits for some."""
        since = self._busy_since
        return 0.0 if since is None else time.perf_counter() - since

    @property
    def meter(self) -> HealthMeter:
        """What counts how it goes."""
        return self._meter

    @property
    def dropped_windows(self) -> int:
        """Windows replaced by a newer one so far, because inference was late."""
        return self._due.dropped

    def report_health(self) -> None:
        """Tell the sinks how it goes, if they haven't been told for a while. Called by main, often."""
        if self._health_due.due():
            self._tell_health()

    def _tell_health(self) -> None:
        with self._lock:
            seats = self._seats | self._leaving
        health = self._meter.report(
            broker=self._broker_state(),
            replaced_windows=self._due.replaced,
            repaired_samples={name: seat.source.repaired_samples for name, seat in seats.items()},
        )
        self._publish(replace(health, losses=total_losses(self._sinks)))

    def _tell_names(self) -> None:
        """Tell the sinks of whom they may hear."""
        for sink in self._sinks:
            if isinstance(sink, RosterSink):
                sink.follow((*self._seats, *self._leaving))

    def _watched_at(self, source: str) -> Sequence[WatchedSound]:
        return self._own_sounds.get(source, self._sounds)

    def _hop_at(self, source: str) -> int:
        return self._own_hop_samples.get(source, self._hop_samples)

    def _usual_hop(self, sources: Iterable[str]) -> int:
        """The hop with which, if all sources had it, as many windows would come as with their own."""
        return round(harmonic_mean([self._hop_at(source) for source in sources]))

    def _publish(self, message: Message) -> None:
        for sink in self._sinks:
            sink.accept(message)

    def _pipeline(self, source: Source) -> Pipeline:
        return Pipeline(
            source.name,
            window_samples=self._window_samples,
            hop_samples=self._hop_at(source.name),
            live=source.live,
            detector=EventDetector(self._watched_at(source.name)),
        )

    def _resize(self) -> None:
        self._due.resize(_WAITING_PER_SOURCE * (len(self._seats) + len(self._leaving)))
        if self._seats:
            self._meter.reckon(sources=len(self._seats), hop_samples=self._usual_hop(self._seats))

    def _start_reader(self, threads: ThreadGroup, name: str, seat: Seat) -> None:
        threads.start(f"reader {name}", partial(self._read, name, seat), self._stop)

    def _stop(self) -> None:
        """Have all readers end at once, for there is little time to wait for one after the other."""
        self._stopping = True
        for seat in (*self._seats.values(), *self._leaving.values()):
            seat.leave()

    def _read(self, name: str, seat: Seat) -> None:
        try:
            self._hear_all(name, seat)
        except Exception as error:
            self._say(SourceStatus(name, online=False, reason=str(error)))
            raise
        finally:
            with self._lock:
                removed = self._leaving.get(name) is seat
            if removed:
                self._post_left(name, seat)
            with self._lock:
                self._reading -= 1
                if not self._reading:
                    self._due.close()

    def _hear_all(self, name: str, seat: Seat) -> None:
        """Hear whoever has a seat, one after the other, each as often as it returns; tell why no more comes, each time."""
        while True:
            source, failure = seat.source, None
            try:
                self._hear(name, source, seat)
            except SourceError as error:
                failure = error
            reason, pause, last = "it has ended" if failure is None else str(failure), math.inf, False
            if self._stopping:
                reason, last = "listening was stopped", True
            elif seat.left:
                reason, last = "it was removed", True
            elif seat.source is not source:
                reason = "another source was chosen"
            elif failure is not None and source.retry_seconds is not None:
                pause = seat.backoff.begin(reason, source.retry_seconds)
            elif not self._stay:
                self._note(name, failure)
                last = True
            self._say(SourceStatus(name, online=False, reason=reason))
            if not last:
                seat.wait(source, pause)
            elif self._rise(seat, source):
                return

    def _rise(self, seat: Seat, source: Source) -> bool:
        """Read no more from a seat, unless another source has taken it meanwhile."""
        with self._lock:
            over = seat.left or seat.source is source
            seat.over = over
            return over

    def _note(self, name: str, failure: SourceError | None) -> None:
        """Keep the first failure; tell it at once where it would be told much later."""
        with self._lock:
            self._failure = self._failure or failure
            others = self._reading - 1
        if failure is not None and others:
            _log.warning("%s is not heard any more: %s. The others are.", name, failure)

    def _say(self, status: SourceStatus) -> None:
        """Tell of a source, behind the windows of it that wait, if that is news."""
        if self._told.get(status.source) == status:
            return
        self._told[status.source] = status
        if not self._due.put(status):
            self._publish(status)

    def _post_left(self, name: str, seat: Seat) -> None:
        """Let the tagger know that nothing more comes of a source that was removed."""
        while not (self._due.put(_Left(name, seat)) or self._due.closed):
            time.sleep(_RETRY_SECONDS)

    def _hear(self, name: str, source: Source, seat: Seat) -> None:
        pipeline = self._pipelines[name]
        listening: bool | None = None  # nobody has been told
        self._meter.opened(name, live=source.live)
        try:
            with closing(source.chunks()) as chunks:
                for chunk in self._wanted(seat.continued(chunks)):
                    wanted = self._switches.is_on(name)
                    if wanted != listening:
                        listening = wanted
                        if not wanted:
                            self._flush(name)
                        self._say(SourceStatus(name, wanted, "" if wanted else _SWITCHED_OFF))
                    if not wanted:
                        self._meter.paused(name, chunk)
                        continue
                    self._meter.heard(name, chunk)
                    for hear in self._taps:
                        hear(name, chunk)
                    if (clips := self._clips) is not None:
                        clips.hear(name, chunk)
                    pipeline.pace(self._hop_at(name))
                    self._post(name, pipeline.feed(chunk))
        finally:  # what came before a failure is tagged too
            self._flush(name)

    def _wanted(self, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """Pass chunks on up to the limit, the last one cut there."""
        for chunk in chunks:
            rest = sys.maxsize if self._limit_samples is None else self._limit_samples - chunk.start_sample
            if rest > 0:
                yield chunk if rest >= len(chunk.samples) else replace(chunk, samples=chunk.samples[:rest])
            if rest <= len(chunk.samples):
                return

    def _post(self, name: str, windows: Iterable[Window]) -> None:
        for window in windows:
            self._meter.cut(window)
            if not self._due.put(window, None if self._fast else name):
                self._meter.refused(window)

    def _flush(self, name: str) -> None:
        self._post(name, self._pipelines[name].flush())
        self._meter.flushed(name)

    def _tag(self) -> None:
        try:
            while due := self._due.take():
                began = self._busy_since = time.perf_counter()
                windows = [item for item in due if isinstance(item, Window)]
                scored = sorted(score(self._scorer, windows), key=lambda pair: pair[0].end_sample)
                taggings = [
                    self._pipelines[window.source].conclude(window, scores) for window, scores in scored
                ]
                self._meter.tagged(taggings, time.perf_counter() - began)
                for tagging in taggings:
                    self._tell(tagging)
                for status in (item for item in due if isinstance(item, SourceStatus)):
                    if not status.online:
                        self._end(status.source)
                    self._publish(status)
                for left in (item for item in due if isinstance(item, _Left)):
                    self._forget(left.source, left.seat)
        finally:  # stopped or failed: nobody listens any more for what is on
            with self._lock:
                names = (*self._seats, *self._leaving)
            for name in names:
                self._end(name)
            self._tell_health()

    def _tell(self, tagging: Tagging) -> None:
        if (clips := self._clips) is not None:
            clips.heed(tagging)
        self._publish(tagging)
        pipeline = self._pipelines[tagging.source]
        watched = self._watched_at(tagging.source)
        self._publish_events([*pipeline.watch(watched), *pipeline.decide(tagging)])

    def _end(self, source: str) -> None:
        self._publish_events(self._pipelines[source].close())
        if (clips := self._clips) is not None:
            clips.forget(source)

    def _forget(self, source: str, seat: Seat) -> None:
        """Take that a source that was removed has come to its end."""
        with self._lock:
            if self._leaving.get(source) is not seat:  # that was said twice
                return
            self._leaving = {name: seat for name, seat in self._leaving.items() if name != source}
            self._meter.forget(
                source,
                replaced_windows=self._due.replaced(source),
                repaired_samples=seat.source.repaired_samples,
            )
            self._due.forget(source)
            del self._pipelines[source]
            for known in (self._told, self._own_hop_samples, self._own_sounds):
                known.pop(source, None)
            if (clips := self._clips) is not None:
                clips.remove(source)
            self._resize()
            self._tell_names()
        seat.gone.set()

    def _publish_events(self, events: Iterable[Event]) -> None:
        clips = self._clips
        for event in events:
            self._publish(event if clips is None else clips.keep(event))
