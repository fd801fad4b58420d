"""What the program and its PortAudio process say to each other: a byte for the kind, four for the length, and as many bytes.

Standard library only, as all that the process loads: it starts in half the time without numpy.
"""

import struct
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import IO, Self

_HEAD = struct.Struct("<BI")
_STAMP = struct.Struct("<dddd?I")


class Kind(IntEnum):
    """What a message is."""

    DEVICES = 1
    """From the process, first of all: the devices that can record, in JSON."""
    RECORD = 2
    """To the process: which one to record, and how, in JSON."""
    PLAY = 3
    """To the process: float32 samples at 16 kHz, mono."""
    OPENED = 4
    """From the process: how the device was opened, in JSON."""
    SOUND = 5
    """From the process: a `Stamp`, and a block of float32 frames."""
    FAILED = 6
    """From the process, last of all: what can't be done, and why, in JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """One of either side."""

    kind: Kind
    content: bytes

    def send(self, stream: IO[bytes]) -> None:
        """Write it, and flush."""
        stream.write(_HEAD.pack(self.kind, len(self.content)) + self.content)
        stream.flush()

    @classmethod
    def receive(cls, stream: IO[bytes]) -> Self | None:
        """Wait for the next one; None when the other side has ended, be it in the middle of a message."""
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        kind, length = _HEAD.unpack(head)
        content = stream.read(length)
        return cls(Kind(kind), content) if len(content) == length else None


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and how a block was captured.

    Attributes
    ----------
    captured, now : float
        Seconds of the driver's clock: of the block's first frame, and when it was delivered.
    elapsed : float
        When it was delivered, in seconds of the machine's clock that nobody sets and that goes on while it sleeps.
    wall : float
        When it was delivered, in Unix time.
    overflowed : bool
        Whether the driver lost sound before it.
    refused_frames : int
        Frames before it that were thrown away because nobody fetched them.
    """

    captured: float
    now: float
    elapsed: float
    wall: float
    overflowed: bool
    refused_frames: int

    def packed(self, frames: bytes) -> Message:
        """Make a message of it and the block."""
        return Message(Kind.SOUND, _STAMP.pack(*astuple(self)) + frames)

    @classmethod
    def unpacked(cls, content: bytes) -> tuple[Self, memoryview]:
        """Take the block's frames and its stamp apart."""
        return cls(*_STAMP.unpack_from(content)), memoryview(content)[_STAMP.size :]
