"""Protocol between the program and its FFmpeg process. Messages have the form of `streamer.runtime.wire`."""

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Literal, Self, TypeAlias

import numpy as np

from .decoder import Block

_SOUND = struct.Struct("<dIHxxI")
_PIECE_BYTES = 1 << 16
"""Largest message of sound, so that those that wait need little memory."""

Reason: TypeAlias = Literal[
    "status",
    "redirect",
    "certificate",
    "timeout",
    "content",
    "no audio",
    "no track",
    "no decoder",
    "format",
    "memory",
    "system",
    "unexpected",
    "start",
    "silent",
    "crash",
]


class Kind(IntEnum):
    """Kind of a message."""

    OPEN = 1
    """To the process: a `Request`, once everything of the one before has been received."""
    SOUND = 2
    """Message of the process: form and stamp of a block, and its float32 frames."""
    ENDED = 3
    """Last message about a request."""
    FAILED = 4
    """Last message about a request: a `Failure`."""
    OPENED = 5
    """First message about a request, unless it fails: an `Opened`."""
    STOP = 6
    """To the process: end the request; the process answers as at its end."""
    ALIVE = 7
    """Message of the process: it reads on, but has had no audio for a while."""


@dataclass(frozen=True, slots=True)
class Request:
    """Recording or stream to decode.

    Attributes
    ----------
    address : str
        Path or URL. It may contain secrets, so it is left out of the representation.
    formats : sequence of str
        Names of the only demuxers that FFmpeg may use.
    options : mapping of str to str
        Options of FFmpeg.
    other_transport : mapping of str to str
        Options to replace if the server refuses the transport; empty if there is nothing else to try.
    track : int
        Number of the audio track, counted from 1.
    open_seconds, read_seconds : float
        Time limits for opening, and for each read.
    live : bool
        True if audio must keep coming: the process reports nothing else that it reads.
    """

    address: str = field(repr=False)
    formats: Sequence[str]
    options: Mapping[str, str]
    other_transport: Mapping[str, str] = field(default_factory=dict)
    track: int = 1
    open_seconds: float = 10.0
    read_seconds: float = 10.0
    live: bool = False

    def packed(self) -> bytes:
        """Return the content of a message."""
        return json.dumps(asdict(self)).encode("utf-8", "surrogateescape")

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        """Return the request in the content of a message."""
        return cls(**json.loads(content))


@dataclass(frozen=True, slots=True)
class Opened:
    """Opened recording or stream.

    Attributes
    ----------
    is_file : bool
        True if its length is known: the end of anything else is a failure of the sender.
    zero : float
        Stamp at which it begins, which may be before its audio.
    seconds : float or None
        Duration according to the header, in formats that have it there.
    """

    is_file: bool
    zero: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Reason for which nothing more can be decoded.

    Attributes
    ----------
    reason : Reason
        Kind of failure.
    text : str
        Details by the kind: the new address of a redirection, the server whose certificate is not valid, the content that is no audio, the error of the system.
    number : int
        Status of the server, or number of audio tracks.
    """

    reason: Reason
    text: str = ""
    number: int = 0


class DecodingFailure(Exception):  # noqa: N818 - translated by those who know the source
    """Nothing more can be decoded.

    Attributes
    ----------
    failure : Failure
        Reason.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def pack(part: Opened | Failure) -> bytes:
    """Return the content of a message."""
    return json.dumps(asdict(part)).encode()


def pieces(block: Block, damaged_packets: int) -> Iterator[bytes]:
    """Yield the contents of the messages with a block, and the number of packets left out so far."""
    frames = np.ascontiguousarray(block.frames, np.float32)
    channels = frames.shape[1]
    step = max(1, _PIECE_BYTES // (4 * channels))
    for start in range(0, len(frames), step):
        stamp = math.nan if block.stamp is None else block.stamp + start / block.rate_hz
        yield (
            _SOUND.pack(stamp, block.rate_hz, channels, damaged_packets)
            + frames[start : start + step].tobytes()
        )


def block_of(content: bytes) -> tuple[Block, int]:
    """Return the block in the content of a message, and the number of packets left out so far."""
    stamp, rate_hz, channels, damaged_packets = _SOUND.unpack_from(content)
    frames = np.frombuffer(content, np.float32, offset=_SOUND.size).reshape(-1, channels)
    return Block(frames, rate_hz, None if math.isnan(stamp) else stamp), damaged_packets
