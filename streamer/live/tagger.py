"""The tagger's thread: from the windows of all channels to taggings, events and news, in order."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..events.catalogue import WatchedSound
from ..health import HealthMeter
from ..messages import Event, Message, NoiseLevels, SourceStatus, Tagging, Window
from ..runtime.queues import BoundedQueue
from ..stream.scoring import Scorer, Traffic, answer_seconds, score_raw, tagging_of, traffic_of
from .backlog import Backlogs
from .channel import Channel, Post

_POLL_SECONDS = 0.05
"""Time between two looks for the first model."""


@dataclass(frozen=True, slots=True, eq=False)
class Replacement:
    """A model that takes the place of another one between two batches.

    Attributes
    ----------
    scorer : callable, optional
        Samples float32 (batch, n) -> scores float32 (batch, classes); None if the present one has changed its model.
    window_samples : int
        Length of its windows.
    model, device : str
        Name of the model, and the device it runs on, for people.
    sounds_of : callable
        Returns the sounds to detect at a source, by its name, with the thresholds of this model.
    on_use : callable
        Called on the tagger's thread, before the first batch.
    """

    scorer: Scorer | None
    window_samples: int
    model: str
    device: str
    sounds_of: Callable[[str], Sequence[WatchedSound]]
    on_use: Callable[[], None] = lambda: None


class Tagger:
    """Tagger of all channels: scores the windows that wait as one batch, and publishes the results in the queue's order.

    Without a model, the newest window of each channel waits for one, and so does what follows that window.

    Parameters
    ----------
    queue : BoundedQueue of Post
        Posts of all channels.
    scorer : callable, optional
        Samples float32 (batch, n) -> scores float32 (batch, classes); None if the model is still loading.
    publish : callable
        Receives each message.
    publish_noise : callable
        Receives the noise of each minute.
    on_end : callable
        Receives each channel from which nothing more comes.
    meter : HealthMeter
        Counts taggings.
    in_time : bool
        True if a scorer on other machines has to answer before the next window is due, as where sound is live.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self,
        queue: BoundedQueue[Post],
        scorer: Scorer | None,
        *,
        publish: Callable[[Message], None],
        publish_noise: Callable[[NoiseLevels], None],
        on_end: Callable[[Channel], None],
        meter: HealthMeter,
        in_time: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._scorer = scorer
        self._publish, self._publish_noise = publish, publish_noise
        self._on_end = on_end
        self._meter, self._in_time = meter, in_time
        self._clock = clock
        self._busy_since: float | None = None
        self._next: tuple[Replacement, Callable[[], Iterable[Channel]]] | None = None
        self._longest_samples: int | None = None
        self._held: list[Post] = []
        self._backlogs = Backlogs()

    @property
    def busy_seconds(self) -> float:
        """Duration of the present batch; 0 while the tagger waits."""
        since = self._busy_since
        return 0.0 if since is None else time.perf_counter() - since

    @property
    def awaits_model(self) -> bool:
        """True until there is a model to tag with."""
        return self._scorer is None

    @property
    def traffic(self) -> Traffic | None:
        """Figures of the requests to other machines that have the model; None if it is on this one."""
        return traffic_of(self._scorer)

    def replace(self, replacement: Replacement, channels: Callable[[], Iterable[Channel]]) -> None:
        """Tag with another model from the next batch on; from any thread, at once.

        Parameters
        ----------
        replacement : Replacement
            The model.
        channels : callable
            Returns the channels, whose windows and sounds change with the model.
        """
        self._next = replacement, channels

    def run(self) -> None:
        """Publish until the queue is closed and empty."""
        try:
            while True:
                posts = self._queue.take(_POLL_SECONDS if self._scorer is None else None)
                if not posts and self._queue.closed:
                    return
                self._busy_since = time.perf_counter()
                self._use_next()
                self._handle(self._ready(posts))
                self._busy_since = None
        finally:
            self._queue.close()  # a reader that waits for room does not wait for a tagger that failed

    def stop(self, channel: Channel) -> None:
        """End the events of a channel whose reader did not; report it as offline."""
        reason = "listening was stopped"
        if channel.status is not None and channel.status.online:
            self._publish_status(channel, SourceStatus(channel.name, online=False, reason=reason))
        else:
            self._close_events(channel)

    def _use_next(self) -> None:
        """Change over to the model that was given last, if there is one."""
        if self._next is None:
            return
        (new, channels), self._next = self._next, None
        self._scorer, self._longest_samples = new.scorer or self._scorer, new.window_samples
        self._meter.set_model(new.model, new.device)
        for channel in channels():
            channel.window_samples = new.window_samples
            channel.sounds = tuple(new.sounds_of(channel.name))
        new.on_use()

    def _ready(self, posts: Sequence[Post]) -> list[Post]:
        """Return the posts that can be handled now; without a model, those behind a window wait with it."""
        if self._scorer is not None:
            held, self._held = self._held, []
            return [*held, *posts]
        return _hold(self._held, posts)

    def _handle(self, posts: Sequence[Post]) -> None:
        for batch in _early_first(posts):
            self._handle_batch(batch)
        if self._scorer is not None and self.traffic is not None:
            self._backlogs.catch_up(self._scorer, self._publish)

    def _handle_batch(self, posts: Sequence[Post]) -> None:
        taggings = self._tag(posts)
        for post in posts:
            match post.content:
                case Window() as window:
                    if window in taggings:
                        self._publish_tagging(post, taggings[window])
                    elif not window.is_fast:
                        self._publish_events(post.channel, post.channel.late_ends.tagged(window.end_sample))
                case SourceStatus() as status:
                    self._publish_status(post.channel, status)
                case NoiseLevels() as levels:
                    self._publish_noise(levels)
                case Event() as event:
                    clips, ends = post.channel.clips, post.channel.late_ends
                    waits = self._scorer is not None and clips is not None and clips.has(event.source)
                    self._publish_events(post.channel, ends.add(event) if waits else [event])
                case None:
                    self._on_end(post.channel)

    def _tag(self, posts: Sequence[Post]) -> dict[Window, Tagging]:
        """Score all windows, as one batch; one without an answer has no tagging."""
        began = time.perf_counter()
        channels = {post.content: post.channel for post in posts if isinstance(post.content, Window)}
        taggings: dict[Window, Tagging] = {}
        if self._scorer is None or not channels:
            return taggings
        given = {_cut(window, self._longest_samples): window for window in channels}
        hops = {channel.hop_samples for channel in channels.values()}
        seconds = answer_seconds(hops) if self._in_time else None
        for fitting, scores, raw in score_raw(self._scorer, list(given), seconds):
            window = given[fitting]
            live = channels[window].source.live
            latency_seconds = max(0.0, self._clock() - window.ended_at) if live else None
            taggings[window] = tagging_of(fitting, scores, latency_seconds, raw)
            channels[window].meter.add_tagged(is_fast=window.is_fast)
        for window in channels.keys() - taggings.keys():
            channels[window].meter.add_unanswered(is_fast=window.is_fast)
        if self.traffic is not None:
            self._backlogs.after_batch(channels, taggings)
        self._meter.tagged(list(taggings.values()), time.perf_counter() - began)
        return taggings

    def _publish_tagging(self, post: Post, tagging: Tagging) -> None:
        channel = post.channel
        if channel.status is None or not channel.status.online:  # that post has moved behind this one
            self._publish_status(channel, SourceStatus(channel.name, online=True))
        if channel.stretch != post.stretch:
            channel.stretch = post.stretch
            self._close_events(channel)
        if not tagging.is_fast:
            if (clips := channel.clips) is not None:
                clips.observe(tagging)
            self._publish(tagging)
            self._publish_events(channel, channel.late_ends.tagged(tagging.end_sample))
        ended = channel.detector.watch(channel.sounds)
        self._publish_events(channel, [*ended, *channel.detector.feed(tagging)])

    def _publish_status(self, channel: Channel, status: SourceStatus) -> None:
        """Publish a status if it is news; a channel that is offline has no events."""
        if not status.online:
            self._close_events(channel)
        if status != channel.status:
            channel.status = status
            self._publish(status)

    def _close_events(self, channel: Channel) -> None:
        self._publish_events(channel, [*channel.detector.close(), *channel.late_ends.close()])
        if (clips := channel.clips) is not None:
            clips.discard(channel.name)

    def _publish_events(self, channel: Channel, events: Iterable[Event]) -> None:
        clips = channel.clips
        for event in events:
            self._backlogs.note(channel, event)
            self._publish(event if clips is None else clips.record(event))


def _hold(held: list[Post], posts: Sequence[Post]) -> list[Post]:
    """Hold the newest window of each channel, and what comes behind it; return the other posts."""
    ready = []
    for post in posts:
        behind = [other for other in held if other.channel is post.channel]
        if isinstance(post.content, Window) and post.content.is_fast:
            continue  # it would be late
        if isinstance(post.content, Window):
            for other in behind:
                if isinstance(other.content, Window) and other.stretch == post.stretch:
                    held.remove(other)
                    post.channel.meter.add_unheard()
            held.append(post)
        elif behind and not isinstance(post.content, (NoiseLevels, Event)):
            held.append(post)
        else:
            ready.append(post)
    return ready


def _early_first(posts: Sequence[Post]) -> tuple[list[Post], list[Post]]:
    """Return the fast windows that come first in their channels, which take less time, and all other posts."""
    early: list[Post] = []
    others: list[Post] = []
    behind: set[Channel] = set()
    for post in posts:
        if isinstance(post.content, Window) and post.content.is_fast and post.channel not in behind:
            early.append(post)
        else:
            behind.add(post.channel)
            others.append(post)
    return early, others


def _cut(window: Window, longest_samples: int | None) -> Window:
    """Return the newest part of a window that is longer than those of the model."""
    excess = 0 if longest_samples is None else len(window.samples) - longest_samples
    if excess <= 0:
        return window
    return replace(window, samples=window.samples[excess:], start_sample=window.start_sample + excess)
