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

_SOUND = struct.Struct("<dIHxx")
_PIECE_BYTES = 1 << 16
"""Largest message of sound, so that those that wait need little memory."""

Reason: TypeAlias = Literal[
    "status",
    "redirect",
    "timeout",
    "content",
    "no audio",
    "no track",
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
    """Last message about a request: an `End`."""
    FAILED = 4
    """Last message about a request: a `Failure`."""


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
    """

    address: str = field(repr=False)
    formats: Sequence[str]
    options: Mapping[str, str]
    other_transport: Mapping[str, str] = field(default_factory=dict)
    track: int = 1
    open_seconds: float = 10.0
    read_seconds: float = 10.0

    def packed(self) -> bytes:
        """Return the content of a message."""
        return json.dumps(asdict(self)).encode("utf-8", "surrogateescape")

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        """Return the request in the content of a message."""
        return cls(**json.loads(content))


@dataclass(frozen=True, slots=True)
class End:
    """End of a recording or stream.

    Attributes
    ----------
    is_file : bool
        True if its length was known: the end of anything else is a failure of the sender.
    damaged_packets : int
        Packets left out.
    """

    is_file: bool
    damaged_packets: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Reason for which nothing more can be decoded.

    Attributes
    ----------
    reason : Reason
        Kind of failure.
    text : str
        Details by the kind: the new address of a redirection, the content that is no audio, the error of the system.
    number : int
        Status of the server, or number of audio tracks.
    """

    reason: Reason
    text: str = ""
    number: int = 0


def pack(part: End | Failure) -> bytes:
    """Return the content of a last message."""
    return json.dumps(asdict(part)).encode()


def pieces(block: Block) -> Iterator[bytes]:
    """Yield the contents of the messages with a block."""
    frames = np.ascontiguousarray(block.frames, np.float32)
    channels = frames.shape[1]
    step = max(1, _PIECE_BYTES // (4 * channels))
    for start in range(0, len(frames), step):
        stamp = math.nan if block.stamp is None else block.stamp + start / block.rate_hz
        yield _SOUND.pack(stamp, block.rate_hz, channels) + frames[start : start + step].tobytes()


def block_of(content: bytes) -> Block:
    """Return the block in the content of a message."""
    stamp, rate_hz, channels = _SOUND.unpack_from(content)
    frames = np.frombuffer(content, np.float32, offset=_SOUND.size).reshape(-1, channels)
    return Block(frames, rate_hz, None if math.isnan(stamp) else stamp)
