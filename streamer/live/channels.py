"""The channels of a session: they come, go and change while it runs."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..errors import EndingError, SourceError
from ..events.catalogue import WatchedSound
from ..health import HealthMeter
from ..messages import Health
from ..runtime.queues import BoundedQueue
from ..runtime.threads import ThreadGroup
from ..sinks.clips.recorder import Clips
from ..sources import Source
from .channel import Channel, ChunkTap, Input, Mode, Post, State
from .switches import Switches

_WAITING_PER_CHANNEL = 4
"""Windows that may wait for the tagger in a fast session."""


@dataclass(slots=True)
class SharedParts:
    """Parts of a session that all its channels share.

    Attributes
    ----------
    mode : Mode
        Settings of new channels.
    queue : BoundedQueue of Post
        Queue of the tagger.
    meter : HealthMeter
        Figures of the program.
    switches : Switches
        Sources whose sound is discarded.
    taps : sequence of callable
        Receive every chunk.
    announce : callable
        Receives the names of the sources each time they change, in order; those that are still ending come last.
    """

    mode: Mode
    queue: BoundedQueue[Post]
    meter: HealthMeter
    switches: Switches
    taps: Sequence[ChunkTap]
    announce: Callable[[Sequence[str]], None]

    def channel(self, given: Input, clips: Clips | None) -> Channel:
        """Return a new channel of a source."""
        return Channel(
            given,
            self.mode,
            self.queue,
            meter=self.meter.source(given.source.name),
            switches=self.switches,
            taps=self.taps,
            clips=clips,
        )


class ChannelSet:
    """The channels of a session, in order. Any thread may read them; changes hold one lock.

    A channel that was removed stays until the tagger has reached its end, so that its name is taken until then.

    Parameters
    ----------
    inputs : sequence of Input
        Sources with different names.
    shared : SharedParts
        Parts that all channels share.
    clips : Clips, optional
        Keeps the sound of events.
    """

    def __init__(self, inputs: Sequence[Input], shared: SharedParts, clips: Clips | None) -> None:
        self._shared = shared
        self._clips = clips
        self._threads: ThreadGroup | None = None
        self._lock = threading.Lock()
        self._channels = {given.source.name: shared.channel(given, clips) for given in inputs}
        self._resize()

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    @property
    def clips(self) -> Clips | None:
        """Clips of the sources, if any are kept."""
        return self._clips

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sources, without those that were removed."""
        return tuple(channel.name for channel in self if channel.state is not State.REMOVED)

    def start(self, threads: ThreadGroup) -> None:
        """Start a reader for each channel."""
        with self._lock:
            self._threads = threads
            for channel in self:
                if channel.state is State.IDLE:
                    self._start_reader(threads, channel)

    def stop(self) -> None:
        """Make all readers end at once: there is little time to wait for one after the other."""
        with self._lock:
            for channel in self:
                channel.leave(State.STOPPED)

    def end(self, channel: Channel) -> bool:
        """Note that nothing more comes from a channel; return True if that ends the session. The tagger's thread calls this."""
        with self._lock:
            if channel.state is State.REMOVED and self._channels.get(channel.name) is channel:
                self._channels = {
                    name: other for name, other in self._channels.items() if other is not channel
                }
                self._shared.meter.add_removed(channel.health)
                if self._clips is not None:
                    self._clips.remove(channel.name)
                self._resize()
                self._shared.announce(tuple(self._channels))
            is_over = all(other.has_ended for other in self)
            if is_over:
                self._shared.queue.close()
            return is_over

    def health(self, *, broker: str) -> Health:
        """Return the health of the program; `broker` is the state of the connection to the broker."""
        with self._lock:
            return self._shared.meter.report([channel.health for channel in self], broker=broker)

    def listens_to(self, source: Source) -> bool:
        """Return True if this is the source that is read under its name."""
        channel = self._channels.get(source.name)
        return channel is not None and channel.source is source

    def exchange(self, name: str, source: Source) -> None:
        """Read another source under a name from now on, also where the one before it has ended. Other channels don't notice.

        Raises
        ------
        SourceError
            No source has this name any more.
        """
        with self._lock:
            channel = self._channels.get(name)
            if channel is None or channel.state is State.REMOVED:
                raise SourceError(f"'{name}' was removed; choose another source")
            if channel.exchange(source) and self._threads is not None and not self._shared.queue.closed:
                self._start_reader(self._threads, channel)

    def check(self, newcomers: Iterable[str]) -> None:
        """Check that sources with these names can be added.

        Raises
        ------
        EndingError
            The source that had the name is still shutting down.
        SourceError
            A name is taken, or listening is over.
        """
        for name in newcomers:
            channel = self._channels.get(name)
            if channel is not None and channel.state is State.REMOVED:
                raise EndingError(f"'{name}' is still shutting down; try again")
            if channel is not None:
                raise SourceError(f"there is already a source called '{name}'; choose another name")
            if self._shared.queue.closed or any(other.state is State.STOPPED for other in self):
                raise SourceError(f"'{name}' can't be added: listening is over")

    def rearrange(self, names: Sequence[str], newcomers: Sequence[Input] = ()) -> None:
        """Listen to the sources with these names from now on, and return at once. Those that stay don't notice.

        The others end as if they went offline. New sources start once those have released their devices, or after a short time.
        The session is over when no source is left.

        Parameters
        ----------
        names : sequence of str
            Names of all sources, in their new order.
        newcomers : sequence of Input
            Sources that are new.

        Raises
        ------
        SourceError
            As for `check`; nothing changes.
        """
        with self._lock:
            self.check(given.source.name for given in newcomers)
            added = {given.source.name: self._shared.channel(given, self._clips) for given in newcomers}
            removed = [channel for channel in self if channel.name not in names]
            known = self._channels | added
            self._channels = {name: known[name] for name in names} | {
                channel.name: channel for channel in removed
            }
            if self._clips is not None:
                for given in newcomers:
                    if given.clipped:
                        self._clips.add(given.source.name)
            for channel in removed:
                channel.leave(State.REMOVED)
            self._shared.switches.log(added)
            self._resize()
            self._shared.announce(tuple(self._channels))
            if self._threads is not None:
                for channel in added.values():
                    self._start_reader(self._threads, channel, after=removed)

    def set_hops(self, hop_samples: Mapping[str, int]) -> None:
        """Use these hops from the next chunk of each source on."""
        with self._lock:
            for channel in self:
                channel.hop_samples = hop_samples.get(channel.name, channel.hop_samples)
            self._resize()

    def set_noise_offsets(self, offsets_db: Mapping[str, float | None]) -> None:
        """Use these offsets from the next chunk of each source on."""
        for channel in self:
            channel.noise.offset_db = offsets_db.get(channel.name, channel.noise.offset_db)

    def set_fast_window(self, fast_window_samples: int | None) -> None:
        """Cut fast windows of this length from the next chunk of each source on; none without a length."""
        with self._lock:
            self._shared.mode = replace(self._shared.mode, fast_window_samples=fast_window_samples)
            for channel in self:
                channel.fast_window_samples = fast_window_samples
            self._resize()

    def watch(self, source: str, sounds: Sequence[WatchedSound]) -> None:
        """Detect these sounds at a source from its next tagging on."""
        if (channel := self._channels.get(source)) is not None:
            channel.sounds = tuple(sounds)

    def keep_clips(self, clips: Clips | None) -> None:
        """Keep the sound of events with these clips from now on, or not at all."""
        with self._lock:
            self._clips = clips
            for channel in self:
                channel.clips = clips

    def _start_reader(self, threads: ThreadGroup, channel: Channel, after: Sequence[Channel] = ()) -> None:
        """Start a reader, which waits a short time for the end of other channels."""

        def is_free() -> bool:
            return not any(self._channels.get(other.name) is other for other in after)

        channel.start()
        threads.start(f"reader {channel.name}", partial(channel.run, is_free), self.stop)

    def _resize(self) -> None:
        """Adapt the queue and the meter to the channels."""
        self._shared.queue.resize(_WAITING_PER_CHANNEL * len(self._channels))
        present = [channel.lengths for channel in self if channel.state is not State.REMOVED]
        self._shared.meter.set_rate(sum(lengths.windows_per_second for lengths in present))
