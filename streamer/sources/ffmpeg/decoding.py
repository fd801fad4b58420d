"""Decoding of one recording or stream by FFmpeg, in this process. Errors of FFmpeg are translated here."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from .contents import HLS, describe
from .decoder import Block, Decoder, UnsupportedFormat, open_container
from .wire import DecodingFailure, Failure, Opened, Request

_TRANSPORT_REFUSED = {406, 461}
_SNIFFED_BYTES = 4096

_WITH_LENGTH = {"flac", "matroska", "mov"}
"""Formats for which FFmpeg reads the duration from the header; it estimates it for others."""


class Status(Protocol):
    """Last status that a server has answered; 0 if it is unknown."""

    status: int


class Decoding:
    """Recording or stream, open until the end of the ``with`` block. It raises a `DecodingFailure` if it can't go on.

    Parameters
    ----------
    request : Request
        Recording or stream.
    log : Status, optional
        Statuses from FFmpeg's log.

    Attributes
    ----------
    opened : Opened
        Facts about it, from the beginning of the ``with`` block.
    """

    def __init__(self, request: Request, log: Status | None = None) -> None:
        self._request = request
        self._log = log
        self._decoder = Decoder()
        self._open_until = 0.0

    def __enter__(self) -> Self:
        import av

        self._open_until = time.monotonic() + self._request.open_seconds
        try:
            self._container = self._open()
        except (av.FFmpegError, OSError, MemoryError) as error:
            raise DecodingFailure(self._failure(error)) from None  # FFmpeg's error has the address
        try:
            self._track = self._chosen_track()
        except DecodingFailure:
            self._container.close()
            raise
        if "hls" in self._container.format.name.split(","):
            _discard_others(self._container, self._track)
        self.opened = _describe(self._container, self._track)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def damaged_packets(self) -> int:
        """Packets left out so far, because they are damaged."""
        return self._decoder.damaged_packets

    def blocks(self) -> Iterator[Block]:
        """Yield the decoded audio until it ends."""
        return (block for block in self.parts() if block is not None)

    def parts(self) -> Iterator[Block | None]:
        """Yield the decoded audio until it ends, and None after each packet, whatever it has."""
        import av

        try:
            for packet in self._container.demux():
                if packet.stream.index == self._track.index:
                    yield from self._decoder.blocks(packet)
                yield None
        except UnsupportedFormat as error:
            raise DecodingFailure(Failure("format", str(error))) from None
        except (av.FFmpegError, MemoryError) as error:
            raise DecodingFailure(self._failure(error)) from None

    @property
    def _status(self) -> int:
        return 0 if self._log is None else self._log.status

    def _open(self) -> Any:
        """Open the container; where the server refuses the transport, by the other one.

        HLS is recognised by its content: the name and the type that the server gives may be any.
        """
        import av

        request = self._request
        try:
            return self._opened(request.options)
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, _not_recognised()) and "hls" in request.formats and self._content() == HLS:
                return self._opened_playlist()
            if not request.other_transport or self._status not in _TRANSPORT_REFUSED:
                raise
        return self._opened({**request.options, **request.other_transport})

    def _opened(self, options: Mapping[str, str]) -> Any:
        request = self._request
        return open_container(
            request.address,
            formats=[name for name in request.formats if name != "hls"],
            options=options,
            timeout=(request.open_seconds, request.read_seconds),
        )

    def _opened_playlist(self) -> Any:
        from .hls import DEMUXER_OPTIONS, HlsRequests

        request = self._request
        requests = HlsRequests(
            request.address,
            authorities=request.options.get("ca_file"),
            user_agent=request.options["user_agent"],
            timeout_seconds=request.read_seconds,
        )
        return open_container(
            requests.address,
            formats=request.formats,
            options={**request.options, **DEMUXER_OPTIONS},
            timeout=(request.open_seconds, request.read_seconds),
            demuxer="hls",
            io_open=requests.open,
        )

    def _chosen_track(self) -> Any:
        tracks = self._container.streams.audio
        if not tracks:
            raise DecodingFailure(Failure("no audio"))
        if len(tracks) < self._request.track:
            raise DecodingFailure(Failure("no track", number=len(tracks)))
        track = tracks[self._request.track - 1]
        if track.codec_context is None:
            raise DecodingFailure(Failure("no decoder"))
        return track

    def _failure(self, error: Any) -> Failure:
        """Translate an error of FFmpeg. Its text contains the address with its secrets, so it is not quoted."""
        import av.error

        statuses = {
            av.error.HTTPBadRequestError: 400,
            av.error.HTTPUnauthorizedError: 401,
            av.error.HTTPForbiddenError: 403,
            av.error.HTTPNotFoundError: 404,
            av.error.HTTPTooManyRequestsError: 429,
        }
        transport_refused = bool(self._request.other_transport) and self._status in _TRANSPORT_REFUSED
        match error:
            case MemoryError():
                return Failure("memory")
            case av.error.HTTPError() | av.error.HTTPClientError():
                return Failure("status", number=statuses.get(type(error), self._status))
            case av.error.ExitError():
                return Failure("timeout", "udp" if transport_refused else "")
            case _ if isinstance(error, _not_recognised()):
                return Failure("timeout") if self._is_late_answer() else Failure("content", self._content())
        if transport_refused:
            return Failure("status", number=self._status)
        return Failure("system", str(error.strerror).lower())

    def _is_late_answer(self) -> bool:
        """Return True if an RTSP server has not answered in time: FFmpeg calls its missing answer invalid."""
        return (
            self._request.address.startswith("rtsp")
            and not self._status
            and time.monotonic() >= self._open_until
        )

    def _content(self) -> str:
        """Read the beginning of what is no audio, and describe it; return an empty text if it is unknown."""
        import av

        beginning = b""
        try:
            with open_container(
                self._request.address,
                formats=["data"],
                options=self._request.options,
                timeout=self._request.open_seconds,
                demuxer="data",
            ) as container:
                for packet in container.demux():  # a server may send it in pieces
                    beginning += bytes(packet)
                    if len(beginning) >= _SNIFFED_BYTES:
                        break
        except (av.FFmpegError, OSError):
            if not beginning:
                return ""
        return describe(beginning)


def _not_recognised() -> tuple[type[Exception], ...]:
    """Return the errors of FFmpeg for content of an unknown format, or of none that is allowed."""
    import av.error

    return av.error.InvalidDataError, av.error.ArgumentError


def _discard_others(container: Any, track: Any) -> None:
    """Read one track only: FFmpeg fetches each variant of a playlist of which a track is read."""
    try:
        from av.stream import Discard
    except ImportError:  # an older PyAV
        return
    for stream in container.streams:
        if stream.index != track.index:
            stream.discard = Discard.all


def _describe(container: Any, track: Any) -> Opened:
    import av

    names = set(container.format.name.split(","))
    seconds = None if container.duration is None else container.duration / av.time_base
    began = container.start_time
    restarts = container.format.flags & av.format.Flags.ts_discont.value
    return Opened(
        # A stream of known length is a file; for a playlist, the duration of its audio counts.
        is_file=seconds is not None if "hls" in names else container.size >= 0,
        zero=began / av.time_base if restarts and began is not None else 0.0,
        seconds=_seconds(container, track) if names & _WITH_LENGTH else None,
    )


def _seconds(container: Any, track: Any) -> float | None:
    """Return the duration of a track; that of the file only if it holds nothing else, such as pictures that last longer."""
    import av

    if track.duration is not None:
        return float(track.duration * track.time_base)
    is_alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / av.time_base if is_alone else None
