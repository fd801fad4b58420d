"""Topics of a node: the only place that writes them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeGuard

from ...text import slugs

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

NOISE_FIGURES = ("leq", "lmax", "l10", "l90")
"""Keys of the payload of a source's noise that have a topic of their own."""

NOTHING_WATCHED: Mapping[str, Sequence[str]] = MappingProxyType({})

NO_NOISE: Mapping[str, str] = MappingProxyType({})

_RETAINED = rf"status|listen|loudest|level|noise/({'|'.join(NOISE_FIGURES)})|health/({'|'.join(SOURCE_FIGURES)})|(sound|quiet)/[a-z0-9_]+"


class Topics:
    """Topics of the sources and watched sounds of one node at one moment.

    Parameters
    ----------
    base : str
        Prefix of all topics.
    sources : iterable of str
        Names of the sources.
    watched : mapping of str to sequence of str
        Names of the sounds that have a topic of their own, by source.
    has_switches : bool
        True if sources can be paused.
    has_quiet : bool
        True if the quiet hours of sounds can be changed.
    parts : mapping of str to str or None
        Name of each source within topics, in order; made from the sources if None.
    noise : mapping of str to str
        Unit of the noise levels of each source, "dBA" or "dBFS"; those whose noise is not measured are left out.
    part_of : callable or None
        Function that returns the name of any other source within topics; made from the name of that source if None.
    """

    def __init__(
        self,
        base: str,
        sources: Iterable[str],
        watched: Mapping[str, Sequence[str]] = NOTHING_WATCHED,
        *,
        has_switches: bool = False,
        has_quiet: bool = False,
        parts: Mapping[str, str] | None = None,
        noise: Mapping[str, str] = NO_NOISE,
        part_of: Callable[[str], str] | None = None,
    ) -> None:
        self._base = base
        self._parts = slugs(sources) if parts is None else dict(parts)
        self._part_of = part_of or (lambda source: slugs([source], self._parts)[source])
        self._retained = re.compile(rf"{re.escape(base)}/[a-z0-9_]+/({_RETAINED})")
        self.watched: Mapping[str, Sequence[str]] = {
            source: tuple(watched.get(source, ())) for source in self._parts
        }
        """Names of the sounds that have a topic of their own, by source; every source is included."""
        self._sounds: dict[tuple[str, str | None], str] = {
            (source, sound): f"{self.sound_folder(source)}/{part}"
            for source, sounds in self.watched.items()
            for sound, part in slugs(sounds).items()
        }
        self.noise: Mapping[str, str] = {source: noise[source] for source in self._parts if noise.get(source)}
        """Unit of the noise levels, by source; those whose noise is not measured are left out."""
        self.has_switches = has_switches
        """True if sources can be paused."""
        self.switches: Mapping[str, str] = {
            self.listen_set(source): source for source in (self._parts if has_switches else ())
        }
        """Source of each switch, by the topic that turns it."""
        self.quiet: Mapping[tuple[str, str], str] = {
            (source, sound): f"{self.quiet_folder(source)}/{part}"
            for source, sounds in (self.watched.items() if has_quiet else ())
            for sound, part in slugs(sounds).items()
        }
        """Topic of the quiet hours of each watched sound, by source and sound."""
        self.quiet_sets: Mapping[str, tuple[str, str]] = {
            f"{topic}/set": key for key, topic in self.quiet.items()
        }
        """Source and sound of quiet hours, by the topic that changes them."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return tuple(self._parts)

    @property
    def status(self) -> str:
        """Topic of the program's status."""
        return f"{self._base}/status"

    @property
    def instance(self) -> str:
        """Topic on which each program with this base topic names itself."""
        return f"{self._base}/instance"

    @property
    def health(self) -> str:
        """Topic of the health."""
        return f"{self._base}/health"

    def figure(self, name: str) -> str:
        """Return the topic of one figure of the health."""
        return f"{self.health}/{name}"

    def source_figure(self, source: str, name: str) -> str:
        """Return the topic of one figure of a source's health."""
        return f"{self._of(source)}/health/{name}"

    def part(self, source: str) -> str:
        """Return the name of a source within topics; that of a removed one is never that of another."""
        return self._parts.get(source) or self._part_of(source)

    def source_status(self, source: str) -> str:
        """Return the topic of a source's status."""
        return f"{self._of(source)}/status"

    def tags(self, source: str) -> str:
        """Return the topic of a source's tags."""
        return f"{self._of(source)}/tags"

    def loudest(self, source: str) -> str:
        """Return the topic of the label with the highest score."""
        return f"{self._of(source)}/loudest"

    def level(self, source: str) -> str:
        """Return the topic of a source's level."""
        return f"{self._of(source)}/level"

    def noise_levels(self, source: str) -> str:
        """Return the topic of a source's noise, which is not retained."""
        return f"{self._of(source)}/noise"

    def noise_figure(self, source: str, name: str) -> str:
        """Return the topic of one figure of a source's noise."""
        return f"{self.noise_levels(source)}/{name}"

    def events(self, source: str) -> str:
        """Return the topic of a source's events; also of a source that was removed."""
        return f"{self._of(source)}/events"

    def sound_folder(self, source: str) -> str:
        """Return the prefix of the topics of a source's watched sounds."""
        return f"{self._of(source)}/sound"

    def quiet_folder(self, source: str) -> str:
        """Return the prefix of the topics of the quiet hours of a source's watched sounds."""
        return f"{self._of(source)}/quiet"

    def quiet_filter(self, source: str) -> str:
        """Return the topic filter of commands that change quiet hours of a source."""
        return f"{self.quiet_folder(source)}/+/set"

    def sound(self, source: str, sound: str) -> str | None:
        """Return the topic of a watched sound; None for one that is not watched."""
        return self._sounds.get((source, sound))

    def states(self) -> dict[tuple[str, str | None], str]:
        """Return the topics of states: of sounds by source and sound, of statuses by source and None."""
        return {(source, None): self.source_status(source) for source in self._parts} | self._sounds

    def retained(self) -> set[str]:
        """Return all retained topics of the sources."""
        return {
            topic
            for source in self._parts
            for topic in (
                self.listen(source),
                self.loudest(source),
                self.level(source),
                *(self.source_figure(source, name) for name in SOURCE_FIGURES),
            )
        }.union(self.states().values(), self.quiet.values(), self._noise_topics())

    def is_state(self, topic: object) -> TypeGuard[str]:
        """Return True for a retained topic of any source, of this run or an earlier one."""
        return isinstance(topic, str) and self._retained.fullmatch(topic) is not None

    def listen(self, source: str) -> str:
        """Return the topic of the state of a source's switch."""
        return f"{self._of(source)}/listen"

    def listen_set(self, source: str) -> str:
        """Return the topic that turns a source's switch."""
        return f"{self.listen(source)}/set"

    def _noise_topics(self) -> list[str]:
        return [self.noise_figure(source, name) for source in self.noise for name in NOISE_FIGURES]

    def _of(self, source: str) -> str:
        return f"{self._base}/{self.part(source)}"
