"""Protocol between the program and its PortAudio process.

Standard library only, like everything the process loads: without numpy it starts in half the time.
"""

import struct
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import Self

from ...runtime.wire import Message

_STAMP = struct.Struct("<dddd?I")


class Kind(IntEnum):
    """Kind of a message."""

    DEVICES = 1
    """First message of the process: the recording devices, as JSON."""
    RECORD = 2
    """To the process: the device to record and its format, as JSON."""
    PLAY = 3
    """To the process: float32 samples to play, 16 kHz mono."""
    OPENED = 4
    """Message of the process: the format of the opened device, as JSON."""
    SOUND = 5
    """Message of the process: a `Stamp`, and a block of float32 frames."""
    FAILED = 6
    """Last message of the process: the failed operation and the reason, as JSON."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Times of a block, and losses before it.

    Attributes
    ----------
    captured, now : float
        Capture of the first frame and delivery of the block, in seconds of the driver's clock.
    elapsed : float
        Delivery, in seconds of a clock that is never set and goes on while the machine sleeps.
    wall : float
        Delivery, in Unix time.
    overflowed : bool
        True if the driver lost audio before the block.
    refused_frames : int
        Frames dropped before the block because the queue was full.
    """

    captured: float
    now: float
    elapsed: float
    wall: float
    overflowed: bool
    refused_frames: int

    def packed(self, frames: bytes) -> Message:
        """Return a message with the stamp and the frames."""
        return Message(Kind.SOUND, _STAMP.pack(*astuple(self)) + frames)

    @classmethod
    def unpacked(cls, content: bytes) -> tuple[Self, memoryview]:
        """Return the stamp and the frames of a message's content."""
        return cls(*_STAMP.unpack_from(content)), memoryview(content)[_STAMP.size :]
