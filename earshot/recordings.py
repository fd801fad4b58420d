"""Recordings for the models' commands, which train and measure on whole files."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.messages import Samples


_MOST_SILENT_SECONDS = 3600
"""Length of all gaps from which a recording is refused."""


def read_recording(path: Path) -> "Samples":
    """Read a whole recording: float32 (n,) at 16 kHz, mono. Gaps in its time stamps become silence, as in a player.

    Raises
    ------
    SoundError
        It can't be read, or consists of gaps.
    """
    import numpy as np

    from models.errors import SoundError
    from streamer.errors import SourceError
    from streamer.messages import SAMPLE_RATE_HZ
    from streamer.sources.recording import Recording, parse_recording

    pieces: list[Samples] = []
    end = silent = 0
    try:
        file, selection = parse_recording(str(path))
        for chunk in Recording(str(path), file, live=False, selection=selection).chunks():
            if gap := chunk.start_sample - end:
                silent += gap
                if silent > _MOST_SILENT_SECONDS * SAMPLE_RATE_HZ:
                    raise SoundError(
                        f"{path} has gaps of more than an hour in its time stamps: convert it to WAV or FLAC"
                    )
                pieces.append(np.zeros(gap, np.float32))
            pieces.append(chunk.samples)
            end = chunk.start_sample + len(chunk.samples)
    except SourceError as error:
        raise SoundError(str(error)) from error
    if not pieces:
        raise SoundError(f"{path} is too short to contain sound")
    return np.concatenate(pieces)
