"""Recordings, opened with FFmpeg."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import RecordingError
from .ffmpeg.contents import describe
from .ffmpeg.decoder import Block, Decoder, UnsupportedFormat, open_container
from .wav import WavSize, read_size

_OPEN_TIMEOUT_SECONDS = 10.0
_SNIFFED_BYTES = 4096

_FORMATS = (
    *("aac", "ac3", "ac4", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "asf_o", "au", "avi", "avr"),
    *("caf", "dsf", "dts", "dtshd", "dv", "eac3", "flac", "flv", "g722", "gsm", "gxf", "iff", "ircam"),
    *("live_flv", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf"),
    *("nistsphere", "nut", "ogg", "oma", "paf", "pvf", "qcp", "qoa", "rm", "sds", "shn", "sln", "sox"),
    *("spdif", "tak", "truehd", "tta", "voc", "w64", "wav", "wsd", "wtv", "wv", "wve", "xwma"),
)
"""Formats of recordings. FFmpeg's others open further files and URLs (playlists), devices or pictures."""

_WITH_LENGTH = ("flac", "matroska", "mov")
"""Formats for which FFmpeg reads the duration from the header; it estimates it for others."""


class RecordingFile:
    """Open recording.

    Parameters
    ----------
    path : Path
        File, for error messages.
    container : av.container.InputContainer
        Container.
    track : int
        Number of the audio track, counted from 1.
    size : WavSize
        Size according to the header.

    Attributes
    ----------
    zero : float
        Stamp at which the recording begins, which may be before its audio.
    announced_seconds : float or None
        Duration according to the header.

    Raises
    ------
    RecordingError
        There is no such track, or it can't be decoded.
    """

    def __init__(self, path: Path, container: Any, track: int, size: WavSize) -> None:
        import av

        self._path = path
        self._container = container
        self._track = _track(path, container.streams.audio, track)
        self._decoder = Decoder()
        names = container.format.name.split(",")
        restarts = container.format.flags & av.format.Flags.ts_discont.value
        began = container.start_time
        self.zero = began / av.time_base if restarts and began is not None else 0.0
        self.announced_seconds = size.seconds
        if set(names) & set(_WITH_LENGTH) and container.duration is not None:
            self.announced_seconds = container.duration / av.time_base

    @property
    def damaged_packets(self) -> int:
        """Packets left out so far, because they are damaged."""
        return self._decoder.damaged_packets

    def blocks(self) -> Iterator[Block]:
        """Yield the decoded audio.

        Raises
        ------
        RecordingError
            The recording can't be read further, or its format is not supported.
        """
        import av

        seconds = 0.0
        try:
            for packet in self._container.demux(self._track):
                for block in self._decoder.blocks(packet):
                    yield block
                    seconds += len(block.frames) / block.rate_hz
        except UnsupportedFormat as error:
            raise RecordingError(f"{self._path} {error}") from error
        except (av.FFmpegError, OSError) as error:
            raise RecordingError(
                f"{self._path} can't be read beyond second {seconds:.1f}; get an intact copy"
            ) from error


@contextlib.contextmanager
def opened(path: Path, track: int = 1) -> Iterator[RecordingFile]:
    """Open a recording; close it at the end of the block.

    Raises
    ------
    RecordingError
        The file is missing, unreadable, empty or not a recording, or has no such track.
    """
    import av

    _check_file(path)
    options = {"protocol_whitelist": "file"}
    size = read_size(path)
    if size.too_small:
        options["ignore_length"] = "1"
    with contextlib.ExitStack() as stack:
        try:
            container = stack.enter_context(
                open_container(
                    os.fspath(path.absolute()),
                    formats=_FORMATS,
                    options=options,
                    timeout=_OPEN_TIMEOUT_SECONDS,
                )
            )
        except (av.FFmpegError, OSError) as error:
            raise _not_a_recording(path) from error
        yield RecordingFile(path, container, track, size)


def empty(path: Path) -> RecordingError:
    """Return the error of a recording without audio."""
    return RecordingError(f"{path} has no audio in it; give another recording")


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise RecordingError(f"{path} is a folder; give one of the recordings in it")
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path} is not a regular file; pipe samples into the source - instead")
        with path.open("rb") as file:
            if not file.read(1):
                raise empty(path)
    except (FileNotFoundError, ValueError) as error:  # ValueError: an invalid name
        raise RecordingError(f"there is no file {path}; check its name and folder") from error
    except OSError as error:
        raise RecordingError(f"{path} can't be read ({error.strerror}); check its permissions") from error


def _not_a_recording(path: Path) -> RecordingError:
    with path.open("rb") as file:
        content = describe(file.read(_SNIFFED_BYTES))
    if content.endswith("playlist"):
        return RecordingError(f"{path} is {content}; give the recordings or the address in it")
    if content:
        return RecordingError(f"{path} is {content}, not a recording; give another file")
    return RecordingError(
        f"{path} is not a readable recording; convert it to WAV or FLAC, or give another file"
    )


def _track(path: Path, tracks: Any, wanted: int) -> Any:
    if not tracks:
        raise RecordingError(f"{path} has no audio track; give a recording with audio")
    if len(tracks) < wanted:
        choice = (
            "leave #track out" if len(tracks) == 1 else f"choose one from #track=1 to #track={len(tracks)}"
        )
        raise RecordingError(f"{path} has no audio track {wanted}; {choice}")
    track = tracks[wanted - 1]
    if track.codec_context is None:
        raise RecordingError(f"{path} has audio of an unknown encoding; convert it to WAV or FLAC")
    return track
