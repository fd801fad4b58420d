"""Publishers of what only counts while it is new: taggings and health."""

import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ...messages import Health, Tagging
from ...runtime.queues import BoundedQueue
from ..payloads import LabelSet, Payload, health_payload, tags_payload, to_json, top_tags
from .homeassistant import as_state
from .topics import FIGURES, NOISE_FIGURES, SOURCE_FIGURES, Topics
from .wire import Client


class GaugeOptions(Protocol):
    """Intervals of taggings."""

    @property
    def stale_seconds(self) -> float:
        """Maximum age of a tagging that waits for the broker."""

    @property
    def gauge_seconds(self) -> float:
        """Minimum time between two values of the level, or of the loudest label."""


class ChangeThrottle:
    """Limits published values to changes, and to one per interval and topic.

    Parameters
    ----------
    pause_seconds : float
        Minimum time between two values of one topic.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._published: dict[str, tuple[str, float]] = {}

    def due(self, topic: str, text: str) -> bool:
        """Return True if a value should be published now, and record it as published."""
        now = time.monotonic()
        last, at = self._published.get(topic, (None, -float("inf")))
        if text == last or now - at < self._pause_seconds:
            return False
        self._published[topic] = text, now
        return True

    def reset(self) -> None:
        """Publish each value once more, changed or not."""
        self._published.clear()


@dataclass(frozen=True, slots=True)
class _Waiting:
    tagging: Tagging
    since: float  # time.monotonic()


class TagPublisher:
    """Publishes the newest tagging of each source, its level and its loudest label."""

    def __init__(self, label_set: LabelSet, top: int, sources: int, options: GaugeOptions) -> None:
        self._label_set = label_set
        self.top = top
        self._stale_seconds = options.stale_seconds
        self._gauges = ChangeThrottle(options.gauge_seconds)
        self._queue: BoundedQueue[_Waiting] = BoundedQueue(capacity=max(1, sources))
        self._stale = 0

    @property
    def dropped(self) -> int:
        """Number of taggings that were replaced, or became stale, so far."""
        return self._queue.dropped + self._stale

    def put(self, tagging: Tagging) -> None:
        """Queue a tagging in place of an older one of the same source."""
        self._queue.put(_Waiting(tagging, time.monotonic()), key=tagging.source)

    def resize(self, sources: int) -> None:
        """Set the number of sources."""
        self._queue.resize(max(1, sources))

    def renew(self) -> None:
        """Publish levels and loudest labels once more, changed or not."""
        self._gauges.reset()

    async def publish(self, client: Client, catch_up: Callable[[Client], Awaitable[Topics]]) -> None:
        """Publish the taggings that wait, unless they are stale."""
        waiting = deque(self._queue.take(timeout_seconds=0))
        try:
            topics = await catch_up(client)  # this may be the first tagging of a new source
            while waiting:
                tagging = waiting[0].tagging
                late = time.monotonic() - waiting[0].since > self._stale_seconds
                if late or tagging.source not in topics.sources:
                    self._stale += 1
                else:
                    is_live = tagging.latency_seconds is not None
                    latency_seconds = max(0.0, time.time() - tagging.ended_at) if is_live else None
                    topic, top = topics.tags(tagging.source), self.top
                    text = to_json(tags_payload(tagging, self._label_set, top, latency_seconds))
                    while top > 1 and not client.limits.fits(topic, text):
                        top //= 2
                        text = to_json(tags_payload(tagging, self._label_set, top, latency_seconds))
                    await client.publish(topic, text)
                    await self._publish_gauges(client, topics, tagging)
                waiting.popleft()
        finally:
            self._stale += len(waiting)

    async def _publish_gauges(self, client: Client, topics: Topics, tagging: Tagging) -> None:
        """Publish the level in whole decibels and the loudest label, both retained because they may stay the same for long."""
        best = top_tags(tagging.scores, self._label_set, 1)
        values = {
            topics.loudest(tagging.source): as_state(tag.label) for tag in best if tag.score is not None
        }
        if math.isfinite(tagging.level_dbfs):
            values[topics.level(tagging.source)] = str(round(tagging.level_dbfs))
        for topic, text in values.items():
            if self._gauges.due(topic, text):
                await client.publish(topic, text, retain=True)


class HealthPublisher:
    """Publishes the newest health, and those of its figures that have changed."""

    def __init__(self) -> None:
        self._figures = ChangeThrottle(0.0)
        self._lock = threading.Lock()  # guards the attributes below
        self._health: Health | None = None
        self._is_new = False

    def put(self, health: Health) -> None:
        """Replace the health."""
        with self._lock:
            self._health, self._is_new = health, True

    def renew(self) -> None:
        """Publish the health and its figures once more, changed or not."""
        with self._lock:
            self._is_new = self._health is not None
        self._figures.reset()

    async def publish(self, client: Client, topics: Topics) -> None:
        """Publish the health, if it is new."""
        with self._lock:
            health = self._health if self._is_new else None
            self._is_new = False
        if health is None:
            return
        # It may be older than the connection; whoever reads it, the broker is connected.
        payload = health_payload(replace(health, broker="connected"))
        await client.publish(topics.health, to_json(payload), retain=True)
        values = {topics.figure(name): payload[name] for name in FIGURES}
        values |= {
            topics.source_figure(source, name): figures[name]
            for source, figures in payload["sources"].items()
            if source in topics.sources
            for name in SOURCE_FIGURES
        }
        texts = {topic: as_state(value) for topic, value in values.items() if value is not None}
        for topic, text in (texts | _noise_figures(payload["sources"], topics)).items():
            if self._figures.due(topic, text):
                await client.publish(topic, text, retain=True)
        for source in topics.noise:
            levels = payload["sources"].get(source, {}).get("noise")
            if levels is not None and self._figures.due(topics.noise_levels(source), to_json(levels)):
                await client.publish(topics.noise_levels(source), to_json(levels))


def _noise_figures(sources: Mapping[str, Payload], topics: Topics) -> dict[str, str]:
    """Return the figures of the noise of sources, by topic."""
    return {
        topics.noise_figure(source, name): as_state(levels[name])
        for source in topics.noise
        if (levels := sources.get(source, {}).get("noise")) is not None
        for name in NOISE_FIGURES
        if levels[name] is not None
    }
