"""Recordings, opened with FFmpeg."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import RecordingError
from .ffmpeg.decoder import Block
from .ffmpeg.decoding import Decoding
from .ffmpeg.pool import borrowed
from .ffmpeg.process import FFmpegProcess
from .ffmpeg.wire import DecodingFailure, Failure, Opened, Request
from .wav import read_size

_FORMATS = (
    *("aac", "ac3", "ac4", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "asf_o", "au", "avi", "avr"),
    *("caf", "dsf", "dts", "dtshd", "dv", "eac3", "flac", "flv", "g722", "gsm", "gxf", "iff", "ircam"),
    *("live_flv", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf"),
    *("nistsphere", "nut", "ogg", "oma", "paf", "pvf", "qcp", "qoa", "rm", "sds", "shn", "sln", "sox"),
    *("spdif", "tak", "truehd", "tta", "voc", "w64", "wav", "wsd", "wtv", "wv", "wve", "xwma"),
)
"""Formats of recordings. FFmpeg's others open further files and URLs (playlists), devices or pictures."""

_FAILURES = {
    "no audio": "{path} has no audio track; give a recording with audio",
    "no decoder": "{path} has audio of an unknown encoding; convert it to WAV or FLAC",
    "format": "{path} {text}",
    "memory": "{path} can't be decoded within the memory limit; convert it to WAV or FLAC, or give another file",
    "crash": "{path} crashes FFmpeg ({text}); convert it to WAV or FLAC, or give another file",
    "silent": "{path} can't be decoded: FFmpeg hangs; convert it to WAV or FLAC, or give another file",
    "start": "{path}: can't start a process for it ({text}); close other programs",
    "unexpected": "{path}: an unexpected error in FFmpeg's process; run with --debug and report the traceback",
}


class RecordingFile:
    """Open recording.

    Parameters
    ----------
    path : Path
        File, for error messages.
    decoding : Decoding or FFmpegProcess
        Decoder, which has opened the file.
    opened : Opened
        Facts about the file.
    announced_seconds : float, optional
        Duration according to the header, if `opened` has none.

    Attributes
    ----------
    zero : float
        Stamp at which the recording begins, which may be before its audio.
    announced_seconds : float or None
        Duration according to the header.
    """

    def __init__(
        self,
        path: Path,
        decoding: Decoding | FFmpegProcess,
        opened: Opened,
        announced_seconds: float | None = None,
    ) -> None:
        self._path = path
        self._decoding = decoding
        self.zero = opened.zero
        self.announced_seconds = announced_seconds if opened.seconds is None else opened.seconds

    @property
    def damaged_packets(self) -> int:
        """Packets left out so far, because they are damaged."""
        return self._decoding.damaged_packets

    def blocks(self) -> Iterator[Block]:
        """Yield the decoded audio.

        Raises
        ------
        RecordingError
            The recording can't be read further, or its format is not supported.
        """
        seconds = 0.0
        try:
            for block in self._decoding.blocks():
                yield block
                seconds += len(block.frames) / block.rate_hz
        except DecodingFailure as error:
            sentence = _FAILURES.get(
                error.failure.reason, "{path} can't be read beyond second {seconds:.1f}; get an intact copy"
            )
            raise RecordingError(
                sentence.format(path=self._path, seconds=seconds, text=error.failure.text)
            ) from error


@contextlib.contextmanager
def opened(path: Path, track: int = 1, *, isolated: bool = True) -> Iterator[RecordingFile]:
    """Open a recording; close it at the end of the block.

    Parameters
    ----------
    path : Path
        File.
    track : int
        Number of the audio track, counted from 1.
    isolated : bool
        Decode in a process with limits. It costs a fraction of a second for the first recording, and little for the next.

    Raises
    ------
    RecordingError
        The file is missing, unreadable, empty or not a recording, or has no such track.
    """
    _check_file(path)
    size = read_size(path)
    options = {"protocol_whitelist": "file"}
    if size.too_small:
        options["ignore_length"] = "1"
    request = Request(_address(path), _FORMATS, options, track=track)
    with contextlib.ExitStack() as stack:
        try:
            decoding, facts = stack.enter_context(_decoding(request, isolated=isolated))
        except DecodingFailure as error:
            raise _refusal(path, track, error.failure) from error
        yield RecordingFile(path, decoding, facts, size.seconds)


@contextlib.contextmanager
def _decoding(request: Request, *, isolated: bool) -> Iterator[tuple[Decoding | FFmpegProcess, Opened]]:
    if not isolated:
        with Decoding(request) as decoding:
            yield decoding, decoding.opened
        return
    with borrowed() as process:
        facts = process.open(request)
        if facts is None:
            raise DecodingFailure(Failure("silent"))
        yield process, facts


def _address(path: Path) -> str:
    """Return the path of a file for another process, whose /dev/stdin and /dev/fd/3 are others."""
    if path.is_relative_to("/dev") or path.is_relative_to("/proc"):
        return os.path.realpath(path)
    return os.fspath(path.absolute())


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


def _refusal(path: Path, track: int, failure: Failure) -> RecordingError:
    """Return the error of a recording that can't be opened."""
    if failure.reason == "no track":
        last = failure.number
        choice = "leave #track out" if last == 1 else f"choose one from #track=1 to #track={last}"
        return RecordingError(f"{path} has no audio track {track}; {choice}")
    if failure.reason == "content" and failure.text.endswith("playlist"):
        return RecordingError(f"{path} is {failure.text}; give the recordings or the address in it")
    if failure.reason == "content" and failure.text:
        return RecordingError(f"{path} is {failure.text}, not a recording; give another file")
    sentence = _FAILURES.get(
        failure.reason,
        "{path} is not a readable recording; convert it to WAV or FLAC, or give another file",
    )
    return RecordingError(sentence.format(path=path, text=failure.text))
