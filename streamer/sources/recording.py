"""Recordings in any format of FFmpeg, in real time or as fast as possible."""

import itertools
import logging
import math
import os
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import RecordingError
from ..messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from ..runtime.files import expanded
from ..runtime.logs import warn_once
from .address import is_file
from .conversion import FormatConverter
from .ffmpeg.decoder import Block, UnsupportedFormat
from .recording_file import RecordingFile, empty, opened
from .selection import Selection, parse_selection

_log = logging.getLogger(__name__)

_CHUNK_SAMPLES = SAMPLE_RATE_HZ // 10

_GAP_SECONDS = 0.1
"""Jump of the time stamps that is more than rounding."""

_GAP_AFTER_DAMAGE_SECONDS = 0.002
"""The same behind a damaged packet."""

_LONGEST_GAP_SECONDS = 3600.0
"""Jump from which time stamps are wrong, or begin at another zero."""

_SHORT_SECONDS = 1.0
"""Missing audio from which a recording is cut off."""

_Stretch: TypeAlias = tuple[int, Samples]
"""Position and samples."""


def parse_recording(address: str) -> tuple[str, Selection]:
    """Split ``FILE``, ``FILE#CHANNEL`` or ``FILE#track=2``; an existing file with such a name is meant itself.

    Raises
    ------
    RecordingError
        The text behind ``#`` selects nothing.
    """
    path, mark, fragment = address.rpartition("#")
    if not mark or is_file(address) or not is_file(path):
        return address, Selection()
    selection = parse_selection(fragment)
    if selection is None:
        raise RecordingError(
            f"the # of {address} must be followed by the number of a channel, such as #2, or by an audio track, such as #track=2"
        )
    return path, selection


class Recording:
    """Recording, read block by block: memory does not grow with its length.

    The index jumps over audio that is missing according to the time stamps of the file. Damaged packets are left out, and
    a log line counts them.

    Parameters
    ----------
    name : str
        Name for people.
    path : str or os.PathLike
        File that FFmpeg reads.
    live : bool
        Play in real time: a chunk is due when its last sample would have been captured. Otherwise read as fast as
        possible.
    loop : bool
        Restart at the end; the index of the stream goes on.
    selection : Selection, optional
        Audio track and channel. By default all channels of the first track are mixed.
    isolated : bool
        Decode in a process with limits; leave it out for files that are known to be good.

    Attributes
    ----------
    faults : tuple of str
        Damage of the file, once it has been read to its end.
    """

    def __init__(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        live: bool,
        loop: bool = False,
        selection: Selection | None = None,
        isolated: bool = True,
    ) -> None:
        self.name = name
        self.live = live
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self.faults: tuple[str, ...] = ()
        self._path = expanded(Path(path))
        self._loop = loop
        self._selection = selection or Selection()
        self._isolated = isolated
        self._closed = threading.Event()

    @property
    def is_patient(self) -> bool:
        """True if the recording begins when it is read, and ends: nothing is missed before."""
        return not self._loop

    def check(self) -> None:
        """Open the file, read its beginning and close it.

        Raises
        ------
        RecordingError
            The file is missing, unreadable, not a recording, or empty, or has no such track or channel.
        """
        with opened(self._path, self._selection.track, isolated=self._isolated) as file:
            reading = _Reading(self._path, file, self._selection.channel)
            next(reading.stretches(), None)

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield the recording, a tenth of a second at a time; the last chunk, and one before a gap, may be shorter.

        Raises
        ------
        RecordingError
            The file is missing, unreadable, not a recording or empty, or can't be read further (after the chunks before).
        """
        began, began_at = -math.inf, 0.0
        for start_sample, samples in self._split():
            if began == -math.inf:  # opening takes a while
                began, began_at = time.monotonic(), time.time()
            if self.live:
                end_sample = start_sample + len(samples)
                self._closed.wait(began + end_sample / SAMPLE_RATE_HZ - time.monotonic())
                began_at = began + time.time() - time.monotonic()  # the wall clock may have been set
            if self._closed.is_set():
                return
            yield AudioChunk(samples, start_sample, began_at + start_sample / SAMPLE_RATE_HZ)

    def close(self) -> None:
        """Make `chunks` end at once."""
        self._closed.set()

    def _split(self) -> Iterator[_Stretch]:
        """Split the decoded audio into chunks; an error is raised after the samples before it."""
        start, waiting = 0, np.empty(0, np.float32)
        failure = None
        try:
            for position, samples in self._decode():
                if position > start + len(waiting):
                    if len(waiting):
                        yield start, waiting
                    start, waiting = position, np.empty(0, np.float32)
                waiting = np.concatenate([waiting, samples])
                while len(waiting) >= _CHUNK_SAMPLES:
                    yield start, waiting[:_CHUNK_SAMPLES].copy()
                    start, waiting = start + _CHUNK_SAMPLES, waiting[_CHUNK_SAMPLES:]
        except RecordingError as error:
            failure = error
        if len(waiting):
            yield start, waiting
        if failure is not None:
            raise failure

    def _decode(self) -> Iterator[_Stretch]:
        """Decode the file, once or in a loop. Each pass begins like the first, so that all passes are equal."""
        offset = 0
        for repeat in itertools.count():
            if repeat and not self._loop:
                return
            with opened(self._path, self._selection.track, isolated=self._isolated) as file:
                reading = _Reading(self._path, file, self._selection.channel)
                repaired_before = self.repaired_samples
                for position, samples in reading.stretches():
                    self.repaired_samples = repaired_before + reading.repaired_samples
                    yield offset + position, samples
                offset += reading.next_sample
                self._report(reading)

    def _report(self, reading: "_Reading") -> None:
        self.faults = tuple(reading.faults())
        for fault in self.faults:
            warn_once(_log, f"{self._path}: {fault}")


class _Reading:
    """Reading of a file from its beginning: samples and their positions, by the time stamps of the file."""

    def __init__(self, path: Path, file: RecordingFile, channel: int | None) -> None:
        self._path = path
        self._file = file
        self._converter = FormatConverter(channel, str(path))
        self._zero = file.zero
        self._seconds = 0.0  # end of the blocks so far
        self._damaged_packets = 0
        self._first_damage = 0.0
        self.next_sample = 0

    @property
    def repaired_samples(self) -> int:
        """NaN or infinite samples replaced so far."""
        return self._converter.repaired_samples

    def stretches(self) -> Iterator[_Stretch]:
        """Yield consecutive samples and their positions."""
        failure = None
        try:
            for block in self._file.blocks():
                yield from self._accept(block)
        except UnsupportedFormat as error:
            raise RecordingError(f"{self._path} {error}") from error
        except RecordingError as error:
            failure = error
        yield from self._place(self._converter.flush())
        if failure is not None:
            raise failure
        if not self._seconds:
            raise self._nothing()

    def _accept(self, block: Block) -> Iterator[_Stretch]:
        """Convert a block; before one that follows a gap, yield the rest of the audio before the gap."""
        shortest = _GAP_SECONDS
        if self._file.damaged_packets > self._damaged_packets:
            self._first_damage = self._first_damage if self._damaged_packets else self._seconds
            self._damaged_packets = self._file.damaged_packets
            shortest = _GAP_AFTER_DAMAGE_SECONDS
        stamp = self._zero + self._seconds if block.stamp is None else block.stamp
        gap = stamp - self._zero - self._seconds
        if gap < -_GAP_SECONDS or gap > _LONGEST_GAP_SECONDS:
            self._zero = stamp - self._seconds
        elif gap > shortest:
            yield from self._place(self._converter.flush())
            self._seconds += gap
            self.next_sample = max(self.next_sample, round(self._seconds * SAMPLE_RATE_HZ))
        self._seconds += len(block.frames) / block.rate_hz
        yield from self._place(self._converter.feed(block.frames, block.rate_hz))

    def _place(self, samples: Samples) -> Iterator[_Stretch]:
        if len(samples):
            position, self.next_sample = self.next_sample, self.next_sample + len(samples)
            yield position, samples

    def _nothing(self) -> RecordingError:
        if self._file.damaged_packets:
            return RecordingError(f"{self._path} has no audio that can be decoded; get an intact copy")
        return empty(self._path)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the file after the whole of it has been read, as predicates."""
        if damaged := self._file.damaged_packets:
            first = self._first_damage if self._damaged_packets else self._seconds
            yield f"damaged packets are left out ({damaged}, the first at second {first:.1f})"
        announced = self._file.announced_seconds
        if announced is not None and announced - self._seconds > _SHORT_SECONDS:
            yield f"cut off at second {self._seconds:.1f} of {announced:.1f}"
