"""Live listening: readers, one for each source, and one tagger, joined by a mailbox that drops what is late."""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from .crew import Crew
from .errors import SourceError
from .events import Decider
from .health import Every, HealthMeter
from .mailbox import Mailbox
from .messages import SAMPLE_RATE_HZ, AudioChunk, Event, Message, SourceStatus, Tagging, Window
from .pipeline import Pipeline, Scorer, score
from .sinks import Sink
from .sinks.clips import Clips
from .sounds import WatchedSound
from .sources import Source
from .switched_off import read_switched_off, remember_switch

Hearer: TypeAlias = Callable[[str, AudioChunk], None]
"""Is told each source's chunks on that source's thread, and returns at once."""

_HEALTH_PERIOD_SECONDS = 2.0
_SWITCHED_OFF = "listening is switched off"


class Switches:
    """Which sources are listened to: all, until somebody says otherwise. Any thread may ask, or change it.

    Parameters
    ----------
    file : Path, optional
        Where what is switched off is remembered for the next start; nowhere if None.

    Raises
    ------
    SettingsError
        Nobody can tell what is in the file.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._off = set() if file is None else read_switched_off(file)
        self._lock = threading.Lock()

    def turn(self, source: str, on: bool) -> None:
        """Listen to a source, or don't."""
        with self._lock:
            if on:
                self._off.discard(source)
            else:
                self._off.add(source)
            if self._file is not None:
                remember_switch(self._file, source, on)

    def is_on(self, source: str) -> bool:
        """Whether a source is listened to."""
        return source not in self._off


class LiveSession:
    """Listens to sources until they end, or until its crew is stopped.

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
    hearers : sequence of callable
        Are told every chunk.
    clips : Clips, optional
        Keeps the sound of events; without it none is kept.
    switches : Switches, optional
        Who is not to be listened to for a while; what a source delivers meanwhile is thrown away.
    fast : bool
        Wait rather than drop.
    retry_seconds : float, optional
        Where somebody looks on: a source that has failed is opened again after this time, and one that has ended waits for
        another in its place. If None, the first failure is the session's, and it is over when all sources have ended.
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
        hearers: Sequence[Hearer] = (),
        clips: Clips | None = None,
        switches: Switches | None = None,
        fast: bool = False,
        retry_seconds: float | None = None,
        limit_samples: int | None = None,
        model: str = "",
        device: str = "",
        broker_state: Callable[[], str] = lambda: "none",
    ) -> None:
        self._seats = {source.name: _Seat(source) for source in sources}
        self._sounds = tuple(sounds)
        self._retry_seconds = retry_seconds
        self._scorer = scorer
        self._sinks = sinks
        self._hearers = hearers
        self._clips = clips
        self._switches = switches or Switches()
        self._fast = fast
        self._limit_samples = limit_samples
        self._broker_state = broker_state
        self._pipelines = {
            source.name: Pipeline(
                source.name,
                window_samples=window_samples,
                hop_samples=hop_samples,
                live=source.live,
                decider=Decider(self._sounds),
            )
            for source in sources
        }
        # News of a source wait in line with its windows, so that its last tagging comes before the news of its end.
        self._due: Mailbox[Window | SourceStatus] = Mailbox(4 * len(sources), "wait" if fast else "refuse")
        self._meter = HealthMeter(hop_samples=hop_samples, sources=len(sources), model=model, device=device)
        self._health_due = Every(_HEALTH_PERIOD_SECONDS)
        self._busy_since: float | None = None
        self._stopping = False
        self._reading = len(sources)
        self._reading_lock = threading.Lock()

    def start(self, crew: Crew) -> None:
        """Set the crew to work."""
        crew.start("tagger", self._tag, self._due.close)
        for name, seat in self._seats.items():
            crew.start(f"reader {name}", partial(self._read, name, seat), partial(self._stop, seat))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources."""
        return tuple(self._seats)

    def exchange(self, name: str, source: Source) -> None:
        """Listen to another source under a name from now on. The others don't notice."""
        self._seats[name].exchange(source)

    def watch(self, sounds: Sequence[WatchedSound]) -> None:
        """Decide on these sounds from each source's next tagging on."""
        self._sounds = tuple(sounds)

    def keep_clips(self, clips: Clips | None) -> None:
        """Keep the sound of events like this from now on, or no longer; what began before has a clip from here on, if any."""
        self._clips = clips

    @property
    def busy_seconds(self) -> float:
        """How long the tagger has been at the windows that it took last; 0 while it waits for some."""
        since = self._busy_since
        return 0.0 if since is None else time.perf_counter() - since

    @property
    def dropped_windows(self) -> int:
        """Windows replaced by a newer one so far, because inference was late."""
        return self._due.dropped

    def report_health(self) -> None:
        """Tell the sinks how it goes, if they haven't been told for a while. Called by main, often."""
        if self._health_due.due():
            self._publish(
                self._meter.report(
                    dropped_windows=self.dropped_windows,
                    repaired_samples=sum(seat.source.repaired_samples for seat in self._seats.values()),
                    broker=self._broker_state(),
                )
            )

    def _publish(self, message: Message) -> None:
        for sink in self._sinks:
            sink.accept(message)

    def _stop(self, seat: "_Seat") -> None:
        self._stopping = True
        seat.leave()

    def _read(self, name: str, seat: "_Seat") -> None:
        status = SourceStatus(name, online=False)
        try:
            status = SourceStatus(name, online=False, reason=self._hear_all(name, seat))
        except Exception as error:
            status = SourceStatus(name, online=False, reason=str(error))
            raise
        finally:
            self._say(status)
            with self._reading_lock:
                self._reading -= 1
                if not self._reading:
                    self._due.close()

    def _hear_all(self, name: str, seat: "_Seat") -> str:
        """Hear whoever has a seat, one after the other; why no more comes, in the end."""
        while True:
            source = seat.source
            try:
                self._hear(name, source, seat)
                reason, patience = "it has ended", math.inf
            except SourceError as error:
                if self._retry_seconds is None:
                    raise
                reason, patience = str(error), self._retry_seconds
            if self._stopping:
                return "listening was stopped"
            if seat.source is not source:
                reason = "another source was chosen"
            elif self._retry_seconds is None:
                return reason
            self._say(SourceStatus(name, online=False, reason=reason))
            seat.wait(source, patience)

    def _say(self, status: SourceStatus) -> None:
        """Tell of a source, behind the windows of it that wait."""
        if not self._due.put(status):
            self._publish(status)

    def _hear(self, name: str, source: Source, seat: "_Seat") -> None:
        pipeline = self._pipelines[name]
        listening: bool | None = None  # nobody has been told
        try:
            with closing(source.chunks()) as chunks:
                for chunk in self._wanted(seat.continued(chunks)):
                    wanted = self._switches.is_on(name)
                    if wanted != listening:
                        listening = wanted
                        if not wanted:
                            self._post(name, pipeline.flush())
                        self._say(SourceStatus(name, wanted, "" if wanted else _SWITCHED_OFF))
                    if not wanted:
                        continue
                    self._meter.heard(chunk)
                    for hear in self._hearers:
                        hear(name, chunk)
                    if (clips := self._clips) is not None:
                        clips.hear(name, chunk)
                    self._post(name, pipeline.feed(chunk))
        finally:  # what came before a failure is tagged too
            self._post(name, pipeline.flush())

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
            self._due.put(window, None if self._fast else name)

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
                self._busy_since = None
        finally:  # stopped or failed: nobody listens any more for what is on
            for name in self._seats:
                self._end(name)

    def _tell(self, tagging: Tagging) -> None:
        if (clips := self._clips) is not None:
            clips.heed(tagging)
        self._publish(tagging)
        pipeline = self._pipelines[tagging.source]
        self._publish_events([*pipeline.watch(self._sounds), *pipeline.decide(tagging)])

    def _end(self, source: str) -> None:
        self._publish_events(self._pipelines[source].close())
        if (clips := self._clips) is not None:
            clips.forget(source)

    def _publish_events(self, events: Iterable[Event]) -> None:
        clips = self._clips
        for event in events:
            self._publish(event if clips is None else clips.keep(event))


class _Seat:
    """A source's place in the session, which others may take."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._left = False
        self._changed = threading.Condition()
        self._end_sample = 0
        self._ended_at: float | None = None

    def continued(self, chunks: Iterable[AudioChunk]) -> Iterator[AudioChunk]:
        """Number the chunks of a stream on from where the one before it ended, behind a gap as long as it took, if it doesn't itself."""
        shift, lost = None, 0
        for chunk in chunks:
            if shift is None and self._ended_at is not None and chunk.start_sample < self._end_sample:
                lost = max(0, round((chunk.captured_at - self._ended_at) * SAMPLE_RATE_HZ))
                shift = self._end_sample + lost - chunk.start_sample
            placed = chunk
            if shift:
                placed = replace(
                    chunk,
                    start_sample=chunk.start_sample + shift,
                    lost_samples=chunk.lost_samples + lost,
                )
            shift, lost = shift or 0, 0
            self._end_sample = placed.start_sample + len(placed.samples)
            self._ended_at = placed.captured_at + len(placed.samples) / SAMPLE_RATE_HZ
            yield placed

    def exchange(self, source: Source) -> None:
        """Give the seat to another source."""
        with self._changed:
            before, self.source = self.source, source
            left = self._left
            self._changed.notify_all()
        before.close()
        if left:
            source.close()

    def leave(self) -> None:
        """Have nobody sit here any more."""
        with self._changed:
            self._left = True
            self._changed.notify_all()
        self.source.close()

    def wait(self, source: Source, seconds: float) -> None:
        """Sleep until this source no longer sits here, or the time is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._left or self.source is not source, None if seconds == math.inf else seconds
            )
