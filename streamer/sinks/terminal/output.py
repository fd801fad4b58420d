"""Writer of whole lines to a stream whose reader may go away."""

import errno
import os
import sys
import threading
from contextlib import suppress
from typing import IO

from ...errors import OutputClosed, SinkError


class LineWriter:
    """Writes whole lines, from any thread.

    Parameters
    ----------
    stream : text stream
        Destination, such as ``sys.stdout``.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._closed = False

    def write(self, line: str) -> None:
        """Write a line and flush.

        Raises
        ------
        OutputClosed
            The reader has gone; also for every further line.
        SinkError
            The line can't be written, as on a full disk.
        """
        with self._lock:
            if self._closed:
                raise OutputClosed("the output was closed by its reader")
            try:
                self._stream.write(_encodable(line, self._stream) + "\n")
                self._stream.flush()
            except OSError as error:
                if not _is_closed_pipe(error):
                    raise SinkError(
                        f"the output can't be written ({error.strerror}): check where it goes"
                    ) from None
                self._closed = True
                _discard_buffer(self._stream)
                raise OutputClosed("the output was closed by its reader") from None


def _is_closed_pipe(error: OSError) -> bool:
    """Return True if the reader of a pipe has gone, which Windows reports as an invalid argument."""
    return isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL)


def _discard_buffer(stream: IO[str]) -> None:
    """Redirect the stream to nowhere, because Python would complain about its buffer at exit."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - os.devnull is no path to join
        os.dup2(nowhere.fileno(), stream.fileno())


def _encodable(line: str, stream: IO[str]) -> str:
    """Replace characters that the stream's encoding lacks, as in an ASCII terminal."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
