"""Where results go."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..messages import Message


class Sink(Protocol):
    """Receives every message, in order, on the threads that make them."""

    def accept(self, message: Message) -> None:
        """Take a message and return at once; what the sink does not know, it ignores."""
        ...


@runtime_checkable
class RankingSink(Protocol):
    """A sink that names the best few tags of a tagging.

    Attributes
    ----------
    top : int
        How many; it can be changed at any time.
    """

    top: int


@runtime_checkable
class RosterSink(Protocol):
    """A sink that knows the sources by name. What comes from others, it ignores or bears."""

    def follow(self, sources: Sequence[str]) -> None:
        """Take that these are the sources from now on, in this order; from any thread, at once."""
        ...
