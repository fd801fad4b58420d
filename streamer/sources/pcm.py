"""Raw samples from a pipe: signed 16-bit little-endian, 16 kHz, mono."""

import math
import os
import select
import sys
import threading
import time
from collections.abc import Generator
from typing import BinaryIO

import numpy as np

from ..errors import SourceError
from ..messages import SAMPLE_RATE_HZ, AudioChunk
from ..runtime.timing import elapsed_seconds
from .file_headers import NEEDED_BYTES, kind_of_file

_CHUNK_BYTES = SAMPLE_RATE_HZ // 10 * 2
_RETRY_SECONDS = 0.5
_POLL_MILLISECONDS = 200

_STALL_SECONDS = 1.0
"""Delay from which missing samples count as lost, instead of late."""

_SILENT_SECONDS = 15.0
"""Time without any sample after which a live sender counts as failed, until it sends again."""

_BURST_SECONDS = 2.0
"""Audio that may wait in a pipe of 64 kB when reading begins."""

_BACKLOG_SECONDS = 5.0
"""Time after a stall in which the audio that was late may arrive in a burst."""

_DRIFT = 0.001
"""Largest error of a sender's clock: such a sender is followed, and a faster one is slowed down."""

_PERIOD_SECONDS = 30.0
"""Time over which the lateness of a slow sender is measured."""


class _Pace:
    """Times of the samples of a live sender, by a clock that is never set.

    Samples can't arrive before they are captured. So audio that is early moves the time of index 0 back, as long as that
    is a burst or the error of a clock; a sender of a recording that goes on like this has to wait. If all audio of a
    while is late, the sender's clock is slow, and the time of index 0 moves forward as slowly.

    Parameters
    ----------
    zero : float
        Capture time of index 0.

    Attributes
    ----------
    zero : float
        Capture time of index 0 so far.
    """

    def __init__(self, zero: float) -> None:
        self.zero = zero
        self._allowed_seconds = _BURST_SECONDS
        self._backlog_seconds = 0.0
        self._backlog_until = zero
        self._least_late = _STALL_SECONDS
        self._period_end = _PERIOD_SECONDS

    def stalled_samples(self, end_sample: int, now: float) -> int:
        """Return the number of samples missing before those that end here; 0 if they are late by less than `_STALL_SECONDS`."""
        late_seconds = now - self.zero - end_sample / SAMPLE_RATE_HZ
        if late_seconds <= _STALL_SECONDS:
            return 0
        self._backlog_seconds, self._backlog_until = late_seconds, now + _BACKLOG_SECONDS
        return round(late_seconds * SAMPLE_RATE_HZ)

    def wait_seconds(self, seconds: float, end_sample: int, now: float) -> float:
        """Return the time to wait before the next samples, which last so long and end here, are passed on."""
        end_seconds = end_sample / SAMPLE_RATE_HZ
        early = self.zero + end_seconds - now
        shift = self._allow(max(early, 0.0), now)
        self.zero -= shift
        self._allowed_seconds = min(_BURST_SECONDS, self._allowed_seconds + _DRIFT * seconds)
        self._least_late = min(self._least_late, max(-early, 0.0))
        if end_seconds > self._period_end:
            self.zero += min(self._least_late, _DRIFT * _PERIOD_SECONDS)
            self._least_late, self._period_end = _STALL_SECONDS, end_seconds + _PERIOD_SECONDS
        return max(early - shift, 0.0)

    def _allow(self, early: float, now: float) -> float:
        """Return the part of this time that is a burst or an error of the sender's clock, and deduct it from the allowance."""
        backlog = min(early, self._backlog_seconds) if now < self._backlog_until else 0.0
        burst = min(early - backlog, self._allowed_seconds)
        self._backlog_seconds -= backlog
        self._allowed_seconds -= burst
        return backlog + burst


class PcmInput:
    """Samples from another program: s16le, 16 kHz, mono, without a header.

    The first sample gets the time of its arrival. A live pipe is read no faster than the clock allows, so that a program
    that sends a recording has to wait; bursts of two seconds are allowed. If a live pipe falls behind the clock by more
    than a second, the index jumps over the missing samples. If nothing comes for 15 s, `chunks` fails, and continues with
    the next samples when called again. An odd byte at the end is dropped. Closing the source leaves the stream open.

    `close` interrupts a read within a fifth of a second on POSIX systems. On Windows, where waiting for a pipe is
    impossible, it takes effect when the next samples arrive or the pipe ends, and a sender that hangs goes unnoticed.

    Parameters
    ----------
    name : str
        Name for people.
    stream : BinaryIO or int
        Stream to read from by its file descriptor; a Python buffer in front of it is bypassed.
    live : bool
        True if the samples arrive as they are captured.
    """

    def __init__(self, name: str, stream: BinaryIO | int, *, live: bool = True) -> None:
        self.name = name
        self.live = live
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self._descriptor = stream if isinstance(stream, int) else stream.fileno()
        self._closed = threading.Event()
        self._pace: _Pace | None = None
        self._start_sample = 0
        self._odd = b""
        self._beginning = b""

    @property
    def is_silent(self) -> bool:
        """True if `chunks` has failed because nothing came, and can be called again."""
        return self.retry_seconds is not None

    def check(self) -> None:
        """Check that the stream can deliver samples, without reading any.

        Raises
        ------
        SourceError
            The stream is a terminal.
        """
        if os.isatty(self._descriptor):
            raise SourceError(
                f"{self.name} is a terminal, which has no audio; pipe s16le samples into it, 16 kHz mono"
            )

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield the samples that arrive, at most a tenth of a second at a time, until the stream ends.

        Raises
        ------
        SourceError
            The stream can't be read, contains no raw samples, or has delivered none for 15 s.
        """
        self.retry_seconds = None
        received = self._read_beginning() if self._pace is None else self._read()
        if self._pace is None:
            if (kind := kind_of_file(received)) is not None:
                raise SourceError(
                    f"{self.name} is {kind}, not raw samples; give the file as the source instead, or decode it "
                    "(ffmpeg -i FILE -f s16le -ar 16000 -ac 1 -; arecord -t raw)"
                )
            self._pace = _Pace(elapsed_seconds() - len(received) / 2 / SAMPLE_RATE_HZ)
        while received:
            received = self._odd + received
            whole = len(received) - len(received) % 2
            self._odd = received[whole:]
            if whole:
                chunk = self._chunk(received[:whole], self._pace)
                if self._closed.is_set():
                    return
                yield chunk
            received = self._read()
        if self._start_sample == 0 and not self._closed.is_set():
            raise SourceError(
                f"{self.name} ended without any audio; pipe s16le samples into it, 16 kHz mono "
                "(arecord -t raw -f S16_LE -r 16000 -c 1 | ...)"
            )

    def close(self) -> None:
        """Make `chunks` end soon."""
        self._closed.set()

    def _chunk(self, received: bytes, pace: _Pace) -> AudioChunk:
        """Return the samples in some bytes, when they are due."""
        samples = np.frombuffer(received, "<i2").astype(np.float32) / np.float32(32_768)
        start_sample, count = self._start_sample, len(samples)
        if self.live:
            start_sample += pace.stalled_samples(start_sample + count, elapsed_seconds())
            self._wait(pace, count, start_sample + count)
        self._start_sample = start_sample + count
        began_at = pace.zero + time.time() - elapsed_seconds()
        return AudioChunk(samples, start_sample, began_at + start_sample / SAMPLE_RATE_HZ)

    def _wait(self, pace: _Pace, samples: int, end_sample: int) -> None:
        """Wait until samples that come too early are due."""
        self._closed.wait(pace.wait_seconds(samples / SAMPLE_RATE_HZ, end_sample, elapsed_seconds()))

    def _read_beginning(self) -> bytes:
        """Read enough to recognise a file, with what came before a sender fell silent."""
        while len(self._beginning) < NEEDED_BYTES and (
            more := self._read(NEEDED_BYTES - len(self._beginning))
        ):
            self._beginning += more
        return b"" if self._closed.is_set() else self._beginning

    def _read(self, most_bytes: int = _CHUNK_BYTES) -> bytes:
        """Wait for bytes and return them; return none at the end of the stream, or when the source is closed.

        Raises
        ------
        SourceError
            The stream can't be read, or is live and nothing has come for a while.
        """
        longest_seconds = _SILENT_SECONDS if self.live else math.inf
        latest = elapsed_seconds() + longest_seconds
        try:
            if sys.platform != "win32":
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                while not self._closed.is_set() and not poll.poll(_POLL_MILLISECONDS):
                    if elapsed_seconds() > latest:
                        self.retry_seconds = _RETRY_SECONDS
                        raise SourceError(
                            f"{self.name} has delivered nothing for {longest_seconds:g} s; check the program that writes it"
                        )
            return b"" if self._closed.is_set() else os.read(self._descriptor, most_bytes)
        except OSError as error:
            raise SourceError(
                f"{self.name} can't be read ({error.strerror}); check that the program that writes it is running"
            ) from error
