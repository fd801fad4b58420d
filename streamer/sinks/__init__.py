"""Where results go."""

from typing import Protocol

from ..messages import Message


class Sink(Protocol):
    """Receives every message, in order, on the threads that make them."""

    def accept(self, message: Message) -> None:
        """Take a message and return at once; what the sink does not know, it ignores."""
        ...
