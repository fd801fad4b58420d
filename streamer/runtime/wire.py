"""Messages between the program and its child processes: one byte for the kind, four for the length, then the content.

Standard library only: a child process that loads nothing else starts fast.
"""

import os
import signal
import struct
from dataclasses import dataclass
from typing import IO, Self

_HEAD = struct.Struct("<BI")
_MAX_BYTES = 1 << 28
"""Largest content of a message: the process at the other end may be damaged."""


@dataclass(frozen=True, slots=True)
class Message:
    """Message of either side.

    Attributes
    ----------
    kind : int
        Kind, by the protocol of the process.
    content : bytes
        Content, by its kind.
    """

    kind: int
    content: bytes

    def send(self, stream: IO[bytes]) -> None:
        """Write the message, and flush."""
        stream.write(_HEAD.pack(self.kind, len(self.content)) + self.content)
        stream.flush()

    @classmethod
    def receive(cls, stream: IO[bytes]) -> Self | None:
        """Wait for the next message; return None if the other side ends, also in the middle of a message."""
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        kind, length = _HEAD.unpack(head)
        if length > _MAX_BYTES:
            return None
        content = stream.read(length)
        return cls(kind, content) if len(content) == length else None


def begin_child() -> IO[bytes]:
    """Prepare a child process, and return the stream for its messages.

    It ignores the signals that the program handles, and what libraries print goes to standard error.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output
