"""YAMNet, the teacher, which labels each 0.96 s patch of sound with 521 of AudioSet's classes.

The network of Plakal and Ellis (https://github.com/tensorflow/models/tree/master/research/audioset/yamnet, Apache-2.0) on
MobileNet v1 (Howard et al. 2017), with batch normalisation folded into the convolutions.
"""

import math
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

from .. import frontends
from ..errors import TrainingError
from .precision import mixed_precision

CLASSES = 521
EMBEDDING_WIDTH = 1024
MEL_BINS = 64
PATCH_ROWS = 96
"""Number of rows in a patch: 0.96 s."""
PATCH_SHIFT = 48
"""Number of rows between patches: 0.48 s."""
LOG_OFFSET = 1e-3
"""Offset added to a mel magnitude before its logarithm."""
SILENT_ROW = math.log(LOG_OFFSET)

_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise-separable block."""
_CHUNK = {"cpu": 256, "cuda": 8192}
"""Maximum number of patches in a batch, which bounds the memory."""


class YamNet(nn.Module):
    """YAMNet on log-mel patches, with random weights until a state dict is loaded."""

    def __init__(self) -> None:
        super().__init__()
        channels = 32
        convolutions = [nn.Conv2d(1, channels, 3, 2)]
        for wider, stride in _BLOCKS:
            padding = 1 if stride == 1 else 0
            convolutions += [
                nn.Conv2d(channels, channels, 3, stride, padding=padding, groups=channels),
                nn.Conv2d(channels, wider, 1),
            ]
            channels = wider
        self.convs = nn.ModuleList(convolutions)
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits (n, 521) and embeddings (n, 1024) from log-mel patches (n, 96, 64)."""
        x = patches.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # (n, 1, 96, 64)
        for convolution in self.convs:
            if convolution.stride == (2, 2):
                x = F.pad(x, (0, 1, 0, 1))  # TensorFlow's padding SAME, for even sizes
            x = F.relu(convolution(x))
        embeddings = x.mean((2, 3))  # (n, 1024)
        return self.fc(embeddings), embeddings

    @torch.no_grad()
    def label(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Compute probabilities float32 (n, 521) and embeddings float32 (n, 1024) from log-mel patches (n, 96, 64), in batches that fit in memory."""
        patches = patches.to(self.fc.weight.dtype)
        pieces = [self(piece) for piece in torch.split(patches, _CHUNK.get(patches.device.type, 256))]
        logits, embeddings = (torch.cat(parts).float() for parts in zip(*pieces, strict=True))
        return logits.sigmoid(), embeddings


def load_teacher(path: Path, device: torch.device, *, fast: bool = False) -> YamNet:
    """Read the teacher's weights.

    Parameters
    ----------
    path : Path
        Safetensors file.
    device : torch.device
        Device to run on.
    fast : bool
        True to use 16 bits if the hardware supports them: exact enough for training, not for measurements.

    Raises
    ------
    TrainingError
        The file is missing, broken or belongs to another network.
    """
    teacher = YamNet()
    try:
        teacher.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"the teacher's weights {path} can't be read ({reason}): copy the pack again"
        ) from error
    teacher = teacher.eval().requires_grad_(requires_grad=False)
    half = torch.float16 if device.type == "cuda" else mixed_precision(device)
    dtype = (half if fast else None) or torch.float32
    return teacher.to(memory_format=torch.channels_last).to(device, dtype)


@lru_cache(maxsize=2)
def _mel_bank(device: torch.device) -> Tensor:
    """Return the filter bank (257, 64): triangles on the HTK mel scale."""
    from torchaudio.functional import melscale_fbanks

    bank: Tensor = melscale_fbanks(
        frontends.FFT_LENGTH // 2 + 1,
        _LOWEST_HZ,
        _HIGHEST_HZ,
        MEL_BINS,
        frontends.SAMPLE_RATE_HZ,
        mel_scale="htk",
    )
    return bank.to(device)


def log_mel(samples: Tensor) -> Tensor:
    """Compute YAMNet's features: float32 samples (..., n) at 16 kHz -> float32 (..., rows, 64), with the rows of AST's features."""
    frames = samples.unfold(-1, frontends.FRAME_LENGTH, frontends.FRAME_SHIFT)  # (..., rows, 400)
    window = torch.hann_window(frontends.FRAME_LENGTH, device=samples.device)
    magnitudes = torch.fft.rfft(frames * window, n=frontends.FFT_LENGTH).abs()  # (..., rows, 257)
    energies: Tensor = magnitudes @ _mel_bank(samples.device)
    return (energies + LOG_OFFSET).log()


def patch_count(rows: int) -> int:
    """Return the number of patches, at least 1, that cover `rows` rows, the last one padded."""
    return 1 + max(0, math.ceil((rows - PATCH_ROWS) / PATCH_SHIFT))


def patches_of(rows: Tensor) -> Tensor:
    """Cut log-mel rows (..., t, 64) into patches (..., patch_count(t), 96, 64), padded with digital silence."""
    count = patch_count(rows.shape[-2])
    missing = PATCH_ROWS + (count - 1) * PATCH_SHIFT - rows.shape[-2]
    padded = F.pad(rows, (0, 0, 0, missing), value=SILENT_ROW)
    return padded.unfold(-2, PATCH_ROWS, PATCH_SHIFT).transpose(-1, -2)


def pool(probabilities: Tensor, valid: Tensor, silence: int | None) -> Tensor:
    """Label a whole window.

    Parameters
    ----------
    probabilities : float32 (batch, patches, classes)
        Probabilities of the teacher.
    valid : bool (batch, patches)
        True for patches to use: at least one of each window.
    silence : int or None
        Class that is labelled with its mean over the patches.

    Returns
    -------
    float32 (batch, classes)
        Mean of a class's two highest patches (or of its only one): a sound counts anywhere in the window.
    """
    count = valid.sum(1, keepdim=True)  # (batch, 1)
    masked = probabilities * valid.unsqueeze(-1)
    best = masked.topk(min(2, masked.shape[1]), dim=1).values  # (batch, 2, classes)
    pooled = best.sum(1) / count.clamp(max=2)
    if silence is not None:
        pooled[:, silence] = masked[:, :, silence].sum(1) / count[:, 0]
    return pooled


def pool_all(probabilities: Tensor, silence: int | None) -> Tensor:
    """Label a window with `pool`, using every patch: float32 (patches, classes) -> float32 (classes,)."""
    valid = torch.ones(1, len(probabilities), dtype=torch.bool, device=probabilities.device)
    return pool(probabilities[None], valid, silence)[0]
