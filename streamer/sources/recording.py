"""Recordings in any format of libsndfile or FFmpeg, in real time or as fast as possible."""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import RecordingError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from ..runtime.files import expanded
from .conversion import Converter, Frames

_CHUNK_SAMPLES = SAMPLE_RATE_HZ // 10
_OPEN_TIMEOUT_SECONDS = 10.0


class Recording:
    """Recording, read block by block: memory does not grow with its length.

    A damaged file delivers the decodable part, then raises.

    Parameters
    ----------
    name : str
        Name for people.
    path : str or os.PathLike
        File that libsndfile reads, or whose first audio track FFmpeg reads.
    live : bool
        Play in real time: a chunk is due when its last sample would have been captured. Otherwise read as fast as
        possible.
    loop : bool
        Restart at the end; the index of the stream goes on.
    """

    def __init__(self, name: str, path: str | os.PathLike[str], *, live: bool, loop: bool = False) -> None:
        self.name = name
        self.live = live
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self._path = expanded(Path(path))
        self._loop = loop
        self._closed = threading.Event()

    def check(self) -> None:
        """Open the file, read its beginning and close it.

        Raises
        ------
        RecordingError
            The file is missing, unreadable, not a recording, or empty.
        """
        with _opened(self._path) as sound:
            if next(sound.blocks, None) is None:
                raise _empty(self._path)

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield the recording, a tenth of a second at a time; the last chunk may be shorter.

        Raises
        ------
        RecordingError
            The file is missing, unreadable, not a recording or empty, or damaged (after the chunks before the damage).
        """
        began_at = time.time()
        began = time.monotonic()
        start_sample = 0
        for samples in self._split():
            end_sample = start_sample + len(samples)
            if self.live:
                self._closed.wait(began + end_sample / SAMPLE_RATE_HZ - time.monotonic())
                began_at = began + time.time() - time.monotonic()  # the wall clock may have been set
            if self._closed.is_set():
                return
            yield AudioChunk(samples, start_sample, began_at + start_sample / SAMPLE_RATE_HZ)
            start_sample = end_sample

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()

    def _split(self) -> Iterator[Samples]:
        """Split the decoded audio into chunks; an error is raised after the samples before it."""
        waiting = np.empty(0, np.float32)
        failure = None
        try:
            for samples in self._decode():
                waiting = np.concatenate([waiting, samples])
                while len(waiting) >= _CHUNK_SAMPLES:
                    yield waiting[:_CHUNK_SAMPLES].copy()
                    waiting = waiting[_CHUNK_SAMPLES:]
        except RecordingError as error:
            failure = error
        if len(waiting):
            yield waiting
        if failure is not None:
            raise failure

    def _decode(self) -> Iterator[Samples]:
        """Decode the file, once or in a loop. Each pass has its own converter, so that all passes are equal."""
        for repeat in itertools.count():
            if repeat and not self._loop:
                return
            with _opened(self._path) as sound:
                converter = Converter(sound.rate_hz, sound.channels)
                repaired_before = self.repaired_samples
                frames_read = 0
                failure = None
                try:
                    for frames in sound.blocks:
                        frames_read += len(frames)
                        yield converter.feed(frames)
                        self.repaired_samples = repaired_before + converter.repaired_samples
                except RecordingError as error:
                    failure = error
                yield converter.flush()
                if failure is not None:
                    raise failure
                if not frames_read:
                    raise _empty(self._path)


@dataclass(frozen=True, slots=True, eq=False)
class _OpenFile:
    """Open file: format of its frames, and the frames in blocks."""

    rate_hz: int
    channels: int
    blocks: Iterator[Frames]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_OpenFile]:
    """Open a recording with the first library that supports its format; close it at the end of the block."""
    _check_file(path)
    with contextlib.ExitStack() as stack:
        yield _open_with_libsndfile(path, stack) or _open_with_ffmpeg(path, stack)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise RecordingError(f"{path} is a folder; give one of the recordings in it")
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path} is not a regular file; pipe samples into the source - instead")
        with path.open("rb") as file:
            if not file.read(1):
                raise _empty(path)
    except (FileNotFoundError, ValueError) as error:  # ValueError: an invalid name
        raise RecordingError(f"there is no file {path}; check its name and folder") from error
    except OSError as error:
        raise RecordingError(f"{path} can't be read ({error.strerror}); check its permissions") from error


def _open_with_libsndfile(path: Path, stack: contextlib.ExitStack) -> _OpenFile | None:
    import soundfile

    try:
        file = stack.enter_context(soundfile.SoundFile(os.fspath(path)))
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, whose format is unknown
        return None
    except UnicodeEncodeError as error:
        raise RecordingError(f"{os.fspath(path)!a} has a name that is not UTF-8; rename it") from error
    if file.format == "MP3":  # soundfile seeks after each read, which leaves gaps in the decoded audio
        return None

    def blocks() -> Iterator[Frames]:
        done = 0
        try:
            while len(frames := file.read(max(file.samplerate // 10, 1), dtype="float32", always_2d=True)):
                done += len(frames)
                yield frames
        except soundfile.LibsndfileError as error:
            raise _damaged(path, done / file.samplerate) from error

    return _OpenFile(file.samplerate, file.channels, blocks())


def _open_with_ffmpeg(path: Path, stack: contextlib.ExitStack) -> _OpenFile:
    import av

    try:
        # A playlist contains URLs: only files are opened, and a playlist that is still growing times out.
        container = stack.enter_context(
            av.open(
                os.fspath(path.absolute()),
                options={"protocol_whitelist": "file"},
                timeout=_OPEN_TIMEOUT_SECONDS,
                metadata_errors="replace",  # a title that is not UTF-8
            )
        )
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(
            f"{path} is not a readable recording; convert it to WAV or FLAC, or give another file"
        ) from error
    if not container.streams.audio:
        raise RecordingError(f"{path} has no audio track; give a recording with audio")
    decoded = container.decode(container.streams.audio[0])
    try:
        first = next(decoded, None)
    except av.FFmpegError as error:
        raise _damaged(path, 0.0) from error
    if first is None:
        return _OpenFile(SAMPLE_RATE_HZ, 1, iter(()))

    def blocks() -> Iterator[Frames]:
        # The rate of the first frame counts: the header of some AAC files gives half of it.
        to_float = av.AudioResampler(format="fltp", layout=first.layout, rate=first.rate)
        done = 0
        try:
            for frame in itertools.chain([first], decoded, [None]):
                for converted in to_float.resample(frame):
                    done += converted.samples
                    yield converted.to_ndarray().T  # (channels, n) -> (n, channels)
        except av.FFmpegError as error:
            raise _damaged(path, done / first.rate) from error

    return _OpenFile(first.rate, first.layout.nb_channels, blocks())


def _empty(path: Path) -> RecordingError:
    return RecordingError(f"{path} has no audio in it; give another recording")


def _damaged(path: Path, seconds: float) -> RecordingError:
    return RecordingError(
        f"{path} is damaged at second {seconds:.1f} and can't be decoded further; get an intact copy"
    )
