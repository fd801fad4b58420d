"""The tagger's thread: from the windows of all channels to taggings, events and news, in order."""

import time
from collections.abc import Callable, Iterable, Sequence

from ..health import HealthMeter
from ..messages import Event, Message, SourceStatus, Tagging, Window
from ..runtime.queues import BoundedQueue
from ..stream.scoring import Scorer, score, tagging_of
from .channel import Channel, Post


class Tagger:
    """Tagger of all channels: scores the windows that wait as one batch, and publishes the results in the queue's order.

    Parameters
    ----------
    queue : BoundedQueue of Post
        Posts of all channels.
    scorer : callable
        Samples float32 (batch, n) -> scores float32 (batch, classes).
    publish : callable
        Receives each message.
    on_end : callable
        Receives each channel from which nothing more comes.
    meter : HealthMeter
        Counts taggings.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self,
        queue: BoundedQueue[Post],
        scorer: Scorer,
        *,
        publish: Callable[[Message], None],
        on_end: Callable[[Channel], None],
        meter: HealthMeter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._scorer = scorer
        self._publish = publish
        self._on_end = on_end
        self._meter = meter
        self._clock = clock
        self._busy_since: float | None = None

    @property
    def busy_seconds(self) -> float:
        """Duration of the present batch; 0 while the tagger waits."""
        since = self._busy_since
        return 0.0 if since is None else time.perf_counter() - since

    def run(self) -> None:
        """Publish until the queue is closed and empty."""
        try:
            while posts := self._queue.take():
                self._busy_since = time.perf_counter()
                self._handle(posts)
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

    def _handle(self, posts: Sequence[Post]) -> None:
        taggings = self._tag(posts)
        for post in posts:
            match post.content:
                case Window() as window:
                    self._publish_tagging(post, taggings[window])
                case SourceStatus() as status:
                    self._publish_status(post.channel, status)
                case None:
                    self._on_end(post.channel)

    def _tag(self, posts: Sequence[Post]) -> dict[Window, Tagging]:
        """Score all windows, as one batch."""
        began = time.perf_counter()
        channels = {post.content: post.channel for post in posts if isinstance(post.content, Window)}
        taggings = {}
        for window, scores in score(self._scorer, list(channels)):
            live = channels[window].source.live
            latency_seconds = max(0.0, self._clock() - window.ended_at) if live else None
            taggings[window] = tagging_of(window, scores, latency_seconds)
            channels[window].meter.add_tagged()
        self._meter.tagged(list(taggings.values()), time.perf_counter() - began)
        return taggings

    def _publish_tagging(self, post: Post, tagging: Tagging) -> None:
        channel = post.channel
        if channel.status is None or not channel.status.online:  # that post has moved behind this one
            self._publish_status(channel, SourceStatus(channel.name, online=True))
        if channel.stretch != post.stretch:
            channel.stretch = post.stretch
            self._close_events(channel)
        if (clips := channel.clips) is not None:
            clips.observe(tagging)
        self._publish(tagging)
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
        self._publish_events(channel, channel.detector.close())
        if (clips := channel.clips) is not None:
            clips.discard(channel.name)

    def _publish_events(self, channel: Channel, events: Iterable[Event]) -> None:
        clips = channel.clips
        for event in events:
            self._publish(event if clips is None else clips.record(event))
