"""Client of FFmpeg processes: decoding that may hang, crash or demand any amount of memory without harm to the program."""

import json
import logging
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from ...runtime.children import ChildEnded, ChildProcess
from .decoder import Block
from .wire import DecodingFailure, Failure, Kind, Opened, Request, block_of

_log = logging.getLogger(__name__)

_START_SECONDS = 15.0
"""Time limit for the process to start on a busy machine, in addition to those of the request."""

_STALL_MARGIN_SECONDS = 1.0
"""FFmpeg observes its time limit by itself; it is killed if it doesn't."""

_STOP_MESSAGES = 1_000
"""Most messages that may still arrive after the command to stop."""


class FFmpegProcess:
    """FFmpeg in a process of its own, running until the end of the ``with`` block. It decodes one request after another.

    Its methods raise a `DecodingFailure` if the process can't be started, hangs or crashes, or reports one.

    Attributes
    ----------
    damaged_packets : int
        Packets that were left out so far, because they are damaged.
    is_free : bool
        True if the process can take a request.
    """

    def __init__(self) -> None:
        self.damaged_packets = 0
        self.is_free = True
        self._stall_seconds = 0.0
        self._child = ChildProcess("streamer.sources.ffmpeg.child", {"OPENBLAS_NUM_THREADS": "1"})

    def __enter__(self) -> Self:
        try:
            self._child.__enter__()
        except OSError as error:
            raise DecodingFailure(Failure("start", error.strerror or str(error))) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self._child.is_running

    def close(self) -> None:
        """Interrupt a waiting call: `open` returns None, and `blocks` ends. Safe from any thread, and more than once."""
        self._child.close()

    def open(self, request: Request) -> Opened | None:
        """Open a recording or stream."""
        self.damaged_packets = 0
        self.is_free = False
        self._stall_seconds = request.read_seconds + _STALL_MARGIN_SECONDS
        self._child.send(Kind.OPEN, request.packed())
        message = self._receive(_START_SECONDS + request.open_seconds + self._stall_seconds)
        return None if message is None else Opened(**json.loads(message.content))

    def blocks(self) -> Iterator[Block]:
        """Yield the audio of what is open until it ends."""
        while message := self._receive(self._stall_seconds):
            if message.kind == Kind.ENDED:
                (self.damaged_packets,) = struct.unpack("<I", message.content)
                return
            if message.kind == Kind.SOUND:
                block, self.damaged_packets = block_of(message.content)
                yield block

    def stop(self) -> None:
        """Stop decoding what is open, so that the process can take another request."""
        self._child.send(Kind.STOP, b"")
        for _ in range(_STOP_MESSAGES):
            message = self._receive(_STALL_MARGIN_SECONDS)
            if message is None or message.kind == Kind.ENDED:
                return

    def _receive(self, timeout_seconds: float) -> Any:
        """Return the next message; None after `close`."""
        try:
            message = self._child.receive(timeout_seconds)
        except ChildEnded as ended:
            raise DecodingFailure(Failure("crash", str(ended))) from None
        if message is None and not self._child.closed:
            raise DecodingFailure(Failure("silent"))
        self.is_free = message is not None and message.kind in {Kind.ENDED, Kind.FAILED}
        if message is not None and message.kind == Kind.FAILED:
            failure = Failure(**json.loads(message.content))
            if failure.reason == "unexpected":
                _log.debug("FFmpeg's process: %s", failure.text)
            raise DecodingFailure(failure)
        return message
