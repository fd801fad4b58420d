"""Bare samples from a pipe: signed 16-bit little-endian, 16 kHz, mono."""

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
"""Sound that comes later than this was not sound of that time: it is counted as lost."""


class PcmInput:
    """Samples that another program writes, s16le at 16 kHz, mono, without a header.

    The time of the first sample is taken when it arrives. Where a live pipe falls behind the clock by more than a
    second, the index jumps by what is missing. An odd byte at the end is dropped. The stream is
    read, not owned: closing the source leaves it open.

    `close` interrupts a wait within a fifth of a second on POSIX systems. On Windows, where a pipe can't be
    waited for, it takes effect when the next samples arrive or the pipe ends.

    Parameters
    ----------
    name : str
        What people call it.
    stream : BinaryIO or int
        What is read, by its file descriptor; anything that buffers in front of it is passed by.
    live : bool
        Whether the samples come as they are captured.
    """

    def __init__(self, name: str, stream: BinaryIO | int, *, live: bool = True) -> None:
        self.name = name
        self.live = live
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self._descriptor = stream if isinstance(stream, int) else stream.fileno()
        self._closed = threading.Event()

    def check(self) -> None:
        """See whether samples may come, without reading any.

        Raises
        ------
        SourceError
            The stream is a terminal.
        """
        if os.isatty(self._descriptor):
            raise SourceError(
                f"{self.name} is a terminal, which has no sound; pipe s16le samples into it, 16 kHz mono"
            )

    def chunks(self) -> Generator[AudioChunk, None, None]:
        """Yield what arrives, at most a tenth of a second at a time, until the stream ends.

        Raises
        ------
        SourceError
            It can't be read, or nothing that could be sound comes out of it.
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
                f"{self.name} ended before any sound came; pipe s16le samples into it, 16 kHz mono "
                "(arecord -t raw -f S16_LE -r 16000 -c 1 | ...)"
            )

    def close(self) -> None:
        """Make `chunks` end soon."""
        self._closed.set()

    def _read(self) -> bytes:
        """Wait for bytes and return them; none at the end of the stream, or when the source is closed."""
        try:
            if sys.platform != "win32":
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                while not self._closed.is_set() and not poll.poll(_POLL_MILLISECONDS):
                    pass
            return b"" if self._closed.is_set() else os.read(self._descriptor, _CHUNK_BYTES)
        except OSError as error:
            raise SourceError(
                f"{self.name} can't be read ({error.strerror}); see to it that the program before it runs"
            ) from error


def _stalled_samples(began: float, end_sample: int) -> int:
    """How many samples did not come in time, if it is more than a breath of the program that sends them."""
    late_seconds = elapsed_seconds() - began - end_sample / SAMPLE_RATE_HZ
    return round(late_seconds * SAMPLE_RATE_HZ) if late_seconds > _STALL_SECONDS else 0


def _refuse_wav(name: str, received: bytes) -> None:
    if received.startswith(b"RIFF"):
        raise SourceError(
            f"{name} is a WAV file, not bare samples; name the file as the source instead, or have the header left out "
            "(arecord -t raw, ffmpeg -f s16le)"
        )
