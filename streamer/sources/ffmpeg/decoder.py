"""Decoder of audio tracks: packets of FFmpeg in, blocks of float32 frames out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 3_000_000
MOST_CHANNELS = 64


class UnsupportedFormat(ValueError):  # noqa: N818 - what a file or stream has
    """A sample rate or number of channels out of bounds. The message is a predicate: "has …; …"."""


def _check_format(rate_hz: float, channels: int) -> None:
    """Check the format of a recording or stream, which may claim anything.

    Raises
    ------
    UnsupportedFormat
        The sample rate or the number of channels is out of bounds.
    """
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise UnsupportedFormat(
            f"has a sample rate of {rate_hz:g} Hz; convert it to one from {LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise UnsupportedFormat(
            f"has {channels} channels; extract at most {MOST_CHANNELS} of them (ffmpeg -af pan=…)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Decoded audio.

    Attributes
    ----------
    frames : float32 (n, channels)
        Frames.
    rate_hz : int
        Sample rate. It may change from block to block, and so may the number of channels.
    stamp : float or None
        Start by the clock of the sender or container, in seconds; None if unknown.
    """

    frames: NDArray[np.float32]
    rate_hz: int
    stamp: float | None


def open_container(
    address: str,
    *,
    formats: Sequence[str],
    options: Mapping[str, str],
    timeout: float | tuple[float, float],
    demuxer: str | None = None,
    io_open: Callable[..., Any] | None = None,
) -> Any:
    """Open a container, to be used in a `with` statement.

    Parameters
    ----------
    address : str
        Path or URL.
    formats : sequence of str
        Names of the only demuxers that FFmpeg may use. Others open further files and URLs, devices or pictures.
    options : mapping
        Options of FFmpeg.
    timeout : float or (float, float)
        Time limit for opening, and for each read, in seconds.
    demuxer : str, optional
        Name of the demuxer; by default FFmpeg detects it.
    io_open : callable, optional
        Opener of the address, and of every further one; by default FFmpeg itself.

    Raises
    ------
    av.FFmpegError or OSError
        It can't be opened, or is of another format.
    """
    import av

    return av.open(
        address,
        format=demuxer,
        options={**options, "format_whitelist": ",".join(formats)},
        timeout=timeout,
        io_open=io_open,
        metadata_errors="replace",  # a title that is not UTF-8
    )


class Decoder:
    """Decoder of the packets of one audio track.

    A damaged packet is left out and counted: the stamp of the next block jumps by its duration, if the format has stamps.

    Attributes
    ----------
    damaged_packets : int
        Packets left out so far.
    """

    def __init__(self) -> None:
        self.damaged_packets = 0
        self._format: tuple[str, str, int] | None = None
        self._to_float: Any = None

    def blocks(self, packet: Any) -> Iterator[Block]:
        """Decode a packet of the track. The last, empty one of a container returns what the decoder still holds.

        Raises
        ------
        UnsupportedFormat
            The sample rate or the number of channels is out of bounds.
        """
        import av

        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.MemoryError:
            raise
        except av.FFmpegError:
            self.damaged_packets += any(bytes(packet))  # zeros are padding
            return
        for frame in frames:
            form = (frame.format.name, frame.layout.name, frame.rate)
            if form != self._format:
                _check_format(frame.rate, frame.layout.nb_channels)
                # Interleaved floats: PyAV can read no more than eight planes.
                self._to_float = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.rate)
                self._format = form
            stamp = frame.time
            for converted in self._to_float.resample(frame):
                yield Block(converted.to_ndarray().reshape(converted.samples, -1), frame.rate, stamp)
