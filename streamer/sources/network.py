"""Network streams through FFmpeg: cameras over RTSP, radio stations and files over HTTP."""

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence

from ..errors import NetworkError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from .conversion import FormatConverter
from .diagnosis import authorities, explain, explain_connection
from .ffmpeg.decoder import Block, UnsupportedFormat
from .ffmpeg.process import FFmpegProcess
from .ffmpeg.wire import DecodingFailure, Request
from .playout import Playout
from .url import StreamUrl, parse_url, redirected

_PROBE_SECONDS = 1.0
"""Duration of audio that FFmpeg may read to detect the format."""

_MAX_REDIRECTIONS = 5

_FORMATS = (
    *(
        "aac",
        "ac3",
        "aiff",
        "amr",
        "asf",
        "au",
        "caf",
        "eac3",
        "flac",
        "flv",
        "latm",
        "loas",
        "matroska,webm",
    ),
    *("mov,mp4,m4a,3gp,3g2,mj2", "mp3", "mpeg", "mpegts", "nsv", "nut", "ogg", "w64", "wav", "wv"),
)
"""Formats of stations and cameras. Others open further addresses, or are no formats for streams."""

_HTTP_PROTOCOLS = "http,https,httpproxy,crypto,data,tls,tcp"
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,udp,tls,tcp"


class NetworkStream:
    """Stream that FFmpeg opens at ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``.

    The stream is played in real time, starting with the arrival of its first packet, which counts as the time of its
    audio. The index jumps over audio that is missing according to the time stamps. `chunks` returns at the end of a file,
    for which the server sends a length; the end of any other stream is a failure.

    Each connection has an FFmpeg process of its own, with limits: a server that sends what makes FFmpeg hang, crash or grow
    ends that process alone.

    Parameters
    ----------
    name : str
        Name for people.
    url : StreamUrl
        URL. Its credentials never appear in a log line or an error, and are sent to no other server.
    connect_seconds : float
        Time limit for the server to answer.
    stall_seconds : float
        Time without audio after which the stream has failed.
    """

    def __init__(
        self,
        name: str,
        url: StreamUrl,
        *,
        connect_seconds: float = 10.0,
        stall_seconds: float = 15.0,
    ) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 30.0
        self.repaired_samples = 0
        self._url = url
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        self._closed = threading.Event()
        self._process = FFmpegProcess()

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Connect, and yield the audio block by block.

        Raises
        ------
        NetworkError
            The server can't be reached, refuses, sends no audio, or has stopped.
        """
        assembler = _Assembler(self._url.selection.channel, self.name)
        repaired_before = self.repaired_samples
        for block in self._blocks():
            try:
                for chunk in assembler.accept(block):
                    self._closed.wait(assembler.due - time.monotonic())
                    if self._closed.is_set():
                        return
                    yield chunk
            except UnsupportedFormat as error:
                raise NetworkError(f"{self._url.shown} {error}") from error
            self.repaired_samples = repaired_before + assembler.repaired_samples
        if not self._closed.is_set():
            yield from assembler.finish()

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._process.close()

    def _blocks(self) -> Iterator[Block]:
        """Connect, and to the server that it redirects to."""
        url = self._url
        for _ in range(_MAX_REDIRECTIONS + 1):
            try:
                yield from self._connection(url)
            except DecodingFailure as error:
                failure = error.failure
            else:
                return
            if failure.reason == "certificate":
                raise NetworkError(_explain_certificate(failure.text, url, self._connect_seconds))
            if failure.reason != "redirect":
                raise NetworkError(explain(failure, url, timeout_seconds=self._connect_seconds))
            url = redirected(url, failure.text)
        raise NetworkError(f"{self._url.shown} redirects in a circle; check the path of the URL")

    def _connection(self, url: StreamUrl) -> Iterator[Block]:
        self._process = process = FFmpegProcess()
        if self._closed.is_set():
            return
        with process:
            opened = process.open(_request(url, self._connect_seconds, self._stall_seconds))
            yield from process.blocks()
            if opened is not None and not opened.is_file and not self._closed.is_set():
                raise NetworkError(f"{url.shown} has ended the stream; check that it still sends")


class _Assembler:
    """Chunks from the blocks of one connection, with the times at which they are due."""

    def __init__(self, channel: int | None = None, name: str = "") -> None:
        self._playout = Playout()
        self._converter = FormatConverter(channel, name)
        self._next_sample = 0

    @property
    def due(self) -> float:
        """Time at which the newest block is due, by the monotonic clock."""
        return self._playout.due

    @property
    def repaired_samples(self) -> int:
        """NaN or infinite samples replaced so far."""
        return self._converter.repaired_samples

    def accept(self, block: Block) -> Iterator[AudioChunk]:
        """Convert a block; before one that follows a gap, yield the rest of the audio before the gap."""
        lost_seconds = self._playout.schedule(
            len(block.frames) / block.rate_hz, block.stamp, time.monotonic()
        )
        if lost_seconds:
            yield from self.finish()
            self._next_sample += round(lost_seconds * SAMPLE_RATE_HZ)
        yield from self._chunk(self._converter.feed(block.frames, block.rate_hz))

    def finish(self) -> Iterator[AudioChunk]:
        """Yield the rest of the converted audio."""
        yield from self._chunk(self._converter.flush())

    def _chunk(self, samples: Samples) -> Iterator[AudioChunk]:
        if not len(samples):
            return
        began_at = time.time() - time.monotonic() + self._playout.zero
        yield AudioChunk(samples, self._next_sample, began_at + self._next_sample / SAMPLE_RATE_HZ)
        self._next_sample += len(samples)


def _explain_certificate(server: str, url: StreamUrl, timeout_seconds: float) -> str:
    """Return a sentence about a server that a playlist leads to, whose certificate is not valid."""
    other = parse_url(server)
    reason = explain_connection(other.host, other.port, tls=True, timeout_seconds=timeout_seconds)
    reason = reason or "has shown a certificate that is not valid: check the network in between"
    if (other.host, other.port) == (url.host, url.port):
        return f"{url.shown} {reason}"
    return f"{url.shown} sends an HLS playlist that leads to {other.shown}, which {reason}"


def _request(url: StreamUrl, connect_seconds: float, stall_seconds: float) -> Request:
    """Return the request for a stream: certificates are checked, and nothing but the network is opened."""
    options = {
        "user_agent": "Earshot",
        "analyzeduration": str(round(_PROBE_SECONDS * 1e6)),
        "tls_verify": "1",
        "protocol_whitelist": _HTTP_PROTOCOLS,
        "allowed_extensions": "ALL",  # the segments of a playlist may have any names
        "allowed_segment_extensions": "ALL",
        "extension_picky": "0",
    }
    if (bundle := authorities()) is not None:
        options["ca_file"] = bundle
    formats: Sequence[str] = ("hls", *_FORMATS)
    other_transport: Mapping[str, str] = {}
    if url.is_rtsp:
        formats = ("rtsp", "sdp", "mpegts", "asf")
        options |= {
            "protocol_whitelist": _RTSP_PROTOCOLS,
            "rtsp_transport": "tcp",
            "allowed_media_types": "audio",
        }
        if not url.tls:  # UDP is not encrypted
            other_transport = {"rtsp_transport": "udp"}
    return Request(
        url.url,
        formats,
        options,
        other_transport,
        track=url.selection.track,
        open_seconds=connect_seconds,
        read_seconds=stall_seconds,
        live=True,
    )
