"""Pictures of clips: the spectrogram as a PNG, in the colours of the page."""

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCALE = 2
"""Height of a mel bin in pixels."""
_LEAST_WIDTH = 480
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE, _DEPTH = 3, 8
_COLOURS = bytes.fromhex(
    "0000040302110a0723140b36200c492e0a5a3c0964490b6a560f6d63146e70196e7c1d6d89226a962666a22b61af305bbb3654c63d4cd04544da4e3be35932"
    "eb6428f1711ef67e13f98c09fb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4"
)
"""Colours from silent to loud, three bytes each."""


def draw_clip(clip: Path) -> bytes:
    """Return the spectrogram of a clip as PNG: time to the right, low frequencies at the bottom.

    Raises
    ------
    SoundError
        The clip can't be read.
    """
    from models.errors import SoundError
    from models.log_mel import log_mel
    from web.spectrogram import clip_rows

    from .recordings import read_recording

    rows = clip_rows(read_recording(clip), log_mel)
    if not len(rows):
        raise SoundError(f"{clip} is too short for a picture")
    return png(rows)


def png(rows: "NDArray[np.uint8]") -> bytes:
    """Return rows of a spectrogram, uint8 (rows, 128), as PNG.

    The format is that of the PNG specification, third edition, with a palette.
    """
    import numpy as np

    each = max(1, -(-_LEAST_WIDTH // len(rows)))
    pixels = np.repeat(np.repeat(rows.T[::-1], _SCALE, axis=0), each, axis=1)
    height, width = pixels.shape
    lines = np.concatenate(
        (np.zeros((height, 1), np.uint8), pixels), axis=1
    )  # each line begins with its filter: none
    return _SIGNATURE + b"".join(
        (
            _part(b"IHDR", struct.pack(">IIBBBBB", width, height, _DEPTH, _PALETTE, 0, 0, 0)),
            _part(b"PLTE", _palette().tobytes()),
            _part(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _part(b"IEND", b""),
        )
    )


def _palette() -> "NDArray[np.uint8]":
    """Return 256 colours, uint8 (256, 3)."""
    import numpy as np

    points = np.frombuffer(_COLOURS, np.uint8).reshape(-1, 3)
    places = np.linspace(0, len(points) - 1, 256)
    mixed = [np.interp(places, np.arange(len(points)), points[:, channel]) for channel in range(3)]
    return np.stack(mixed, axis=1).round().astype(np.uint8)


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
