"""Recordings for the models' commands, which train and measure on whole files."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.messages import Samples


def read_recording(path: Path) -> "Samples":
    """Read a whole recording: float32 (n,) at 16 kHz, mono.

    Raises
    ------
    SoundError
        It can't be read to its end.
    """
    import numpy as np

    from models.errors import SoundError
    from streamer.errors import SourceError
    from streamer.sources.recording import Recording

    try:
        chunks = Recording(str(path), str(path), live=False).chunks()
        return np.concatenate([chunk.samples for chunk in chunks])
    except SourceError as error:
        raise SoundError(str(error)) from error
