"""Raw samples from a pipe: signed 16-bit little-endian, 16 kHz, mono."""

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

_CHUNK_BYTES = SAMPLE_RATE_HZ // 10 * 2
_POLL_MILLISECONDS = 200
_STALL_SECONDS = 1.0
"""Delay from which missing samples count as lost, instead of late."""


class PcmInput:
    """Samples from another program: s16le, 16 kHz, mono, without a header.

    The first sample gets the time of its arrival. If a live pipe falls behind the clock by more than a second, the
    index jumps over the missing samples. An odd byte at the end is dropped. Closing the source leaves the stream open.

    `close` interrupts a read within a fifth of a second on POSIX systems. On Windows, where waiting for a pipe is
    impossible, it takes effect when the next samples arrive or the pipe ends.

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
            The stream can't be read, or contains no raw samples.
        """
        start_sample = 0
        began = 0.0
        odd = b""
        while received := self._read():
            if start_sample == 0:
                _refuse_wav(self.name, odd + received)
                began = elapsed_seconds() - len(received) / 2 / SAMPLE_RATE_HZ
            elif self.live:
                start_sample += _stalled_samples(began, start_sample + len(received) // 2)
            received = odd + received
            whole = len(received) - len(received) % 2
            odd = received[whole:]
            if not whole:
                continue
            samples = np.frombuffer(received[:whole], "<i2").astype(np.float32) / np.float32(32_768)
            began_at = began + time.time() - elapsed_seconds()
            yield AudioChunk(samples, start_sample, began_at + start_sample / SAMPLE_RATE_HZ)
            start_sample += len(samples)
        if start_sample == 0 and not self._closed.is_set():
            raise SourceError(
                f"{self.name} ended without any audio; pipe s16le samples into it, 16 kHz mono "
                "(arecord -t raw -f S16_LE -r 16000 -c 1 | ...)"
            )

    def close(self) -> None:
        """Make `chunks` end soon."""
        self._closed.set()

    def _read(self) -> bytes:
        """Wait for bytes and return them; return none at the end of the stream, or when the source is closed."""
        try:
            if sys.platform != "win32":
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                while not self._closed.is_set() and not poll.poll(_POLL_MILLISECONDS):
                    pass
            return b"" if self._closed.is_set() else os.read(self._descriptor, _CHUNK_BYTES)
        except OSError as error:
            raise SourceError(
                f"{self.name} can't be read ({error.strerror}); check that the program that writes it is running"
            ) from error


def _stalled_samples(began: float, end_sample: int) -> int:
    """Return the number of missing samples; 0 if the sender is late by less than `_STALL_SECONDS`."""
    late_seconds = elapsed_seconds() - began - end_sample / SAMPLE_RATE_HZ
    return round(late_seconds * SAMPLE_RATE_HZ) if late_seconds > _STALL_SECONDS else 0


def _refuse_wav(name: str, received: bytes) -> None:
    if received.startswith(b"RIFF"):
        raise SourceError(
            f"{name} is a WAV file, not raw samples; give the file as the source instead, or leave out the header "
            "(arecord -t raw, ffmpeg -f s16le)"
        )
