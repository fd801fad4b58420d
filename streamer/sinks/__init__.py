"""Destinations of results: MQTT, the history, clips, the terminal, metrics and logs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Protocol, runtime_checkable

from ..messages import Losses, Message, NoiseLevels


class Sink(Protocol):
    """Receiver of every message, in order, on the threads that make them."""

    def accept(self, message: Message) -> None:
        """Process a message and return at once; ignore messages of an unknown kind."""
        ...


@runtime_checkable
class RankingSink(Protocol):
    """A sink that names the best few tags of a tagging.

    Attributes
    ----------
    top : int
        Number of tags; it can change at any time.
    """

    top: int


@runtime_checkable
class SourceListSink(Protocol):
    """A sink that knows the sources by name, and ignores or tolerates messages of others."""

    def set_sources(self, sources: Sequence[str]) -> None:
        """Replace the list of sources, in this order; from any thread, at once."""
        ...


@runtime_checkable
class WatchedSink(Protocol):
    """A sink that shows which sounds are watched at each source."""

    def renew_sources(self) -> None:
        """Show the watched sounds of all sources once more; from any thread, at once."""
        ...


@runtime_checkable
class NoiseSink(Protocol):
    """A sink that gets the noise of every minute; `Health` has the last one of each source."""

    def accept_noise(self, levels: NoiseLevels) -> None:
        """Process the noise of a minute and return at once."""
        ...


@runtime_checkable
class NoiseUnitSink(Protocol):
    """A sink that announces the noise of the sources."""

    def set_noise_units(self, units: Mapping[str, str]) -> None:
        """Set the unit of the noise levels of each source; those whose noise is not measured are left out."""
        ...


@runtime_checkable
class LossySink(Protocol):
    """A sink that counts the results it could not deliver or store."""

    def losses(self) -> Losses:
        """Return the losses so far; from any thread, at once."""
        ...


def total_losses(sinks: Iterable[Sink]) -> Losses:
    """Add up the losses of all sinks that count them."""
    counted = [sink.losses() for sink in sinks if isinstance(sink, LossySink)]
    return Losses(
        **{field.name: sum(getattr(losses, field.name) for losses in counted) for field in fields(Losses)}
    )
