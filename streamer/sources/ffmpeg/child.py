"""Process that runs FFmpeg: ``python -m streamer.sources.ffmpeg.child``.

It decodes what the program requests on standard input, until that ends, which happens also when the program crashes. It can
neither grow without bounds nor open many files, and it writes nothing but messages.
"""

import contextlib
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import IO, Any

from ...runtime.queues import BoundedQueue
from ...runtime.wire import Message, begin_child
from .contents import describe
from .decoder import Decoder, UnsupportedFormat, open_container
from .limits import limit_process
from .wire import End, Failure, Kind, Request, pack, pieces

_IDLE_SECONDS = 10.0
"""Time after which a process without a request ends."""

_TRANSPORT_REFUSED = {406, 461}
_SNIFFED_SECONDS = 5.0


class _Failed(Exception):  # noqa: N818 - a message to the program
    """Failed request."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


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
    threading.Thread(target=_read_requests, args=(sys.stdin.buffer, requests), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # the program has gone
        for request in iter(lambda: next(iter(requests.take(_IDLE_SECONDS)), None), None):
            _serve(request, output, log)
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


def _read_requests(stdin: IO[bytes], requests: BoundedQueue[Request]) -> None:
    """Queue the requests from standard input; at its end, end the process, whatever FFmpeg does."""
    while message := Message.receive(stdin):
        requests.put(Request.unpacked(message.content))
    os._exit(0)


def _serve(request: Request, output: IO[bytes], log: _Log) -> None:
    """Decode what is requested, and send its sound and its end."""
    import av

    log.status = 0
    try:
        end = _decode(request, output, log)
    except _Failed as failed:
        failure = failed.failure
    except UnsupportedFormat as error:
        failure = Failure("format", str(error))
    except (av.error.MemoryError, MemoryError):
        failure = Failure("memory")
    except BrokenPipeError as error:
        if not isinstance(error, av.FFmpegError):
            raise
        failure = Failure("system", str(error.strerror))
    except (av.FFmpegError, OSError) as error:
        failure = _failure(error, request, log)
    except Exception:  # noqa: BLE001 - the program reports it
        failure = Failure("unexpected", traceback.format_exc().replace(request.address, "…"))
    else:
        Message(Kind.ENDED, pack(end)).send(output)
        return
    Message(Kind.FAILED, pack(failure)).send(output)


def _decode(request: Request, output: IO[bytes], log: _Log) -> End:
    with _opened(request, log) as container:
        tracks = container.streams.audio
        if not tracks:
            raise _Failed(Failure("no audio"))
        if len(tracks) < request.track:
            raise _Failed(Failure("no track", number=len(tracks)))
        track = tracks[request.track - 1]
        # A stream of known length is a file; for a playlist, the duration of its audio counts.
        is_playlist = container.format.name == "hls"
        is_file = container.duration is not None if is_playlist else container.size >= 0
        decoder = Decoder()
        for packet in container.demux():
            if packet.stream.index == track.index:
                for block in decoder.blocks(packet):
                    for piece in pieces(block):
                        Message(Kind.SOUND, piece).send(output)
        return End(is_file, decoder.damaged_packets)


def _opened(request: Request, log: _Log) -> Any:
    """Open a container; where the server refuses the transport, by the other one."""
    import av

    def opened(options: Mapping[str, str]) -> Any:
        return open_container(
            request.address,
            formats=request.formats,
            options=options,
            timeout=(request.open_seconds, request.read_seconds),
        )

    try:
        return opened(request.options)
    except (av.FFmpegError, OSError):
        if not request.other_transport or log.status not in _TRANSPORT_REFUSED:
            raise
    return opened({**request.options, **request.other_transport})


def _failure(error: Any, request: Request, log: _Log) -> Failure:
    """Translate an error of FFmpeg. Its text contains the address with its secrets, so it is not quoted."""
    import av.error

    statuses = {
        av.error.HTTPBadRequestError: 400,
        av.error.HTTPUnauthorizedError: 401,
        av.error.HTTPForbiddenError: 403,
        av.error.HTTPNotFoundError: 404,
        av.error.HTTPTooManyRequestsError: 429,
    }
    if isinstance(error, av.error.HTTPError | av.error.HTTPClientError):
        return Failure("status", number=statuses.get(type(error), log.status))
    if log.status in _TRANSPORT_REFUSED and request.other_transport:
        return Failure("status", number=log.status)
    if isinstance(error, av.error.ExitError):
        refused = log.status in _TRANSPORT_REFUSED and bool(request.other_transport)
        return Failure("timeout", "udp" if refused else "")
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return Failure("content", _content(request))
    return Failure("system", str(error.strerror).lower())


def _content(request: Request) -> str:
    """Read the beginning of a file that is no audio, and describe it; return an empty text if it is unknown."""
    import av

    try:
        with open_container(
            request.address,
            formats=["data"],
            options=request.options,
            timeout=_SNIFFED_SECONDS,
            demuxer="data",
        ) as container:
            return describe(bytes(next(container.demux(), b"")))
    except (av.FFmpegError, OSError):
        return ""


if __name__ == "__main__":
    main()
