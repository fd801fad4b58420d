"""Process that runs FFmpeg: ``python -m streamer.sources.ffmpeg.child``.

It decodes what the program requests on standard input, until that ends, which happens also when the program crashes. It can
neither grow without bounds nor open many files, and it writes nothing but messages.
"""

import contextlib
import logging
import os
import re
import struct
import sys
import threading
import time
import traceback
from typing import IO

from ...runtime.queues import BoundedQueue
from ...runtime.wire import Message, begin_child
from .decoding import Decoding
from .limits import limit_process
from .wire import DecodingFailure, Failure, Kind, Request, pack, pieces

_IDLE_SECONDS = 10.0
"""Time after which a process without a request ends."""

_ALIVE_SECONDS = 0.5
"""Interval of the messages that a recording is still read."""


class _Log(logging.Handler):
    """Reader of FFmpeg's log, which has what its errors lack: the status of the server, and redirections.

    FFmpeg would send the credentials of an RTSP address to any other server that it is redirected to. It logs the new address
    before it connects, and the only way to stop it there is to end the process.
    """

    def __init__(self, output: IO[bytes]) -> None:
        super().__init__()
        self.status = 0
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Note a status, or report a redirection and end the process."""
        text = record.getMessage()
        if found := re.match(r"(?:HTTP error|method \w+ failed:) (\d{3})", text):
            self.status = int(found[1])
        elif record.name == "libav.rtsp" and (found := re.match(r"Status \d+: Redirecting to (.*)", text)):
            Message(Kind.FAILED, pack(Failure("redirect", found[1].strip()))).send(self._output)
            os._exit(0)


def main() -> None:
    """Serve the program until standard input ends."""
    output = begin_child()
    limit_process()
    log = _listen_to_ffmpeg(output)
    requests: BoundedQueue[Request] = BoundedQueue(1)
    stopped = threading.Event()
    threading.Thread(target=_read_commands, args=(sys.stdin.buffer, requests, stopped), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the program has gone
        while taken := requests.take(_IDLE_SECONDS):
            stopped.clear()
            _serve(taken[0], output, log, stopped)
    os._exit(0)


def _listen_to_ffmpeg(output: IO[bytes]) -> _Log:
    import av.logging

    log = _Log(output)
    logger = logging.getLogger("libav")
    logger.setLevel(logging.INFO)
    logger.addHandler(log)
    logger.propagate = False
    av.logging.set_level(av.logging.INFO)
    return log


def _read_commands(stdin: IO[bytes], requests: BoundedQueue[Request], stopped: threading.Event) -> None:
    """Queue the requests from standard input; at its end, end the process, whatever FFmpeg does."""
    while message := Message.receive(stdin):
        if message.kind == Kind.STOP:
            stopped.set()
        else:
            requests.put(Request.unpacked(message.content))
    os._exit(0)


def _serve(request: Request, output: IO[bytes], log: _Log, stopped: threading.Event) -> None:
    """Decode what is requested, and send its sound and its end."""
    log.status = 0
    try:
        with Decoding(request, log) as decoding:
            Message(Kind.OPENED, pack(decoding.opened)).send(output)
            _send_audio(decoding, output, stopped, live=request.live)
            last = Message(Kind.ENDED, struct.pack("<I", decoding.damaged_packets))
    except DecodingFailure as error:
        last = Message(Kind.FAILED, pack(error.failure))
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 - the program reports it
        trace = traceback.format_exc().replace(request.address, "…")
        last = Message(Kind.FAILED, pack(Failure("unexpected", trace)))
    last.send(output)


def _send_audio(decoding: Decoding, output: IO[bytes], stopped: threading.Event, *, live: bool) -> None:
    """Send the audio; of a recording, also that it is still read while it has none."""
    sent_at = time.monotonic()
    for block in decoding.parts():
        if block is not None:
            for piece in pieces(block, decoding.damaged_packets):
                Message(Kind.SOUND, piece).send(output)
            sent_at = time.monotonic()
        elif not live and time.monotonic() - sent_at >= _ALIVE_SECONDS:
            Message(Kind.ALIVE, b"").send(output)
            sent_at = time.monotonic()
        if stopped.is_set():
            return


if __name__ == "__main__":
    main()
