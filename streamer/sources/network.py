"""Network streams through FFmpeg: cameras over RTSP, radio stations and files over HTTP."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from ..errors import NetworkError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from ..runtime.queues import BoundedQueue
from .conversion import FormatConverter
from .diagnosis import authorities, explain_failure
from .ffmpeg.decoder import Block, Decoder, UnsupportedFormat
from .playout import Playout
from .url import StreamUrl

_QUEUE_BLOCKS = 64
_PROBE_SECONDS = 1.0
"""Duration of audio that FFmpeg may read to detect the format."""


class NetworkStream:
    """Stream that FFmpeg opens at ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``.

    The stream is played in real time, starting with the arrival of its first packet, which counts as the time of its
    audio. The index jumps over audio that is missing according to the time stamps. `chunks` returns at the end of a file,
    for which the server sends a length; the end of any other stream is a failure.

    FFmpeg runs on its own thread, because its calls can't be interrupted: when the source is closed, the thread is
    abandoned, and ends when the server answers or a timeout expires.

    Parameters
    ----------
    name : str
        Name for people.
    url : StreamUrl
        URL. Its credentials never appear in a log line or an error.
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
        self._queue: BoundedQueue[Block] = BoundedQueue(_QUEUE_BLOCKS, "wait")

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Connect, and yield the audio block by block.

        Raises
        ------
        NetworkError
            The server can't be reached, refuses, sends no audio, or has stopped.
        """
        queue: BoundedQueue[Block] = BoundedQueue(_QUEUE_BLOCKS, "wait")
        self._queue = queue
        if self._closed.is_set():
            return
        receiver = _Receiver(self._url, queue, self._connect_seconds, self._stall_seconds)
        threading.Thread(target=receiver.run, name=f"receiver {self.name}", daemon=True).start()
        assembler = _Assembler()
        repaired_before = self.repaired_samples
        try:
            for block in self._blocks(queue):
                for chunk in assembler.accept(block):
                    self._closed.wait(assembler.due - time.monotonic())
                    if self._closed.is_set():
                        return
                    yield chunk
                self.repaired_samples = repaired_before + assembler.repaired_samples
            yield from assembler.finish()
        finally:
            queue.close()

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._queue.close()

    def _blocks(self, queue: "BoundedQueue[Block]") -> "Iterator[Block]":
        timeout = self._connect_seconds + self._stall_seconds
        while not self._closed.is_set():
            blocks = queue.take(timeout)
            if not blocks and not queue.closed:
                raise _no_audio(self._url, timeout)
            if not blocks:
                return
            yield from blocks
            timeout = self._stall_seconds


class _Receiver:
    """Thread that fills a queue with audio decoded by FFmpeg until the queue is closed."""

    def __init__(
        self,
        url: StreamUrl,
        queue: BoundedQueue[Block],
        connect_seconds: float,
        stall_seconds: float,
    ) -> None:
        self._url = url
        self._queue = queue
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds

    def run(self) -> None:
        """Receive until the stream ends or fails, or the queue is closed."""
        import av

        try:
            self._receive()
            self._queue.close()
        except (av.FFmpegError, OSError) as error:
            # FFmpeg's error contains the URL with its credentials: it is neither quoted nor chained.
            self._queue.fail(NetworkError(f"{self._url.shown}: {self._explain(error)}"))
        except UnsupportedFormat as error:
            self._queue.fail(NetworkError(f"{self._url.shown} {error}"))
        except Exception as error:  # noqa: BLE001 - the end of a thread: the reader of the stream raises it
            self._queue.fail(error)

    def _receive(self) -> None:
        import av

        with av.open(
            self._url.url,
            options=_options(self._url),
            timeout=(self._connect_seconds, self._stall_seconds),
            metadata_errors="replace",
        ) as container:
            track = self._track(container.streams.audio)
            # A stream of known length is a file; for a playlist, the duration of its audio counts.
            playlist = container.format.name == "hls"
            endless = container.duration is None if playlist else container.size < 0
            decoder = Decoder()
            for packet in container.demux():
                if self._queue.closed:
                    return
                if packet.stream.index == track.index:
                    for block in decoder.blocks(packet):
                        self._queue.put(block)
        if endless:
            raise NetworkError(f"{self._url.shown} has ended the stream; check that it still sends")

    def _track(self, tracks: Sequence[Any]) -> Any:
        wanted = self._url.track
        if not tracks:
            raise NetworkError(f"{self._url.shown} has no audio track; switch its microphone on")
        if len(tracks) < wanted:
            raise NetworkError(
                f"{self._url.shown} has no audio track #{wanted}; choose one from #1 to #{len(tracks)}"
            )
        return tracks[wanted - 1]

    def _explain(self, error: Any) -> str:
        """Return the reason for a failure, with advice."""
        import av.error

        url = self._url
        match error:
            case av.error.HTTPUnauthorizedError():
                return "it requires a user name and password: check those in the URL"
            case av.error.HTTPForbiddenError():
                return "it denies access (403): check the permissions of this user"
            case av.error.HTTPNotFoundError():
                return "there is nothing at this path (404): check the path of the URL"
            case av.error.InvalidDataError():
                return "it does not send audio: check the path of the URL"
            case av.error.ExitError():
                return "it does not answer, or has stopped sending: check that it is switched on"
        found = explain_failure(url.host, url.port, tls=url.tls, timeout_seconds=self._connect_seconds)
        return (
            found or f"the connection has failed ({str(error.strerror).lower()}): check that it still sends"
        )


class _Assembler:
    """Chunks from the blocks of one connection, with the times at which they are due."""

    def __init__(self) -> None:
        self._playout = Playout()
        self._converter = FormatConverter()
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


def _options(url: StreamUrl) -> dict[str, str]:
    """Return the options of FFmpeg: check certificates, and follow no redirection away from the network."""
    options = {
        "user_agent": "Earshot",
        "analyzeduration": str(round(_PROBE_SECONDS * 1e6)),
        "tls_verify": "1",
        "protocol_whitelist": "http,https,httpproxy,crypto,tls,tcp",
    }
    if (bundle := authorities()) is not None:
        options["ca_file"] = bundle
    if url.url.startswith("rtsp"):
        options |= {
            "protocol_whitelist": "rtsp,rtsps,tls,tcp",
            "rtsp_transport": "tcp",
            "allowed_media_types": "audio",
        }
    return options


def _no_audio(url: StreamUrl, seconds: float) -> NetworkError:
    return NetworkError(f"{url.shown} has delivered no audio for {seconds:g} s; check that it still sends")
