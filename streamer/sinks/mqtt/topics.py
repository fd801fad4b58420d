"""Where everything is published: the one place that writes topics."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeGuard

from ...text import slug, slugs

FIGURES = (
    "model",
    "latency_p50_seconds",
    "latency_p95_seconds",
    "real_time_factor",
    "dropped_windows",
)
"""Attributes of `Health` that have a topic of their own."""

SOURCE_FIGURES = ("problem", "state", "lost_seconds", "drift_ppm")
"""Keys of a source's health payload that have a topic of their own."""

_KEPT = rf"status|listen|loudest|level|health/({'|'.join(SOURCE_FIGURES)})|sound/[a-z0-9_]+"

NOTHING_WATCHED: Mapping[str, Sequence[str]] = MappingProxyType({})


class Topics:
    """The topics of one node.

    Parameters
    ----------
    base : str
        What all of them begin with.
    sources : iterable of str
        Names of the sources, each of which has a level of its own.
    watched : mapping of str to sequence of str
        By source, the names of the sounds that have a topic of their own.
    """

    def __init__(
        self,
        base: str,
        sources: Iterable[str],
        watched: Mapping[str, Sequence[str]] = NOTHING_WATCHED,
    ) -> None:
        self._base = base
        self._parts = slugs(sources)
        self._kept = re.compile(rf"{re.escape(base)}/[a-z0-9_]+/({_KEPT})")
        self._sounds: dict[tuple[str, str | None], str] = {
            (source, sound): f"{self.sound_folder(source)}/{part}"
            for source in self._parts
            for sound, part in slugs(watched.get(source, ())).items()
        }

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources."""
        return tuple(self._parts)

    @property
    def status(self) -> str:
        """Whether the program is online."""
        return f"{self._base}/status"

    @property
    def health(self) -> str:
        """How the program is doing."""
        return f"{self._base}/health"

    def figure(self, name: str) -> str:
        """One figure of the health."""
        return f"{self.health}/{name}"

    def source_figure(self, source: str, name: str) -> str:
        """One figure of the health of a source."""
        return f"{self._of(source)}/health/{name}"

    def part(self, source: str) -> str:
        """Name a source within a topic."""
        return self._parts.get(source) or slug(source)

    def source_status(self, source: str) -> str:
        """Whether a source is online."""
        return f"{self._of(source)}/status"

    def tags(self, source: str) -> str:
        """What is heard, window by window."""
        return f"{self._of(source)}/tags"

    def loudest(self, source: str) -> str:
        """Which label scores highest."""
        return f"{self._of(source)}/loudest"

    def level(self, source: str) -> str:
        """How loud it is."""
        return f"{self._of(source)}/level"

    def events(self, source: str) -> str:
        """What has begun and ended; also of a source that is not listened to any more."""
        return f"{self._of(source)}/events"

    def sound_folder(self, source: str) -> str:
        """What the topics of a source's watched sounds begin with."""
        return f"{self._of(source)}/sound"

    def sound(self, source: str, sound: str) -> str | None:
        """Whether a watched sound is on; None for one that is not watched."""
        return self._sounds.get((source, sound))

    def states(self) -> dict[tuple[str, str | None], str]:
        """Return the topics of states: by source and watched sound, and by source and None whether it is online."""
        return {(source, None): self.source_status(source) for source in self._parts} | self._sounds

    def retained(self) -> set[str]:
        """Return all topics on which the broker keeps something of a source."""
        return {
            topic
            for source in self._parts
            for topic in (
                self.listen(source),
                self.loudest(source),
                self.level(source),
                *(self.source_figure(source, name) for name in SOURCE_FIGURES),
            )
        } | set(self.states().values())

    def is_state(self, topic: object) -> TypeGuard[str]:
        """Whether the broker may keep something of a source there, be it one of this run or of an earlier one."""
        return isinstance(topic, str) and self._kept.fullmatch(topic) is not None

    def listen(self, source: str) -> str:
        """Whether a source is listened to."""
        return f"{self._of(source)}/listen"

    def listen_set(self, source: str) -> str:
        """Where the switch of a source is turned."""
        return f"{self.listen(source)}/set"

    def _of(self, source: str) -> str:
        return f"{self._base}/{self.part(source)}"
