"""Sizes in the headers of WAV files, which are wrong if the recorder has died."""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

_UNKNOWN_SIZE = 2**32 - 1
"""Size of samples that are written to a pipe, or whose size is elsewhere in an RF64 file."""

_PLACEHOLDER_SIZE = 0x7FFF_0000
"""Size from which programs mean that they don't know it yet."""

_HEADER = 8
"""Bytes of a name and a size."""

_LOOKED_AT_BYTES = 4096
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class WavSize:
    """Size of the samples of a WAV file according to its header.

    Attributes
    ----------
    seconds : float or None
        Duration; None if unknown.
    too_small : bool
        True if the samples go on behind the end that the header gives.
    """

    seconds: float | None = None
    too_small: bool = False


def read_size(path: Path) -> WavSize:
    """Read the header of a file, which may be of any format.

    FFmpeg handles samples without a size (0, 0xFFFFFFFF) by itself, and samples that end too early.
    """
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        found = _find_samples(file)
        if found is None:
            return WavSize()
        begin, size, bytes_per_second = found
        if size in {0, _UNKNOWN_SIZE}:
            return WavSize()
        known = size < _PLACEHOLDER_SIZE or size <= end
        seconds = size / bytes_per_second if known and bytes_per_second else None
        behind = begin + size + size % 2
        return WavSize(seconds, too_small=behind < end and not _is_padding(file, behind, end))


def _find_samples(file: BinaryIO) -> tuple[int, int, int] | None:
    """Return position, size and bytes per second of the samples; None if the file is not a WAV file, or has none."""
    form = file.read(12)
    if form[:4] not in {b"RIFF", b"RF64", b"BW64"} or form[8:] != b"WAVE":
        return None
    large_size, bytes_per_second = _UNKNOWN_SIZE, 0
    while len(header := file.read(_HEADER)) == _HEADER:
        size = int.from_bytes(header[4:], "little")
        if header.startswith(b"data"):
            return file.tell(), large_size if size == _UNKNOWN_SIZE else size, bytes_per_second
        behind = file.tell() + size + size % 2
        if header.startswith(b"ds64"):  # an RF64 file; FFmpeg believes a size of 0 in it
            large_size = max(int.from_bytes(file.read(16)[8:], "little"), 1)
        if header.startswith(b"fmt "):
            bytes_per_second = int.from_bytes(file.read(12)[8:], "little")
        file.seek(behind)
    return None


def _is_padding(file: BinaryIO, position: int, end: int) -> bool:
    """Return True if there are further chunks, or zeros, from a position to the end."""
    file.seek(position)
    if not any(file.read(_LOOKED_AT_BYTES)):  # else all of a long recording would be read
        return all(block.count(0) == len(block) for block in iter(partial(file.read, _BLOCK_BYTES), b""))
    while end - position >= _HEADER:
        file.seek(position)
        header = file.read(_HEADER)
        size = int.from_bytes(header[4:], "little")
        position += _HEADER + size + size % 2
        if not re.fullmatch(rb"[A-Za-z0-9_ -]{4}", header[:4]) or position > end + 1:
            return False
    return True
