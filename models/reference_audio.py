"""The bundled sounds, on which engines are calibrated and compared."""

from importlib.resources import files

import torch
from torch import Tensor

from . import frontends

WINDOWS = 32
_WINDOW_SAMPLES = 1024 * frontends.FRAME_SHIFT


def reference_windows(samples: int) -> Tensor:
    """Return windows of voices, music, alarms and rooms: float32 (32, n), at most `samples` samples each.

    docs/render_engine_sounds.py renders them.
    """
    import soundfile

    with files("models").joinpath("assets", "sounds.ogg").open("rb") as file:
        sound, _ = soundfile.read(file, dtype="float32")
    windows = torch.from_numpy(sound).view(WINDOWS, _WINDOW_SAMPLES)
    middle = max(0, _WINDOW_SAMPLES - samples) // 2
    return windows[:, middle : middle + samples].contiguous()
