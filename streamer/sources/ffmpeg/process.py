"""Client of an FFmpeg process: decoding that may hang, crash or demand any amount of memory without harm to the program."""

import json
import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from ...runtime.children import ChildEnded, ChildProcess
from .decoder import Block
from .wire import End, Failure, Kind, Request, block_of

_log = logging.getLogger(__name__)

_START_SECONDS = 15.0
"""Time limit for the process to start on a busy machine, in addition to those of the request."""

_STALL_MARGIN_SECONDS = 1.0
"""FFmpeg observes its time limit by itself; it is killed if it doesn't."""


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


class FFmpegProcess:
    """FFmpeg in a process of its own, running until the end of the ``with`` block.

    Attributes
    ----------
    end : End or None
        End of what was decoded last; None before.
    """

    def __init__(self) -> None:
        self.end: End | None = None
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
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    def close(self) -> None:
        """Make `blocks` end at once. Safe from any thread, and more than once."""
        self._child.close()

    def blocks(self, request: Request) -> Iterator[Block]:
        """Decode a recording or stream, and yield its audio until it ends or the process is closed.

        Raises
        ------
        DecodingFailure
            It can't be opened or decoded further, or the process hangs or crashes.
        """
        self.end = None
        self._child.send(Kind.OPEN, request.packed())
        stall_seconds = request.read_seconds + _STALL_MARGIN_SECONDS
        timeout = _START_SECONDS + request.open_seconds + stall_seconds
        while True:
            try:
                message = self._child.receive(timeout)
            except ChildEnded as ended:
                raise DecodingFailure(Failure("crash", str(ended))) from None
            if message is None and self._child.closed:
                return
            if message is None:
                raise DecodingFailure(Failure("silent"))
            if message.kind == Kind.FAILED:
                failure = Failure(**json.loads(message.content))
                if failure.reason == "unexpected":
                    _log.debug("FFmpeg's process: %s", failure.text)
                raise DecodingFailure(failure)
            if message.kind == Kind.ENDED:
                self.end = End(**json.loads(message.content))
                return
            yield block_of(message.content)
            timeout = stall_seconds
