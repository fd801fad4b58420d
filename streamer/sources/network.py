"""Streams from the network, through FFmpeg: cameras over RTSP, radio stations and files over HTTP."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import NetworkError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from ..runtime.queues import BoundedQueue
from .address import StreamAddress
from .conversion import Converter, Frames
from .diagnosis import authorities, explain_failure
from .playout import Playout

_MAILBOX_BLOCKS = 64
_PROBE_SECONDS = 1.0
"""How much sound FFmpeg may look at before it must know what it is."""


class NetworkStream:
    """What FFmpeg can open of ``rtsp://``, ``rtsps://``, ``http://`` and ``https://``.

    The stream is played in real time from the arrival of its first packet on, whose time is taken for that of its sound. What
    its time stamps say to be missing is a jump of the index. `chunks` returns at the end of a file, whose length the server
    has told; every other stream has no end, so that its end is a failure.

    FFmpeg works on a thread of its own, for its calls can't be interrupted: it is left behind when the source is closed,
    and ends when the server has answered or its time is over.

    Parameters
    ----------
    name : str
        What people call it.
    address : StreamAddress
        Where it is. Its credentials appear in no log and in no error.
    connect_seconds : float
        How long the server may take to answer.
    stall_seconds : float
        A stream that delivers no sound for as long has failed.
    """

    def __init__(
        self,
        name: str,
        address: StreamAddress,
        *,
        connect_seconds: float = 10.0,
        stall_seconds: float = 15.0,
    ) -> None:
        self.name = name
        self.live = True
        self.retry_seconds: float | None = 30.0
        self.repaired_samples = 0
        self._address = address
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds
        self._closed = threading.Event()
        self._mailbox: BoundedQueue[_Block] = BoundedQueue(_MAILBOX_BLOCKS, "wait")

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Connect, and yield what comes, block by block.

        Raises
        ------
        NetworkError
            The server can't be reached, refuses, sends no sound, or has stopped.
        """
        mailbox: BoundedQueue[_Block] = BoundedQueue(_MAILBOX_BLOCKS, "wait")
        self._mailbox = mailbox
        if self._closed.is_set():
            return
        receiver = _Receiver(self._address, mailbox, self._connect_seconds, self._stall_seconds)
        threading.Thread(target=receiver.run, name=f"receiver {self.name}", daemon=True).start()
        assembler = _Assembler()
        repaired_before = self.repaired_samples
        try:
            for block in self._blocks(mailbox):
                for chunk in assembler.accept(block):
                    self._closed.wait(assembler.due - time.monotonic())
                    if self._closed.is_set():
                        return
                    yield chunk
                self.repaired_samples = repaired_before + assembler.repaired_samples
            yield from assembler.finish()
        finally:
            mailbox.close()

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()
        self._mailbox.close()

    def _blocks(self, mailbox: "BoundedQueue[_Block]") -> "Iterator[_Block]":
        patience = self._connect_seconds + self._stall_seconds
        while not self._closed.is_set():
            blocks = mailbox.take(patience)
            if not blocks and not mailbox.closed:
                raise _silent(self._address, patience)
            if not blocks:
                return
            yield from blocks
            patience = self._stall_seconds


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some decoded sound, and where it begins by the sender's clock, in seconds."""

    frames: Frames
    rate_hz: int
    stamp: float | None


class _Receiver:
    """Fills a mailbox with what FFmpeg decodes, for as long as somebody takes it out."""

    def __init__(
        self,
        address: StreamAddress,
        mailbox: BoundedQueue[_Block],
        connect_seconds: float,
        stall_seconds: float,
    ) -> None:
        self._address = address
        self._mailbox = mailbox
        self._connect_seconds = connect_seconds
        self._stall_seconds = stall_seconds

    def run(self) -> None:
        """Receive until the stream ends or fails, or the mailbox is closed."""
        import av

        try:
            self._receive()
            self._mailbox.close()
        except (av.FFmpegError, OSError) as error:
            # Neither FFmpeg's words nor the error itself, which has the address with its credentials.
            self._mailbox.fail(NetworkError(f"{self._address.shown}: {self._explain(error)}"))
        except Exception as error:  # noqa: BLE001 - the end of a thread: who reads the stream meets it
            self._mailbox.fail(error)

    def _receive(self) -> None:
        import av

        with av.open(
            self._address.url,
            options=_options(self._address),
            timeout=(self._connect_seconds, self._stall_seconds),
            metadata_errors="replace",
        ) as container:
            track = self._track(container.streams.audio)
            # A server that tells the length of what it sends, sends a file; of a playlist, the sound's is meant.
            playlist = container.format.name == "hls"
            endless = container.duration is None if playlist else container.size < 0
            unpacker = _Unpacker()
            for packet in container.demux():
                if self._mailbox.closed:
                    return
                if packet.stream.index == track.index:
                    for block in unpacker.blocks(packet):
                        self._mailbox.put(block)
        if endless:
            raise NetworkError(f"{self._address.shown} has ended the stream: see whether it still sends")

    def _track(self, tracks: Sequence[Any]) -> Any:
        wanted = self._address.track
        if not tracks:
            raise NetworkError(f"{self._address.shown} has no sound track: switch its microphone on")
        if len(tracks) < wanted:
            raise NetworkError(
                f"{self._address.shown} has no sound track #{wanted}: there are {len(tracks)}, counted from 1"
            )
        return tracks[wanted - 1]

    def _explain(self, error: Any) -> str:
        """Say why there is no sound, and what to do."""
        import av.error

        address = self._address
        match error:
            case av.error.HTTPUnauthorizedError():
                return "it asks for a user name and a password: check those in the address"
            case av.error.HTTPForbiddenError():
                return "it forbids to listen (403): see what this user may do"
            case av.error.HTTPNotFoundError():
                return "there is nothing there (404): check the path of the address"
            case av.error.InvalidDataError():
                return "what it sends is no sound: check the path of the address"
            case av.error.ExitError():
                return "it does not answer, or sends no more: see whether it is switched on"
        found = explain_failure(
            address.host, address.port, tls=address.tls, timeout_seconds=self._connect_seconds
        )
        return (
            found or f"the connection has failed ({str(error.strerror).lower()}): see whether it still sends"
        )


class _Unpacker:
    """Packets of one sound track in, decoded sound out."""

    def __init__(self) -> None:
        self._form: tuple[str, str, int] | None = None
        self._to_float: Any = None

    def blocks(self, packet: Any) -> Iterator[_Block]:
        """Decode a packet; one that is damaged is left out."""
        import av.error

        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            form = (frame.format.name, frame.layout.name, frame.rate)
            if form != self._form:
                self._form = form
                self._to_float = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.rate)
            stamp = frame.time
            for converted in self._to_float.resample(frame):
                yield _Block(converted.to_ndarray().T, frame.rate, stamp)  # (channels, n) -> (n, channels)


class _Assembler:
    """Blocks of one connection in, chunks out, and when they are due."""

    def __init__(self) -> None:
        self._playout = Playout()
        self._converter: Converter | None = None
        self._form: tuple[int, int] | None = None
        self._next_sample = 0
        self._repaired_before = 0

    @property
    def due(self) -> float:
        """When the newest block is to be passed on, by the monotonic clock."""
        return self._playout.due

    @property
    def repaired_samples(self) -> int:
        """Samples so far that were not numbers."""
        return self._repaired_before + (0 if self._converter is None else self._converter.repaired_samples)

    def accept(self, block: _Block) -> Iterator[AudioChunk]:
        """Convert a block; one that follows a gap is preceded by the rest of what came before the gap."""
        lost_seconds = self._playout.take(len(block.frames) / block.rate_hz, block.stamp, time.monotonic())
        form = (block.rate_hz, block.frames.shape[1])
        if lost_seconds or form != self._form:
            yield from self.finish()
        if lost_seconds:
            self._next_sample += round(lost_seconds * SAMPLE_RATE_HZ)
        if self._converter is None or form != self._form:
            self._repaired_before = self.repaired_samples
            self._converter, self._form = Converter(*form), form
        yield from self._chunk(self._converter.feed(block.frames))

    def finish(self) -> Iterator[AudioChunk]:
        """Return the rest of what has been converted."""
        if self._converter is not None:
            yield from self._chunk(self._converter.flush())

    def _chunk(self, samples: Samples) -> Iterator[AudioChunk]:
        if not len(samples):
            return
        began_at = time.time() - time.monotonic() + self._playout.zero
        yield AudioChunk(samples, self._next_sample, began_at + self._next_sample / SAMPLE_RATE_HZ)
        self._next_sample += len(samples)


def _options(address: StreamAddress) -> dict[str, str]:
    """What FFmpeg is told: to check certificates, and to open nothing of its own accord but the network."""
    options = {
        "user_agent": "Earshot",
        "analyzeduration": str(round(_PROBE_SECONDS * 1e6)),
        "tls_verify": "1",
        "protocol_whitelist": "http,https,httpproxy,crypto,tls,tcp",
    }
    if (bundle := authorities()) is not None:
        options["ca_file"] = bundle
    if address.url.startswith("rtsp"):
        options |= {
            "protocol_whitelist": "rtsp,rtsps,tls,tcp",
            "rtsp_transport": "tcp",
            "allowed_media_types": "audio",
        }
    return options


def _silent(address: StreamAddress, seconds: float) -> NetworkError:
    return NetworkError(
        f"{address.shown} has delivered no sound for {seconds:g} s: see whether it still sends"
    )
