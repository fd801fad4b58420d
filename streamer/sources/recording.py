"""Recordings: whatever libsndfile or FFmpeg can read, in real time or as fast as they can be read."""

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
_PATIENCE_SECONDS = 10.0


class Recording:
    """A recording, read piece by piece: hours of it take no more memory than seconds.

    A broken file delivers what can be decoded, then raises.

    Parameters
    ----------
    name : str
        What people call it.
    path : str or os.PathLike
        Anything libsndfile reads, else the first audio stream of anything FFmpeg reads.
    live : bool
        Play in real time: a chunk comes when its last sample would have been captured. Otherwise as fast as
        it can be read.
    loop : bool
        Start again at the end; the stream's index goes on.
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
        """Open the file, read its beginning and let it go.

        Raises
        ------
        RecordingError
            It is missing, unreadable, no recording, or has no sound in it.
        """
        with _opened(self._path) as sound:
            if next(sound.blocks, None) is None:
                raise _empty(self._path)

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield the recording, a tenth of a second at a time; the last chunk may be shorter.

        Raises
        ------
        RecordingError
            The file is missing, unreadable, no recording or empty, or breaks off (after what came before).
        """
        began_at = time.time()
        began = time.monotonic()
        start_sample = 0
        for samples in self._cut():
            end_sample = start_sample + len(samples)
            if self.live:
                self._closed.wait(began + end_sample / SAMPLE_RATE_HZ - time.monotonic())
                began_at = began + time.time() - time.monotonic()  # which may have been set
            if self._closed.is_set():
                return
            yield AudioChunk(samples, start_sample, began_at + start_sample / SAMPLE_RATE_HZ)
            start_sample = end_sample

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()

    def _cut(self) -> Iterator[Samples]:
        """Cut what is decoded into chunks; an error comes after the samples that came before it."""
        waiting = np.empty(0, np.float32)
        failure = None
        try:
            for samples in self._decoded():
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

    def _decoded(self) -> Iterator[Samples]:
        """Decode the file, once or for ever. Each turn is converted by itself, so all of them are equal."""
        for turn in itertools.count():
            if turn and not self._loop:
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
class _Sound:
    """An open file: what its frames are, and the frames, block by block."""

    rate_hz: int
    channels: int
    blocks: Iterator[Frames]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Sound]:
    """Open a recording with the first library that knows its format, for as long as the block lasts."""
    _refuse_what_is_no_file(path)
    with contextlib.ExitStack() as stack:
        yield _opened_by_libsndfile(path, stack) or _opened_by_ffmpeg(path, stack)


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise RecordingError(f"{path} is a folder; name one of the recordings in it")
        if path.exists() and not path.is_file():
            raise RecordingError(f"{path} is no regular file; pipe samples into the source - instead")
        with path.open("rb") as file:
            if not file.read(1):
                raise _empty(path)
    except (FileNotFoundError, ValueError) as error:  # ValueError: no file can have such a name
        raise RecordingError(f"there is no file {path}; check its name and folder") from error
    except OSError as error:
        raise RecordingError(f"{path} can't be read ({error.strerror}); check its permissions") from error


def _opened_by_libsndfile(path: Path, stack: contextlib.ExitStack) -> _Sound | None:
    import soundfile

    try:
        file = stack.enter_context(soundfile.SoundFile(os.fspath(path)))
    except (soundfile.LibsndfileError, TypeError):  # TypeError: a .raw file, of which nothing is known
        return None
    except UnicodeEncodeError as error:
        raise RecordingError(f"{os.fspath(path)!a} has a name that is no UTF-8: rename it") from error
    if (
        file.format == "MP3"
    ):  # soundfile seeks after each read, which makes holes in what libsndfile decodes next
        return None

    def blocks() -> Iterator[Frames]:
        done = 0
        try:
            while len(frames := file.read(max(file.samplerate // 10, 1), dtype="float32", always_2d=True)):
                done += len(frames)
                yield frames
        except soundfile.LibsndfileError as error:
            raise _broken(path, done / file.samplerate) from error

    return _Sound(file.samplerate, file.channels, blocks())


def _opened_by_ffmpeg(path: Path, stack: contextlib.ExitStack) -> _Sound:
    import av

    try:
        # A playlist names addresses: none but files are opened, and one that waits for its end is given up.
        container = stack.enter_context(
            av.open(
                os.fspath(path.absolute()),
                options={"protocol_whitelist": "file"},
                timeout=_PATIENCE_SECONDS,
                metadata_errors="replace",  # a title that is no UTF-8
            )
        )
    except (av.FFmpegError, OSError) as error:
        raise RecordingError(
            f"{path} is no recording that can be read; convert it to WAV or FLAC, or name another file"
        ) from error
    if not container.streams.audio:
        raise RecordingError(f"{path} has no sound track; name a recording with sound")
    decoded = container.decode(container.streams.audio[0])
    try:
        first = next(decoded, None)
    except av.FFmpegError as error:
        raise _broken(path, 0.0) from error
    if first is None:
        return _Sound(SAMPLE_RATE_HZ, 1, iter(()))

    def blocks() -> Iterator[Frames]:
        # The rate is the first frame's: the header of some AAC files tells half of it.
        to_float = av.AudioResampler(format="fltp", layout=first.layout, rate=first.rate)
        done = 0
        try:
            for frame in itertools.chain([first], decoded, [None]):
                for converted in to_float.resample(frame):
                    done += converted.samples
                    yield converted.to_ndarray().T  # (channels, n) -> (n, channels)
        except av.FFmpegError as error:
            raise _broken(path, done / first.rate) from error

    return _Sound(first.rate, first.layout.nb_channels, blocks())


def _empty(path: Path) -> RecordingError:
    return RecordingError(f"{path} is empty: there is no sound in it; name another recording")


def _broken(path: Path, seconds: float) -> RecordingError:
    return RecordingError(
        f"{path} is broken at second {seconds:.1f} and can't be decoded further; get a whole copy of it"
    )
